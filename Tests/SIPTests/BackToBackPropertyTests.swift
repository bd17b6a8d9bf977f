import Core
import SIP
import Testing

/// What `BackToBackCall` promises, over random orders of events. A failure prints the seed.
@Suite struct BackToBackPropertyTests {
    private typealias Event = BackToBackCall.Event

    @Test("whatever comes in whatever order, nothing is done twice, too early or too late")
    func anyOrder() {
        for seed in 1...4_000 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var watch = Watch(attempts: Self.anyAttempts(&random))
            for _ in 0..<Int.random(in: 1...24, using: &random) { watch.feed(Self.anyEvent(watch.run.branchCount, &random)) }
            #expect(watch.problems.isEmpty, "seed \(seed): \(watch.problems) after \(watch.events)")
            if !watch.problems.isEmpty { return }
        }
    }

    @Test("with peers that keep to the protocol every attempt ends: one answer, one record, nothing left, all legs closed")
    func lawfulOrder() {
        for seed in 1...4_000 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            var watch = Watch(attempts: Self.anyAttempts(&random))
            for _ in 0..<Int.random(in: 0...24, using: &random) {
                guard let event = watch.lawfulEvents.randomElement(using: &random) else { break }
                watch.feed(event)
            }
            if watch.run.call.release == nil {
                watch.feed(.release(cause: .operatorHangup, status: 480, party: .operator))
            }
            while let event = watch.owedEvents.randomElement(using: &random) { watch.feed(event) }
            watch.checkEnd()
            #expect(watch.problems.isEmpty, "seed \(seed): \(watch.problems) after \(watch.events)")
            if !watch.problems.isEmpty { return }
        }
    }

    /// One to three attempts of one to three branches.
    private static func anyAttempts(_ random: inout SeededRandom) -> [Int] {
        (0..<Int.random(in: 1...3, using: &random)).map { _ in Int.random(in: 1...3, using: &random) }
    }

    private static func anyEvent(_ branchCount: Int, _ random: inout SeededRandom) -> Event {
        var events: [Event] = [
            .mediaOpened, .mediaClosed, .callerCancelled, .callerAcknowledged, .callerAckMissing, .bye(from: .caller),
            .bye(from: .callee), .release(cause: .noMedia, status: 200, party: .relayd),
        ]
        for id in (0..<branchCount).map({ BranchID($0) }) {
            events += [
                .calleeProvisional(id, status: 100), .calleeProvisional(id, status: 183),
                .calleeAnswered(id, hasAnswer: true), .calleeAnswered(id, hasAnswer: false),
                .calleeRejected(id, status: [486, 503, 603].randomElement(using: &random)!),
                .calleeUnreachable(id, .inviteTimeout, status: 408), .calleeTimedOut(id, .ringingTimeout, status: 480),
                .calleeInviteEnded(id),
            ]
        }
        return events.randomElement(using: &random)!
    }
}

/// A call and everything that was seen of it; `problems` is what it should not have done.
private struct Watch {
    var run: Run
    private(set) var events: [BackToBackCall.Event] = []
    private(set) var problems: [String] = []
    private var hadProvisional: Set<BranchID> = []
    private var hadACK = false
    private var hadMediaClosed = false
    private var hadCalleeBye = false
    private var hadCallerBye = false
    private var inviteEnded: Set<BranchID> = []
    private var firstRelease: BackToBackCall.Release?

    init(attempts: [Int]) { run = Run(attempts: attempts) }

    private var branches: [BranchID] { (0..<run.branchCount).map { BranchID($0) } }

    private func isPending(_ id: BranchID) -> Bool {
        [.inviting, .ringing, .cancelPending, .cancelling].contains(run.call.state(of: id))
    }

    /// What peers and relay that keep to the protocol may do next.
    var lawfulEvents: [BackToBackCall.Event] {
        var next = owedEvents
        let call = run.call
        if call.caller == .proceeding { next += [.callerCancelled, .bye(from: .caller)] }
        if call.caller == .answered || call.caller == .confirmed { next += [.bye(from: .caller), .callerCancelled] }
        if call.callee == .confirmed { next += [.bye(from: .callee)] }
        for id in branches where isPending(id) {
            next += [
                .calleeProvisional(id, status: 100), .calleeProvisional(id, status: 180),
                .calleeTimedOut(id, .inviteTimeout, status: 408), .calleeRejected(id, status: 503),
            ]
        }
        next.append(.release(cause: .noMedia, status: 480, party: .relayd))
        return next
    }

