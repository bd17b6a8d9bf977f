import Configuration
import Core
package import SIP

/// Keep-alives that go out together.
package struct KeepAliveBatch: Sendable {
    /// One datagram for all, or, empty, each has its own in `requests`.
    package let payload: [UInt8]
    package let bindings: [BindingID]
    package let flows: [Flow]
    /// One behind the other, `requestEnds` saying where each ends; empty when all get `payload`.
    package let requests: [UInt8]
    package let requestEnds: [Int]

    /// The same, for each listener what leaves from there. Mostly there is one.
    var byListener: [(listener: UInt8?, batch: KeepAliveBatch)] {
        guard let first = flows.first?.listener else { return [(nil, self)] }
        guard flows.contains(where: { $0.listener != first }) else { return [(first, self)] }
        return Set(flows.map(\.listener)).sorted { $0 ?? 0 < $1 ?? 0 }.map { listener in
            let places = flows.indices.filter { flows[$0].listener == listener }
            var requests: [UInt8] = []
            var ends: [Int] = []
            if !requestEnds.isEmpty {
                for place in places {
                    requests += octets(place)
                    ends.append(requests.count)
                }
            }
            return (
                listener,
                KeepAliveBatch(
                    payload: payload, bindings: places.map { bindings[$0] }, flows: places.map { flows[$0] }, requests: requests,
                    requestEnds: ends)
            )
        }
    }

    package func octets(_ index: Int) -> ArraySlice<UInt8> {
        guard !requestEnds.isEmpty else { return payload[...] }
        return requests[(index == 0 ? 0 : requestEnds[index - 1])..<requestEnds[index]]
    }
}

/// The keep-alives of all bindings behind NAT: when, what, and what came of them.
struct KeepAlives {
    /// What is known of one binding beyond its schedule.
    struct Proof {
        var lastHeard: Instant
        var answers: UInt32 = 0
        /// Sent since the last answer.
        var unanswered: UInt32 = 0
        /// Milliseconds: the longest silence that an answer came after.
        var survived: UInt32 = 0
    }

    /// When something came from a binding.
    private struct Heard {
        var at: Instant
        /// The generation of the binding it is about.
        var generation: UInt32 = 0
    }

    /// Whether a binding answers.
    private struct Answers {
        /// Anything that went through the pinhole, in either direction.
        var lastTraffic: Instant
        var count: UInt32 = 0
        /// Sent since the last answer.
        var unanswered: UInt32 = 0
        /// Milliseconds of silence before the last message, and the longest that an answer came after.
        var silence: UInt32 = 0
        var survived: UInt32 = 0
    }

    /// What the network said of the messages to one binding.
    struct Refusals {
        var count: UInt32 = 0
        var lastErrno: Int32
        var lastAt: Instant
    }

    /// An answer may get lost; so many in a row do not.
    static let lostAfter = 3

    let settings: Configuration.KeepAlive
    let payload: KeepAlivePayload
    var schedule: KeepAliveSchedule
    private let endpoints: LocalEndpoints
    /// By listener: each OPTIONS names the one it leaves from.
    private var options: [KeepAliveOptions]
    private var heard: [Heard] = []
    /// Nothing where no answer is asked for.
    private var answersBySlot: [Answers] = []
    private let expectedCount: Int
    /// By slot, of the few bindings that have any.
    private var refusals: [UInt32: Refusals] = [:]
    private var due: [UInt32] = []
    private var request: [UInt8] = []
    private(set) var errors: UInt64 = 0
    private(set) var answers: UInt64 = 0
    /// Bindings that have left `lostAfter` or more without an answer.
    private(set) var unreachableCount = 0
    /// Processor time of the sends, in nanoseconds: in all, and of the cycle under way and the last complete one.
    private(set) var processorTime: (total: UInt64, cycle: UInt64, lastCycle: UInt64) = (0, 0, 0)
    private var accountedCycle: Instant
    private var hasWarned = false

    /// - Parameter expectedCount: no memory is taken for more bindings than this before there are as many.
    init(
        _ settings: Configuration.KeepAlive, expectedCount: Int, endpoints: LocalEndpoints, userAgent: String, runName: String,
        now: Instant
    ) {
        self.settings = settings
        payload = KeepAlivePayload(settings.message)
        schedule = KeepAliveSchedule(
            settings: .init(period: settings.period, interval: settings.interval, quantity: settings.quantity),
            expectedCount: expectedCount, now: now)
        self.expectedCount = expectedCount
        self.endpoints = endpoints
        options = endpoints.listeners.map { KeepAliveOptions(via: $0.advertised, userAgent: userAgent, run: runName) }
        accountedCycle = now
    }

    var isOn: Bool { payload != .off }
    var nextTick: Instant? { schedule.nextTick }

    subscript(id: BindingID) -> (state: KeepAliveSchedule.State, proof: Proof, refusals: Refusals?)? {
        guard isPresent(id), let state = schedule[id.index] else { return nil }
        var proof = Proof(lastHeard: heard[Int(id.index)].at)
        if payload.isEliciting {
            let answers = answersBySlot[Int(id.index)]
            (proof.answers, proof.unanswered, proof.survived) = (answers.count, answers.unanswered, answers.survived)
        }
        return (state, proof, refusals[id.index])
    }

    private func isPresent(_ id: BindingID) -> Bool {
        id.index < heard.count && heard[Int(id.index)].generation == id.generation
    }

