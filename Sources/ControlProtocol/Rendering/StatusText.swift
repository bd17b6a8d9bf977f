import Core

extension StatusReport {
    /// For people, several groups of lines.
    package func text(_ style: TextStyle) -> String {
        var groups = [headline(style), facts(style).rendered(style)]
        if let connections = sipConnections, !connections.shown.isEmpty {
            groups.append(connections.table(style).rendered(style).text)
        }
        if !workers.isEmpty { groups.append(workerTable.rendered(style).text) }
        if !ioUring.isEmpty { groups.append(featureFacts.rendered(style)) }
        let counted = counterLines(style)
        if !counted.isEmpty { groups.append(counted) }
        return groups.joined(separator: "\n")
    }

    private func headline(_ style: TextStyle) -> String {
        let since = "up \(Quantity.duration(seconds: uptimeSeconds)) since \(Quantity.dateAndTime(startedAt)) UTC"
        var lines = style.painted("relayd \(style.safe(version))", .strong) + ", pid \(pid), \(since)\n"
        if draining { lines += style.painted("Draining: no new calls are taken.", .bad) + "\n" }
        for warning in warnings {
            for (index, line) in wrapped(style.safe(warning), to: max(24, style.width - 9)).enumerated() {
                lines += style.painted((index == 0 ? "Warning: " : "         ") + line, .bad) + "\n"
            }
        }
        return lines
    }

    private func facts(_ style: TextStyle) -> FactList {
        var list = FactList()
        let listeners = sipListeners ?? ["\(sipAddress) (UDP)"]
        for (index, listener) in listeners.enumerated() { list.add(index == 0 ? "SIP" : "", style.safe(listener)) }
        if let connections = sipConnections, connections.open > 0 || listeners.contains(where: { !$0.hasPrefix("udp:") }) {
            list.add("", "\(connections.open) connections; limit \(connections.limit)")
        }
        for (index, address) in (ngAddresses ?? []).enumerated() { list.add(index == 0 ? "NG" : "", style.safe(address)) }
        list.add(
            "Media",
            "\(media.address), ports \(media.firstPort)-\(media.lastPort): \(media.portsInUse) in use, "
                + "\(media.portsInQuarantine) in quarantine, \(media.portsFree) free")
        if let kept = media.sessionsKept {
            list.add(
                "", "sockets of \(kept) ended sessions kept; \(counters[Counter.socketsReused.name] ?? 0) sessions began with such")
        }
        if let devices = media.kernelDevices {
            let packets = counters[Counter.rtpPacketsInKernel.name] ?? 0
            let all = counters[Counter.rtpPacketsReceived.name] ?? 0
            list.add("", "inside the kernel at \(style.safe(devices.joined(separator: ", "))): \(packets) of \(all) RTP packets")
        }
        list.add("Calls", "\(calls.current) present, \(calls.connected) of them connected; limit \(calls.limit)")
        list.add("", "\(calls.attempted) attempted, \(calls.answered) answered, \(calls.released) released")
        if let phones { list.add("Phones", phones.text, phones.isTrouble ? .bad : .plain) }
        list.add(
            "Records",
            "\(records.journaled) journaled, \(records.stored) stored, \(records.pending) pending, "
                + "\(records.failures) failures",
            records.failures > 0 ? .bad : .plain)
        if let memory {
            list.add("Memory", "\(memory.resident >> 20) MiB resident, \(memory.allocated >> 20) MiB of the heap in use")
        }
        return list
    }

    private var workerTable: Table {
        var table = Table()
        table.add("WORKER", alignment: .right, cells: workers.map { "\($0.index)" })
        table.add("SESSIONS", alignment: .right, cells: workers.map { "\($0.sessions)" })
        table.add("PACKETS RECEIVED", alignment: .right, cells: workers.map { "\($0.packetsReceived)" })
        table.add("PACKETS SENT", alignment: .right, cells: workers.map { "\($0.packetsSent)" })
        table.add("PACKETS DROPPED", alignment: .right, cells: workers.map { "\($0.packetsDropped)" })
        return table
    }

    private var featureFacts: FactList {
        var list = FactList()
        let present = ioUring.filter(\.available).map(\.name)
        list.add("io_uring", present.isEmpty ? "none of what relayd looks for" : present.joined(separator: ", "))
        for feature in ioUring where !feature.available {
            list.add("  missing", feature.note.isEmpty ? feature.name : "\(feature.name): \(feature.note)")
        }
        return list
    }

    /// All counters that are not zero, in their own order, in as many columns as there is room for.
    private func counterLines(_ style: TextStyle) -> String {
        let known = Counter.allCases.map(\.name)
        let names = known + counters.keys.filter { !known.contains($0) }.sorted()
        let counted = names.compactMap { name in
            counters[name].flatMap { $0 == 0 ? nil : (name: style.safe(name), value: "\($0)") }
        }
        guard !counted.isEmpty else { return "" }
        let nameWidth = counted.reduce(0) { max($0, $1.name.count) }
        let valueWidth = counted.reduce(0) { max($0, $1.value.count) }
        let cells = counted.map { $0.name.padded(to: nameWidth) + "  " + $0.value.padded(to: valueWidth, alignment: .right) }
        let columnCount = max(1, min(3, (min(style.width, 160) - 2 + 4) / (nameWidth + 2 + valueWidth + 4)))
        let rowCount = (cells.count + columnCount - 1) / columnCount
        let lines = (0..<rowCount).map { row in
            "  " + stride(from: row, to: cells.count, by: rowCount).map { cells[$0] }.joined(separator: "    ") + "\n"
        }
        return style.painted("Counters that are not zero", .strong) + "\n" + lines.joined()
    }
}

extension StatusReport.Connections {
    fileprivate func table(_ style: TextStyle) -> Table {
        var table = Table()
        table.add("CONNECTION", cells: shown.map { "\($0.transport.rawValue):\($0.remote)" })
        table.add("", cells: shown.map { $0.outgoing ? "out" : "in" })
        table.add("TRUNK", cells: shown.map { "\(style.safe($0.trunk ?? ""))" })
        table.add("STATE", cells: shown.map { "\(style.safe($0.state))" })
        table.add("AGE", alignment: .right, cells: shown.map { "\(Quantity.duration(seconds: $0.ageSeconds))" })
        table.add("QUIET", alignment: .right, cells: shown.map { "\(Quantity.duration(seconds: $0.quietSeconds))" })
        table.add("IN", alignment: .right, cells: shown.map { "\($0.messagesReceived)" })
        table.add("OUT", alignment: .right, cells: shown.map { "\($0.messagesSent)" })
        table.add("TLS", cells: shown.map { "\(style.safe($0.tls))" })
        return table
    }
}
