import Core

extension CallExplanation {
    /// For people: the verdict first, what supports it and what to do, then the lints, the ladder and the media.
    package func text(_ style: TextStyle) -> String {
        var groups = [headline(style), verdictText(style)]
        if !lints.isEmpty { groups.append(lintText(style)) }
        if !ladder.isEmpty {
            let note = omitted > 0 ? style.painted("(\(omitted) messages in the middle are left out)", .faint) + "\n" : ""
            groups.append(LadderEntry.ladderText(ladder, missing: missing, style) + note)
        }
        if let fromCaller, let fromCallee, answerAt != nil || fromCaller.packets + fromCallee.packets > 0 {
            groups.append(mediaText(fromCaller, fromCallee, style))
        }
        if !others.isEmpty {
            groups.append(wrapped("Further calls with this number: " + style.safe(others.joined(separator: ", ")), to: style.width)
                .map { $0 + "\n" }.joined())
        }
        return groups.joined(separator: "\n")
    }

    private func headline(_ style: TextStyle) -> String {
        var list = FactList()
        let status = sipCode.map { " (SIP \($0))" } ?? ""
        let ended = releaseAt.map { "\(cause?.rawValue ?? "-")\(status) at \(Quantity.timeOfDay($0))" } ?? "present"
        let call = id.map { recordID.isEmpty ? $0 : "\($0), record \(recordID)" }
        list.add("Call", call ?? (recordID.isEmpty ? "none: refused before it became one" : "-, record \(recordID)"))
        list.add("From", "\(callerNumber) (\(callerTrunk ?? "-"), \(callerAddress))")
        list.add("To", "\(calledNumber) (\(calleeTrunk ?? "-"), \(calleeAddress?.description ?? "-"))")
        list.add(calleeCallID == nil ? "Call-ID" : "Call-IDs", callerCallID + (calleeCallID.map { " and \($0)" } ?? ""))
        let answered = answerAt.map { ", answered \(Quantity.timeOfDay($0))" } ?? ""
        list.add("When", "\(Quantity.dateAndTime(setupAt)) UTC\(answered), \(ended)")
        return list.rendered(style)
    }

    private func verdictText(_ style: TextStyle) -> String {
        let tone: TextStyle.Tone = verdict?.isTrouble == false ? .good : .bad
        var lines = wrapped(style.safe("\(verdict?.rawValue ?? "no verdict"): \(sentence)"), to: style.width).map { style.painted($0, tone) }
        for item in evidence { lines += bullet(item, style) }
        if let advice { lines += wrapped(style.safe("To do: \(advice)"), to: style.width).map { style.painted($0, .strong) } }
        return lines.map { $0 + "\n" }.joined()
    }

    private func lintText(_ style: TextStyle) -> String {
        let lines = [style.painted("Also seen:", .strong)] + lints.flatMap { bullet($0.sentence, style) }
        return lines.map { $0 + "\n" }.joined()
    }

    private func bullet(_ text: String, _ style: TextStyle) -> [String] {
        wrapped(style.safe(text), to: style.width - 4).enumerated().map { ($0 == 0 ? "  - " : "    ") + $1 }
    }

    // MARK: Media

    private func mediaText(_ caller: Direction, _ callee: Direction, _ style: TextStyle) -> String {
        let directions = [caller, callee]
        var table = Table()
        table.add("MEDIA FROM", cells: ["caller", "callee"])
        table.add("PACKETS", alignment: .right, cells: directions.map { "\($0.packets)" })
        table.add("LOST", alignment: .right, cells: directions.map { "\($0.lost)" })
        table.add("JITTER ms", alignment: .right, cells: directions.map { "\($0.jitterMilliseconds)" })
        table.add("GAP ms", alignment: .right, cells: directions.map { "\($0.longestGapMilliseconds)" })
        table.add("FIRST s", alignment: .right, cells: directions.map { .init(Self.seconds($0.firstMilliseconds)) })
        table.add("LAST s", alignment: .right, cells: directions.map { .init(Self.seconds($0.lastMilliseconds)) })
        table.add("CODEC", cells: directions.map { .init($0.codecText) })
        table.add("DIGITS", leftOutAt: 2, cells: directions.map { .init($0.digitsText) })
        table.add("SOURCE", leftOutAt: 1, cells: directions.map { .init($0.source?.description ?? "-") })
        return table.rendered(style).text + timelineText(caller, callee, style)
    }

    private static func seconds(_ milliseconds: Int64?) -> String {
        milliseconds.map { "\($0 / 1_000).\(abs($0) % 1_000 / 100)" } ?? "-"
    }

    /// Both directions below each other on one axis, as many seconds in a column as it takes.
    private func timelineText(_ caller: Direction, _ callee: Direction, _ style: TextStyle) -> String {
        let lines = [caller.timeline, callee.timeline].compactMap(\.self)
        guard let start = lines.map({ $0.milliseconds / 1_000 }).min(),
            let end = lines.map({ $0.milliseconds / 1_000 + Int64($0.packets.count) }).max(), end > start
        else { return "" }
        let room = Int64(max(20, min(style.width - 8, 120)))
        let step = (end - start + room - 1) / room
        let columns = Int((end - start + step - 1) / step)
        var text = "\n" + style.painted("        from second \(start) to \(end), \(step == 1 ? "a second" : "\(step) seconds") a column", .strong) + "\n"
        for (name, direction) in [("caller", caller), ("callee", callee)] {
            let cells = (0..<columns).map { direction.symbol(from: start + Int64($0) * step, count: step) }
            text += name.padded(to: 8) + cells.joined() + "\n"
        }
        return text + style.painted("        # packets   ~ jitter over 40 ms   x loss over 3 %   . nothing", .faint) + "\n"
    }
}

extension CallExplanation.Direction {
    fileprivate var codecText: String {
        guard let payloadType else { return "-" }
        return codec.map { "\($0) (\(payloadType))" } ?? "\(payloadType)"
    }

    fileprivate var digitsText: String {
        CallRecord.Digits(events: telephoneEvents, info: infoDigits, tones: inBandDigits).text
    }

    fileprivate func symbol(from second: Int64, count: Int64) -> String {
        guard let timeline else { return "." }
        let first = timeline.milliseconds / 1_000
        let start = max(0, second - first)
        let end = min(Int64(timeline.packets.count), second + count - first)
        guard start < end else { return "." }
        let indices = Int(start)..<Int(end)
        let packets = indices.reduce(0) { $0 + timeline.packets[$1] }
        let lost = indices.reduce(0) { $0 + timeline.lost[$1] }
        if packets == 0 { return "." }
        if lost * 100 > (packets + lost) * 3 { return "x" }
        return indices.contains { timeline.jitterMilliseconds[$0] > 40 } ? "~" : "#"
    }
}