    /// Brings the schedule in line with a binding that was added or refreshed.
    mutating func update(_ id: BindingID, _ binding: Binding, isFresh: Bool, now: Instant) {
        guard isOn, binding.needsKeepAlive, binding.transport == .udp else { return remove(id) }
        let index = Int(id.index)
        while heard.count <= index { heard.append(Heard(at: now), expectingAtMost: expectedCount) }
        while payload.isEliciting, answersBySlot.count <= index {
            answersBySlot.append(Answers(lastTraffic: now), expectingAtMost: expectedCount)
        }
        if !isPresent(id) {
            schedule.remove(id.index)
            setUnanswered(0, of: index)
            heard[index].generation = id.generation
            if payload.isEliciting { answersBySlot[index] = Answers(lastTraffic: now) }
            refusals[id.index] = nil
        }
        noteTraffic(from: index, now: now)
        schedule.insert(id.index, isFresh: isFresh, now: now)
    }

    mutating func remove(_ id: BindingID) {
        guard isPresent(id) else { return }
        schedule.remove(id.index)
        setUnanswered(0, of: Int(id.index))
        heard[Int(id.index)].generation = 0
        refusals[id.index] = nil
    }

    private mutating func noteTraffic(from index: Int, now: Instant) {
        heard[index].at = now
        if payload.isEliciting { answersBySlot[index].lastTraffic = now }
    }

    private mutating func setUnanswered(_ count: UInt32, of index: Int) {
        guard payload.isEliciting else { return }
        let wasLost = answersBySlot[index].unanswered >= Self.lostAfter
        answersBySlot[index].unanswered = count
        if wasLost != (count >= Self.lostAfter) { unreachableCount += wasLost ? -1 : 1 }
    }

    /// Something was heard from where the binding is.
    mutating func heard(_ id: BindingID, isAnswer: Bool, now: Instant) {
        guard self[id] != nil else { return }
        let index = Int(id.index)
        noteTraffic(from: index, now: now)
        guard isAnswer, payload.isEliciting else { return }
        setUnanswered(0, of: index)
        answersBySlot[index].survived = max(answersBySlot[index].survived, answersBySlot[index].silence)
        answersBySlot[index].count += 1
        answers += 1
    }

    mutating func failed(_ id: BindingID, errno: Int32, now: Instant) {
        guard self[id] != nil else { return }
        refusals[id.index] = Refusals(count: (refusals[id.index]?.count ?? 0) + 1, lastErrno: errno, lastAt: now)
        errors += 1
    }

    mutating func spent(_ nanoseconds: UInt64) {
        if schedule.cycle.startedAt != accountedCycle {
            accountedCycle = schedule.cycle.startedAt
            processorTime.lastCycle = processorTime.cycle
            processorTime.cycle = 0
        }
        processorTime.total += nanoseconds
        processorTime.cycle += nanoseconds
    }

    /// Whom to send to now; nil when nobody is due.
    mutating func takeDue(_ table: BindingTable, now: Instant) -> KeepAliveBatch? {
        guard let tick = schedule.nextTick, tick <= now else { return nil }
        schedule.takeDue(now: now, into: &due)
        guard !due.isEmpty else { return nil }
        var bindings: [BindingID] = []
        var flows: [Flow] = []
        bindings.reserveCapacity(due.count)
        flows.reserveCapacity(due.count)
        table.appendFlows(at: due, ids: &bindings, flows: &flows)
        if case .datagram(let octets) = payload {
            return KeepAliveBatch(payload: octets, bindings: bindings, flows: flows, requests: [], requestEnds: [])
        }
        var requests: [UInt8] = []
        var ends: [Int] = []
        for (id, flow) in zip(bindings, flows) {
            let index = Int(id.index)
            answersBySlot[index].silence = UInt32(clamping: (now - answersBySlot[index].lastTraffic).milliseconds)
            answersBySlot[index].lastTraffic = now
            setUnanswered(answersBySlot[index].unanswered &+ 1, of: index)
            guard let binding = table[id] else { preconditionFailure("a binding whose turn it is is there") }
            let listener = Int(endpoints.listener(for: flow) ?? 0)
            options[listener].write(to: binding.contact, route: binding.path, id: id, into: &request)
            requests += request
            ends.append(requests.count)
        }
        return KeepAliveBatch(payload: [], bindings: bindings, flows: flows, requests: requests, requestEnds: ends)
    }

    /// All of the batch that was taken last has left.
    mutating func sent(at now: Instant) { schedule.sent(at: now) }

    /// The binding that a response is about, if it answers one of ours from where that binding is.
    func binding(answeredBy response: SIPMessage, from source: Flow, _ table: BindingTable) -> BindingID? {
        guard payload.isEliciting, let id = options[0].binding(answeredBy: response), table[id]?.source == source.remote else { return nil }
        return id
    }

    /// The arithmetic, once when the bindings become more than the settings can serve.
    mutating func capacityWarning() -> String? {
        guard schedule.isOverCapacity else {
            hasWarned = false
            return nil
        }
        guard !hasWarned else { return nil }
        hasWarned = true
        return arithmetic
    }

    var arithmetic: String {
        let count = schedule.count
        let capacity = settings.capacity
        let sum = "\(settings.period.components.seconds) s / \(settings.interval.milliseconds) ms x \(settings.quantity) = \(capacity)"
        guard count > capacity else { return "\(sum) a cycle, for \(count) bindings" }
        let needed = (count * Int(settings.interval.milliseconds) + Int(settings.period.milliseconds) - 1) / Int(settings.period.milliseconds)
        return "\(sum) a cycle is less than \(count) bindings: each waits "
            + "\(Int((settings.period.inSeconds * Double(count) / Double(max(1, capacity))).rounded(.up))) s in place of "
            + "\(settings.period.components.seconds) s; keepalive.quantity = \(needed) is enough"
    }
}
