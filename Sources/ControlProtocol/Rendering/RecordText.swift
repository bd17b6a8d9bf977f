package import Core

extension CallRecord {
    /// A table for people, in the order given.
    package static func listText(_ records: [CallRecord], _ style: TextStyle) -> String {
        guard !records.isEmpty else { return "No records match.\n" }
        var table = Table()
        table.add("RELEASED (UTC)", cells: records.map { .init(Quantity.dateAndTime($0.releaseAt)) })
        table.add("CALLER", leastWidth: 6, cells: records.map { .init($0.callerNumber) })
        table.add("CALLED", leastWidth: 6, cells: records.map { .init($0.calledNumber) })
        table.add("TRUNKS", leftOutAt: 3, cells: records.map { "\($0.callerTrunk ?? "-") > \($0.calleeTrunk ?? "-")" })
        table.add("H:MM:SS", alignment: .right, cells: records.map { .init($0.durationText) })
        table.add("TALK s", alignment: .right, leftOutAt: 2, cells: records.map { "\($0.talkSeconds)" })
        table.add("DEAD s", alignment: .right, leftOutAt: 1, cells: records.map { "\($0.deadAirSeconds)" })
        table.add("PACKETS IN", alignment: .right, leftOutAt: 4, cells: records.map(\.packetsCell))
        table.add("CAUSE", leastWidth: 13, cells: records.map { .init($0.cause.rawValue, $0.cause == .normal ? .good : .bad) })
        table.add("VERDICT", leftOutAt: 2, cells: records.map { record in
            .init(record.verdict?.rawValue ?? "-", record.verdict?.isTrouble == true ? .bad : .plain)
        })
        table.add("SIP", alignment: .right, cells: records.map { "\($0.sipCode)" })
        table.add("BY", cells: records.map { .init($0.endedBy.rawValue) })
        table.add("ID", leftOutAt: 5, cells: records.map { .init($0.id) })
        return table.rendered(style).text
    }

    /// From caller and from callee.
    private var packetsCell: Table.Cell { "\(fromCaller.packets)/\(fromCallee.packets)" }

    private var durationText: String {
        answerAt == nil ? "-" : Quantity.duration(seconds: Int(durationMilliseconds / 1_000))
    }

    /// Everything one record says, for people.
    package func text(_ style: TextStyle) -> String {
        var list = FactList()
        list.add("Record", id)
        list.add("Call", "\(callerNumber) (\(callerTrunk ?? "-"), \(callerAddress)) to \(calledNumber) "
            + "(\(calleeTrunk ?? "-"), \(calleeAddress?.description ?? "-"))")
        list.add("Call-IDs", "\(callerCallID) and \(calleeCallID ?? "-")")
        list.add("Set up", setupAt.description)
        list.add("Rang", ringAt?.description ?? "-")
        list.add("Answered", answerAt?.description ?? "-")
        list.add("Released", releaseAt.description)
        let air = answerAt == nil ? "" : ": \(talkSeconds) s talk, \(deadAirSeconds) s dead air"
        list.add("Duration", durationText + air)
        list.add("From caller", fromCaller.text)
        list.add("From callee", fromCallee.text)
        let known = cause.vosName.map { " (\($0))" } ?? ""
        list.add("Ended", "\(cause.rawValue)\(known) by \(endedBy.rawValue), SIP \(sipCode), Q.850 \(q850)",
            cause == .normal ? .good : .bad)
        if let verdict { list.add("Why", "\(verdict.rawValue): \(explanation ?? "")", verdict.isTrouble ? .bad : .good) }
        list.add("No media", noMediaTimeoutSeconds == 0 ? "not watched" : "limit \(noMediaTimeoutSeconds) s")
        return list.rendered(style)
    }
}

extension CallRecord.Direction {
    fileprivate var text: String {
        var text = "\(packets) packets, \(octets) octets, \(lost) lost"
        if let lossPercent { text += " (\(decimal(lossPercent)) %)" }
        if let mos { text += ", MOS \(decimal(mos))" + (lowestMOS.map { " (lowest \(decimal($0)))" } ?? "") }
        if let jitterMilliseconds { text += ", jitter \(decimal(jitterMilliseconds)) ms" }
        if let highestJitterMilliseconds { text += " (highest \(decimal(highestJitterMilliseconds)))" }
        if let roundTripMilliseconds { text += ", round trip \(decimal(roundTripMilliseconds)) ms" }
        if let digits { text += ", digits \(digits.text)" }
        return text + ", last at \(lastMediaAt?.description ?? "-")"
    }
}
