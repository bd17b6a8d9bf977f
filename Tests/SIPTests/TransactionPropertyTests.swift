import Core
import SIP
import Testing

/// What must hold for every machine under any sequence of inputs at any times. A failure prints the seed.
@Suite struct TransactionPropertyTests {
    private static let seeds: ClosedRange<UInt64> = 1...200
    private static let statuses = [100, 180, 183, 200, 202, 302, 404, 486, 503, 603]

    @Test func inviteClient() {
        for seed in Self.seeds {
            check(seed: seed, terminated: InviteClientTransaction.Effect.terminated) { random, effects in
                InviteClientTransaction(now: clockStart, isReliable: .random(using: &random), effects: &effects)
            } input: { transaction, now, random, effects in
                switch Int.random(in: 0..<8, using: &random) {
                case 0: transaction.transportFailed(effects: &effects)
                case 1: transaction.cancelSent(now: now)
                default:
                    transaction.receive(
                        status: Self.statuses.randomElement(using: &random)!, now: now, effects: &effects)
                }
                return transaction.state == .terminated
            }
        }
    }

    @Test func nonInviteClient() {
        for seed in Self.seeds {
            check(seed: seed, terminated: NonInviteClientTransaction.Effect.terminated) { random, effects in
                NonInviteClientTransaction(now: clockStart, isReliable: .random(using: &random), effects: &effects)
            } input: { transaction, now, random, effects in
                switch Int.random(in: 0..<8, using: &random) {
                case 0: transaction.transportFailed(effects: &effects)
                default:
                    transaction.receive(
                        status: Self.statuses.randomElement(using: &random)!, now: now, effects: &effects)
                }
                return transaction.state == .terminated
            }
        }
    }

    @Test func inviteServer() {
        for seed in Self.seeds {
            check(seed: seed, terminated: InviteServerTransaction.Effect.terminated) { random, effects in
                InviteServerTransaction(
                    now: clockStart, trying: .random(using: &random) ? .atOnce : .whenSlow,
                    isReliable: .random(using: &random), effects: &effects)
            } input: { transaction, now, random, effects in
                switch Int.random(in: 0..<8, using: &random) {
                case 0: transaction.transportFailed(effects: &effects)
                case 1...3: transaction.receiveRequest(effects: &effects)
                case 4...5: transaction.receiveACK(now: now, effects: &effects)
                default:
                    transaction.respond(
                        status: Self.statuses.randomElement(using: &random)!, now: now, effects: &effects)
                }
                return transaction.state == .terminated
            }
        }
    }

    @Test func nonInviteServer() {
        for seed in Self.seeds {
            check(seed: seed, terminated: NonInviteServerTransaction.Effect.terminated) { random, _ in
                NonInviteServerTransaction(isReliable: .random(using: &random))
            } input: { transaction, now, random, effects in
                switch Int.random(in: 0..<8, using: &random) {
                case 0: transaction.transportFailed(effects: &effects)
                case 1...4: transaction.receiveRequest(effects: &effects)
                default:
                    transaction.respond(
                        status: Self.statuses.randomElement(using: &random)!, now: now, effects: &effects)
                }
                return transaction.state == .terminated
            }
        }
    }

    @Test("one big jump leads where many steps lead: same next deadline, same ending, never more sendings")
    func jumps() {
        for seed in Self.seeds {
            var random = SeededRandom(seed: seed)
            var effects: [InviteServerTransaction.Effect] = []
            var stepping = InviteServerTransaction(now: clockStart, effects: &effects)
            stepping.respond(status: 486, now: clockStart, effects: &effects)
            var jumping = stepping
            let end = at(Int.random(in: 0..<40_000, using: &random))
            let stepped = stepping.run(until: end).map(\.effect)
            let jumped = jumping.advanced(to: end)
            #expect(jumping.deadline == stepping.deadline, "seed \(seed)")
            #expect(jumping.state == stepping.state, "seed \(seed)")
            #expect(jumped.filter { $0 != .sendResponse(isRetransmission: true) }
                == stepped.filter { $0 != .sendResponse(isRetransmission: true) }, "seed \(seed)")
            #expect(jumped.count <= stepped.count, "seed \(seed)")
        }
    }

    /// Random inputs with random pauses; in the pauses time goes from deadline to deadline, or jumps.
    ///
    /// After `advance` nothing may be due any more, `.terminated` comes once and last, a terminated machine has no
    /// deadline, and once inputs stop the deadlines end too, after a bounded time.
    private func check<Machine: TimedMachine>(
        seed: UInt64, terminated: Machine.Effect,
        make: (inout SeededRandom, inout [Machine.Effect]) -> Machine,
        input: (inout Machine, Instant, inout SeededRandom, inout [Machine.Effect]) -> Bool
    ) {
        var random = SeededRandom(seed: seed)
        var effects: [Machine.Effect] = []
        var machine = make(&random, &effects)
        var now = clockStart
        for _ in 0..<Int.random(in: 0..<30, using: &random) {
            let pause = [0, 1, 100, 500, 4000, 31_999, 40_000].randomElement(using: &random)!
            let next = now + .milliseconds(pause)
            if Bool.random(using: &random) { effects += machine.run(until: next).map(\.effect) }
            now = next
            machine.advance(to: now, effects: &effects)
            if let deadline = machine.deadline { #expect(deadline > now, "seed \(seed)") }
            let isTerminated = input(&machine, now, &random, &effects)
            #expect(isTerminated == effects.contains(terminated), "seed \(seed)")
            if isTerminated { #expect(machine.deadline == nil, "seed \(seed)") }
        }
        var steps = 0
        while let deadline = machine.deadline, steps < 100 {
            #expect(deadline - now <= .seconds(32), "seed \(seed)")
            machine.advance(to: deadline, effects: &effects)
            steps += 1
        }
        #expect(machine.deadline == nil, "seed \(seed): still has a deadline after \(steps) steps")
        let endings = effects.indices.filter { effects[$0] == terminated }
        #expect(endings.isEmpty || endings == [effects.count - 1], "seed \(seed)")
    }
}