    /// What comes sooner or later, because somebody or a timer sees to it.
    var owedEvents: [BackToBackCall.Event] {
        var next: [BackToBackCall.Event] = []
        let call = run.call
        if call.media == .opening, !hadMediaClosed { next.append(.mediaOpened) }
        if call.media == .closing { next.append(.mediaClosed) }
        for id in branches {
            if isPending(id) {
                next += [
                    .calleeAnswered(id, hasAnswer: true), .calleeAnswered(id, hasAnswer: false),
                    .calleeRejected(id, status: 487), .calleeRejected(id, status: 603), .calleeUnreachable(id, .inviteTimeout, status: 408),
                ]
            } else if !inviteEnded.contains(id) {
                next.append(.calleeInviteEnded(id))
            }
        }
        if call.caller == .answered { next += [.callerAcknowledged, .callerAckMissing] }
        return next
    }

    mutating func feed(_ event: BackToBackCall.Event) {
        events.append(event)
        let callerBefore = run.call.caller
        switch event {
        case .calleeProvisional(let id, _): hadProvisional.insert(id)
        case .callerAcknowledged, .callerAckMissing: hadACK = hadACK || callerBefore == .answered
        case .mediaClosed: hadMediaClosed = true
        case .bye(from: .callee): hadCalleeBye = hadCalleeBye || run.call.callee == .confirmed
        case .bye(from: .caller): hadCallerBye = true
        case .calleeInviteEnded(let id): inviteEnded.insert(id)
        default: break
        }
        let before = run.all
        let winner = run.call.winner
        let effects = run.feed(event)
        for (index, effect) in effects.enumerated() { check(effect, after: before + effects[..<index]) }
        if let firstRelease, run.call.release != firstRelease { problems.append("the release changed") }
        firstRelease = firstRelease ?? run.call.release
        if run.call.release != nil, run.call.caller == .proceeding { problems.append("released, but no final response") }
        if let winner, run.call.winner != winner { problems.append("the winner changed") }
    }

    private mutating func check(_ effect: BackToBackCall.Effect, after done: [BackToBackCall.Effect]) {
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append("\(effect): \(problem)") }
        }
        let isFinalSent = done.contains(where: Self.isFinal)
        if case .relayProvisional = effect {
            require(!isFinalSent, "after the final response")
        } else if Self.isFinal(effect) {
            require(!isFinalSent, "a second final response")
        } else {
            require(!done.contains(effect), "twice")
        }
        require(!done.contains(.forget), "after forget")
        switch effect {
        case .attemptFailed: require(!isFinalSent, "after the final response")
        case .cancelCallee(let id):
            require(hadProvisional.contains(id), "before a provisional response")
            require(!done.contains(.acknowledgeCallee(id)), "after the answer")
        case .hangUpBranch(let id):
            require(done.contains(.acknowledgeCallee(id)), "before ACK")
            require(run.call.winner != id, "the winner")
        case .sendBye(.callee):
            require(run.call.winner.map { done.contains(.acknowledgeCallee($0)) } ?? false, "before ACK")
            require(!hadCalleeBye, "after the callee's own BYE")
        case .sendBye(.caller):
            require(done.contains(.answerCaller) && hadACK, "before ACK")
            require(!hadCallerBye, "after the caller's own BYE")
        case .writeRecord: require(hadMediaClosed && run.call.release != nil, "too early")
        case .forget: require(done.contains(.writeRecord), "no record")
        default: break
        }
    }

    mutating func checkEnd() {
        let all = run.all
        func require(_ condition: Bool, _ problem: String) {
            if !condition { problems.append(problem) }
        }
        require(all.filter(Self.isFinal).count == 1, "final responses: \(all)")
        require(all.filter { $0 == .writeRecord }.count == 1, "records: \(all)")
        require(all.last == .forget, "not forgotten: \(all)")
        require(run.call.media == .closed, "media is not closed")
        for id in branches where all.contains(.acknowledgeCallee(id)) {
            if id == run.call.winner {
                require(all.contains(.sendBye(.callee)) != hadCalleeBye, "the callee leg needs exactly one BYE")
            } else {
                require(all.contains(.hangUpBranch(id)), "\(id) answered and was not hung up")
            }
        }
        if all.contains(.answerCaller) {
            require(run.call.winner != nil, "an answer of nobody")
            require(all.contains(.sendBye(.caller)) != hadCallerBye, "the caller leg needs exactly one BYE")
        }
    }

    private static func isFinal(_ effect: BackToBackCall.Effect) -> Bool {
        if case .rejectCaller = effect { return true }
        return effect == .answerCaller
    }
}
