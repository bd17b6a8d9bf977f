/// What `relayctl top` shows, and what keys do to it. Pure: state and answers go in, a screen and wishes come out.
package struct TopScreen: Sendable {
    package enum Mode: Equatable, Sendable {
        case list
        /// Letters go into the filter until Return.
        case filtering
        /// The question whether to end this call is on the screen.
        case confirming(id: String)
    }

    package enum Key: Equatable, Sendable {
        case up, down, pageUp, pageDown, home, end, enter, escape, backspace
        case character(Character)
    }

    /// What a key asks of the program around the screen.
    package enum Wish: Equatable, Sendable {
        case quit
        /// The list has to be asked for again: its order or filter has changed.
        case refresh
        case hangUp(id: String)
    }

    package private(set) var mode = Mode.list
    package private(set) var order = CallOrder.duration
    package private(set) var filter = ""
    package private(set) var snapshot: MetricsSnapshot?
    package private(set) var calls: [CallSummary] = []
    /// By id, so that it stays with its call when the order changes.
    package private(set) var selected: String?
    /// A line about the last thing that was done or went wrong.
    package var notice: (text: String, isBad: Bool)?
    /// Packets received in all, and when, before the last update: for rates.
    private var earlier: (snapshot: MetricsSnapshot, seconds: Double)?
    private var updateSeconds = 0.0
    /// The call on the first line of the list.
    private var firstShown = 0

    package init() {}

    /// Takes in what the daemon answered. `seconds` is any clock that runs on.
    package mutating func update(_ snapshot: MetricsSnapshot, calls: [CallSummary], seconds: Double) {
        if let old = self.snapshot { earlier = (old, updateSeconds) }
        self.snapshot = snapshot
        self.calls = calls
        updateSeconds = seconds
        if case .confirming(let id) = mode, !calls.contains(where: { $0.id == id }) {
            mode = .list
            notice = ("Call \(id) has ended meanwhile.", false)
        }
        if let selected, calls.contains(where: { $0.id == selected }) { return }
        selected = calls.isEmpty ? nil : calls[min(selectedIndex ?? 0, calls.count - 1)].id
    }

    private var selectedIndex: Int? { calls.firstIndex { $0.id == selected } }

    // MARK: Keys

    package mutating func press(_ key: Key) -> Wish? {
        switch mode {
        case .confirming(let id):
            mode = .list
            guard key == .character("y") || key == .character("Y") else {
                notice = ("Call \(id) goes on.", false)
                return nil
            }
            return .hangUp(id: id)
        case .filtering: return pressWhileFiltering(key)
        case .list: return pressInList(key)
        }
    }

    private mutating func pressWhileFiltering(_ key: Key) -> Wish? {
        switch key {
        case .enter: mode = .list
        case .escape:
            mode = .list
            filter = ""
            return .refresh
        case .backspace where !filter.isEmpty:
            filter.removeLast()
            return .refresh
        case .character(let character) where filter.count < 32:
            filter.append(character)
            return .refresh
        default: break
        }
        return nil
    }

    private mutating func pressInList(_ key: Key) -> Wish? {
        notice = nil
        switch key {
        case .character("q"), .character("Q"): return .quit
        case .character("d"): return sort(by: .duration)
        case .character("s"): return sort(by: .silence)
        case .character("m"): return sort(by: .quality)
        case .character("n"): return sort(by: .callee)
        case .character("c"): return sort(by: .caller)
        case .character("/"): mode = .filtering
        case .escape where !filter.isEmpty:
            filter = ""
            return .refresh
        case .character("x"), .character("k"): if let selected { mode = .confirming(id: selected) }
        case .up: move(by: -1)
        case .down: move(by: 1)
        case .pageUp: move(by: -10)
        case .pageDown: move(by: 10)
        case .home: move(by: -calls.count)
        case .end: move(by: calls.count)
        default: break
        }
        return nil
    }

    private mutating func sort(by order: CallOrder) -> Wish {
        self.order = order
        return .refresh
    }

    private mutating func move(by distance: Int) {
        guard !calls.isEmpty else { return }
        selected = calls[min(max((selectedIndex ?? 0) + distance, 0), calls.count - 1)].id
    }
}

extension TopScreen {
    /// As many lines as the screen has, or fewer, each no wider than it.
    package mutating func lines(height: Int, _ style: TextStyle) -> [String] {
        guard let snapshot else { return [style.painted("Asking relayd …", .faint), noticeLine(style)] }
        let head = headLines(snapshot, style)
        // Of a small screen the calls get half at least.
        let trunks = trunkLines(snapshot, style, limit: max(2, (height - head.count - 3) / 3))
        let room = max(1, height - head.count - trunks.count - 3)
        return Array((head + trunks + [""] + callLines(room: room, style) + [footer(style)]).prefix(height))
    }

