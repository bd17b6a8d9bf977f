import Core

extension CallDetail {
    /// For people: facts in groups, then the messages of both legs.
    package func text(_ style: TextStyle) -> String {
        var groups = [headline(style), times.rendered(style), dialogs.rendered(style), media.rendered(style).text]
        if let furtherMedia, !furtherMedia.isEmpty { groups.append(further(furtherMedia).rendered(style).text) }
        let timelines = [("From the caller", caller), ("From the callee", callee)].compactMap { name, leg in
            leg?.media?.timelineText(name, style)
        }
        if !timelines.isEmpty { groups.append(timelines.joined()) }
        if !ladder.isEmpty { groups.append(LadderEntry.ladderText(ladder, style)) }
        return groups.joined(separator: "\n")
    }

    private func headline(_ style: TextStyle) -> String {
        let state = summary.state.rawValue + (summary.answerAt == nil ? "" : " \(summary.durationText)")
        return style.painted("Call \(style.safe(summary.id))", .strong)
            + style.safe(": \(summary.callerNumber) calls \(summary.calledNumber), \(state)") + "\n"
    }

    private var times: FactList {
        var list = FactList()
        list.add("Trunks", "\(summary.callerTrunk ?? "-") > \(summary.calleeTrunk ?? "-")")
        list.add("Set up", summary.setupAt.description)
        list.add("Answered", summary.answerAt?.description ?? "-")
        if let proxy { list.add("Media relayed", proxy) }
        if summary.monitored {
            let which =
                switch summary.noMediaMode {
                case .both: "from both sides"
                case .any: "from either side"
                case .caller: "from the caller"
                case .callee: "from the callee"
                case .off: "from nobody"
                }
            list.add("Monitored", "yes: silence of \(summary.noMediaTimeoutSeconds) s \(which) ends it "
                + "(\(summary.monitoredReason))")
        } else {
            list.add("Monitored", "no: \(summary.monitoredReason)", .bad)
        }
        if let endsInSeconds { list.add("Ends in", "\(endsInSeconds) s at the latest") }
        if let digits { list.add("Digits", digits) }
        return list
    }

    private func further(_ media: [FurtherMedium]) -> Table {
        let rows = media.flatMap { [($0, "caller", $0.caller), ($0, "callee", $0.callee)] }
        var table = Table()
        table.add("FURTHER MEDIA", cells: rows.map { .init("\($0.0.line) \($0.0.kind)\($0.0.isOpen ? "" : ", ended")", .strong) })
        table.add("FROM", cells: rows.map { .init($0.1) })
        table.add("RTP", cells: rows.map { $0.2.media.cell })
        table.add("PACKETS", alignment: .right, cells: rows.map { .init("\($0.2.media.packets)") })
        table.add("LOST", alignment: .right, cells: rows.map { .init("\($0.2.lost)") })
        table.add("SENT TO IT", alignment: .right, leftOutAt: 3, cells: rows.map { .init("\($0.2.sentPackets)") })
        table.add("STRANGERS", alignment: .right, leftOutAt: 4, cells: rows.map { .init("\($0.2.strangersDropped)") })
        table.add("DIRECTION", leftOutAt: 5, cells: rows.map { .init($0.2.direction ?? "-") })
        table.add("LOCKED SOURCE", cells: rows.map { .init($0.2.lockedSource?.description ?? "-") })
        table.add("RELAY ADDRESS", leftOutAt: 1, cells: rows.map { .init($0.2.relayAddress?.description ?? "-") })
        table.add("IN ITS SDP", leftOutAt: 2, cells: rows.map { .init($0.2.sdpAddress?.description ?? "-") })
        return table
    }

    /// Call-IDs and tags can be long: a line each, never cut, so that they can be copied.
    private var dialogs: FactList {
        var list = FactList()
        list.add("Caller's Call-ID", caller.callID)
        list.add("  tags", "relayd's \(caller.localTag), caller's \(caller.remoteTag ?? "-")")
        if let timer = caller.sessionTimer { list.add("  session timer", timer.text) }
        list.add("Callee's Call-ID", callee?.callID ?? "-")
        if let callee { list.add("  tags", "relayd's \(callee.localTag), callee's \(callee.remoteTag ?? "-")") }
        if let timer = callee?.sessionTimer { list.add("  session timer", timer.text) }
        return list
    }

    private var media: Table {
        var facts: [(name: String, value: (Leg) -> String)] = []
        facts.append(("SIP peer", { "\($0.signallingAddress)" }))
        if [caller, callee].contains(where: { ($0?.kind ?? "audio") != "audio" }) { facts.append(("medium", { $0.kind ?? "-" })) }
        facts.append(("relay address", { $0.relayAddress?.description ?? "-" }))
        facts.append(("address in its SDP", { $0.sdpAddress?.description ?? "-" }))
        facts.append(("locked source", { $0.lockedSource?.description ?? "-" }))
        facts.append(("RTP packets received", { "\($0.packets)" }))
        if [caller, callee].contains(where: { $0?.kernelPackets != nil }) {
            facts.append(("of them in the kernel", { $0.kernelPackets.map { "\($0)" } ?? "-" }))
        }
        facts.append(("octets received", { "\($0.octets)" }))
        facts.append(("packets lost", { "\($0.lost)" }))
        facts.append(("strangers dropped", { "\($0.strangersDropped)" }))
        if caller.media != nil || callee?.media != nil {
            for row in MediaReport.rows { facts.append((row.name, { $0.media.map(row.value) ?? "-" })) }
        }
        var table = Table()
        table.add("", cells: [.init("media", .strong)] + facts.map { .init($0.name, .strong) })
        table.add("CALLER", cells: [summary.fromCaller.cell] + facts.map { .init($0.value(caller)) })
        table.add("CALLEE", cells: [summary.fromCallee.cell] + facts.map { fact in .init(callee.map(fact.value) ?? "-") })
        return table
    }
}