    // MARK: What stands above

    private func headLines(_ snapshot: MetricsSnapshot, _ style: TextStyle) -> [String] {
        let status = snapshot.status
        var title = "relayd \(status.version)  up \(Quantity.duration(seconds: status.uptimeSeconds))"
        if status.draining { title += "  DRAINING: no new calls" }
        let connected = snapshot.callStates["connected"] ?? 0
        let ringing = (snapshot.callStates["ringing"] ?? 0) + (snapshot.callStates["setup"] ?? 0)
        var calls = "Calls \(connected) connected, \(ringing) being set up, limit \(status.calls.limit)"
        if let rate = rate({ $0.calls.attempted }) { calls += "; \(Self.perSecond(rate)) new/s" }
        let media = status.media
        var traffic = "Ports \(media.portsInUse) in use, \(media.portsFree) free"
        if let rate = rate({ $0.workers.reduce(0) { $0 + $1.packetsReceived } }) {
            traffic += "  Packets \(Self.perSecond(rate))/s"
        }
        if let rate = rate({ $0.workers.reduce(0) { $0 + $1.packetsDropped } }), rate >= 0.5 {
            traffic += ", dropped \(Self.perSecond(rate))/s"
        }
        if status.records.pending > 0 { traffic += "  Records waiting \(status.records.pending)" }
        var lines = [
            style.painted(style.cut(style.safe(title), to: style.width), status.draining ? .bad : .strong),
            style.cut(calls, to: style.width), style.cut(traffic, to: style.width),
        ]
        if let phones = status.phones {
            let text = style.cut("Phones \(phones.text)", to: style.width)
            lines.append(phones.isTrouble ? style.painted(text, .bad) : text)
        }
        if let warning = status.warnings.first {
            let more = status.warnings.count > 1 ? " (and \(status.warnings.count - 1) more)" : ""
            lines.append(style.painted(style.cut(style.safe("Warning: \(warning)\(more)"), to: style.width), .bad))
        }
        return lines
    }

    /// Of a total, a second; nil before there are two answers to tell it by.
    private func rate(_ total: (StatusReport) -> UInt64) -> Double? {
        guard let snapshot, let earlier, updateSeconds - earlier.seconds > 0.1 else { return nil }
        let before = total(earlier.snapshot.status)
        let now = total(snapshot.status)
        // A daemon that was started anew begins at zero.
        return now < before ? nil : Double(now - before) / (updateSeconds - earlier.seconds)
    }

    private static func perSecond(_ rate: Double) -> String {
        rate < 10 ? "\(Int((rate * 10).rounded()) / 10).\(Int((rate * 10).rounded()) % 10)" : "\(Int(rate.rounded()))"
    }

    // MARK: Trunks

    private func trunkLines(_ snapshot: MetricsSnapshot, _ style: TextStyle, limit: Int) -> [String] {
        guard !snapshot.trunks.isEmpty else { return [] }
        // What is out first, then the fullest: that is what one looks for.
        let trunks = snapshot.trunks.sorted {
            ($0.state == .up ? 1 : 0, -$0.load, -$0.calls, $0.name) < ($1.state == .up ? 1 : 0, -$1.load, -$1.calls, $1.name)
        }
        let shown = Array(trunks.prefix(limit - 1))
        var table = Table()
        table.add("TRUNK", leastWidth: 8, cells: shown.map { .init($0.name, .strong) })
        table.add("STATE", leftOutAt: 4, cells: shown.map { .init($0.state.rawValue, $0.state == .up ? .plain : .bad) })
        table.add("CALLS", alignment: .right, cells: shown.map { "\($0.calls)" })
        table.add("OF", alignment: .right, cells: shown.map { $0.capacity == 0 ? "-" : "\($0.capacity)" })
        table.add(
            "LOAD", cells: shown.map { trunk in
                trunk.capacity == 0 ? "-" : .init(Self.bar(trunk.load), trunk.load >= 0.9 ? .bad : .good)
            })
        table.add("ASR OUT", alignment: .right, cells: shown.map { .init($0.outgoing.answerRatio.map { Quantity.percent($0) } ?? "-") })
        table.add(
            "ACD OUT", alignment: .right, leftOutAt: 1,
            cells: shown.map { .init($0.outgoing.averageSeconds.map { Quantity.duration(seconds: Int($0)) } ?? "-") })
        table.add("IN", alignment: .right, leftOutAt: 2, cells: shown.map { "\($0.incoming.attempts)" })
        table.add("OUT", alignment: .right, leftOutAt: 2, cells: shown.map { "\($0.outgoing.attempts)" })
        table.add("ADDRESS", leftOutAt: 3, cells: shown.map { "\($0.address)" })
        return [""] + table.rendered(style).text.split(separator: "\n").map(String.init)
    }

    private static func bar(_ load: Double) -> String {
        let filled = min(10, Int((load * 10).rounded()))
        return "[" + String(repeating: "#", count: filled) + String(repeating: " ", count: 10 - filled) + "]"
    }

    // MARK: Calls

    private mutating func callLines(room: Int, _ style: TextStyle) -> [String] {
        guard !calls.isEmpty else {
            return [style.painted(filter.isEmpty ? "No calls." : "No call matches \"\(style.safe(filter))\".", .faint)]
        }
        let rows = max(1, room - 1)
        let index = selectedIndex ?? 0
        firstShown = min(max(firstShown, index - rows + 1), index, max(0, calls.count - rows))
        firstShown = max(0, firstShown)
        let shown = Array(calls[firstShown..<min(calls.count, firstShown + rows)])
        var table = Table()
        table.add("", cells: shown.map { $0.id == selected ? .init(">", .strong) : "" })
        table.add("ID", cells: shown.map { .init($0.id, $0.id == selected ? .strong : .plain) })
        table.add("STATE", leftOutAt: 5, cells: shown.map { .init($0.state.rawValue, $0.state == .connected ? .plain : .faint) })
        table.add("CALLER", leastWidth: 6, cells: shown.map { .init($0.callerNumber) })
        table.add("CALLED", leastWidth: 6, cells: shown.map { .init($0.calledNumber) })
        table.add("TRUNKS", leftOutAt: 4, cells: shown.map { "\($0.callerTrunk ?? "-") > \($0.calleeTrunk ?? "-")" })
        table.add("H:MM:SS", alignment: .right, cells: shown.map { .init($0.durationText) })
        table.add("CALLER RTP", cells: shown.map { $0.fromCaller.cell })
        table.add("CALLEE RTP", cells: shown.map { $0.fromCallee.cell })
        table.add("MOS", alignment: .right, leftOutAt: 1, cells: shown.map(\.mosCell))
        table.add("WATCHED", leftOutAt: 3, cells: shown.map { .init($0.monitoredText, $0.monitored ? .plain : .bad) })
        return table.rendered(style).text.split(separator: "\n").map(String.init)
    }

    // MARK: The last line

    private func footer(_ style: TextStyle) -> String {
        switch mode {
        case .confirming(let id):
            let call = calls.first { $0.id == id }
            let whom = call.map { " from \($0.callerNumber) to \($0.calledNumber)" } ?? ""
            return style.painted(style.cut(style.safe("End call \(id)\(whom) on both sides? y/n"), to: style.width), .bad)
        case .filtering: return style.cut("Filter: \(style.safe(filter))_  (Return keeps it, Escape clears it)", to: style.width)
        case .list:
            if notice != nil { return noticeLine(style) }
            let filtered = filter.isEmpty ? "" : "  filter \"\(style.safe(filter))\" (Escape clears)"
            let position = calls.isEmpty ? "" : "\((selectedIndex ?? 0) + 1)/\(calls.count) by \(order.rawValue)\(filtered)  "
            let keys = "sort by d)uration s)ilence m)os c)aller n)umber   / filter   x hang up   q quit"
            let short = "d/s/m/c/n sort  / filter  x hang up  q quit"
            let fits = position.count + keys.count <= style.width
            return style.painted(style.cut(position + (fits ? keys : short), to: style.width), .faint)
        }
    }

    private func noticeLine(_ style: TextStyle) -> String {
        guard let notice else { return "" }
        return style.painted(style.cut(style.safe(notice.text), to: style.width), notice.isBad ? .bad : .good)
    }
}

extension TrunkFigures {
    /// Of its capacity, 0 to 1; 0 without one.
    fileprivate var load: Double { capacity == 0 ? 0 : Double(calls) / Double(capacity) }
}

extension CallSummary {
    /// From the caller and from the callee; the worse decides the tone.
    fileprivate var mosCell: Table.Cell {
        let values = [fromCaller.mos, fromCallee.mos]
        guard let worse = values.compactMap(\.self).min() else { return "-" }
        let text = values.map { $0.map { Quantity.mos($0) } ?? "-" }.joined(separator: "/")
        return .init(text, worse < 3.5 ? .bad : .plain)
    }
}

extension Quantity {
    /// `4.3`.
    package static func mos(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
