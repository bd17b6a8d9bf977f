import Core
import SIP
import Testing

@Suite struct InviteClientTransactionTests {
    typealias Effect = InviteClientTransaction.Effect

    private func make(isReliable: Bool = false, timers: TimerValues = TimerValues()) -> InviteClientTransaction {
        var effects: [Effect] = []
        let transaction = InviteClientTransaction(
            now: clockStart, isReliable: isReliable, timers: timers, effects: &effects)
        #expect(effects == [.sendRequest])
        #expect(transaction.state == .calling)
        return transaction
    }

    private func make(after statuses: [Int], isReliable: Bool = false) -> InviteClientTransaction {
        var transaction = make(isReliable: isReliable)
        for status in statuses { _ = transaction.received(status) }
        return transaction
    }

    @Test("the INVITE goes out at 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s and is given up at 32 s (timers A, B)")
    func retransmission() {
        var transaction = make()
        #expect(transaction.run() == [500, 1500, 3500, 7500, 15_500, 31_500].each(.sendRequest)
            + [.init(milliseconds: 32_000, .timedOut), .init(milliseconds: 32_000, .terminated)])
        #expect(transaction.state == .terminated)
        #expect(transaction.deadline == nil)
    }

    @Test("with T1 of 100 ms everything is five times as fast")
    func smallerT1() {
        var transaction = make(timers: TimerValues(t1: .milliseconds(100)))
        #expect(transaction.run() == [100, 300, 700, 1500, 3100, 6300].each(.sendRequest)
            + [6400].each(.timedOut) + [6400].each(.terminated))
    }

    @Test("over a reliable transport nothing is sent again, and timer B still ends it")
    func reliable() {
        var transaction = make(isReliable: true)
        #expect(transaction.run() == [32_000].each(.timedOut) + [32_000].each(.terminated))
    }

    @Test("calling: a provisional response stops timers A and B")
    func provisional() {
        var transaction = make()
        #expect(transaction.received(180) == [.deliver])
        #expect(transaction.state == .proceeding)
        #expect(transaction.deadline == nil)
        #expect(transaction.advanced(to: at(3_600_000)) == [])
        #expect(transaction.received(183) == [.deliver])
        #expect(transaction.state == .proceeding)
    }

    @Test("a 2xx is delivered, from calling and from proceeding; further ones are too until timer M at 64*T1",
        arguments: [[], [180]])
    func success(before: [Int]) {
        var transaction = make(after: before)
        #expect(transaction.received(200, at: at(400)) == [.deliver])
        #expect(transaction.state == .accepted)
        #expect(transaction.received(200, at: at(900)) == [.deliver])
        #expect(transaction.received(180) == [])
        #expect(transaction.received(486) == [])
        #expect(transaction.state == .accepted)
        #expect(transaction.run() == [32_400].each(.terminated))
    }

    @Test("timer M runs over a reliable transport too")
    func reliableSuccess() {
        var transaction = make(isReliable: true)
        #expect(transaction.received(200) == [.deliver])
        #expect(transaction.run() == [32_000].each(.terminated))
    }

    @Test("a 300-699 is acknowledged and delivered, from calling and from proceeding",
        arguments: [[], [180]], [300, 302, 404, 486, 503, 600, 699])
    func failure(before: [Int], status: Int) {
        var transaction = make(after: before)
        #expect(transaction.received(status, at: at(200)) == [.sendACK, .deliver])
        #expect(transaction.state == .completed)
        #expect(transaction.run() == [32_200].each(.terminated))
    }

    @Test("completed: each retransmitted final response gets the ACK again and is not delivered; others are dropped")
    func completed() {
        var transaction = make(after: [486])
        #expect(transaction.received(486, at: at(500)) == [.sendACK])
        #expect(transaction.received(486, at: at(1500)) == [.sendACK])
        #expect(transaction.received(180) == [])
        #expect(transaction.received(200) == [])
        #expect(transaction.state == .completed)
        #expect(transaction.deadlineMilliseconds == 32_000, "timer D is not restarted")
    }

    @Test("timer D is 32 s even where T1 is small, and 64*T1 where it is large")
    func timerD() {
        for (t1, end) in [(100, 32_000), (1000, 64_000)] {
            var transaction = make(timers: TimerValues(t1: .milliseconds(t1)))
            _ = transaction.received(404)
            #expect(transaction.deadlineMilliseconds == end)
        }
    }

    @Test("over a reliable transport timer D is zero")
    func reliableFailure() {
        var transaction = make(isReliable: true)
        #expect(transaction.received(404) == [.sendACK, .deliver, .terminated])
        #expect(transaction.deadline == nil)
    }

    @Test("a failed transport ends calling and completed", arguments: [[], [486]])
    func transportFailure(before: [Int]) {
        var transaction = make(after: before)
        #expect(transaction.failedTransport() == [.transportFailed, .terminated])
        #expect(transaction.state == .terminated)
        #expect(transaction.deadline == nil)
    }

    @Test("a failed transport is no news where the machine sends nothing", arguments: [[180], [200]])
    func transportFailureElsewhere(before: [Int]) {
        var transaction = make(after: before)
        let state = transaction.state
        #expect(transaction.failedTransport() == [])
        #expect(transaction.state == state)
    }

    @Test("terminated: nothing has an effect")
    func terminated() {
        var transaction = make()
        _ = transaction.run()
        for status in [100, 200, 404] { #expect(transaction.received(status) == []) }
        #expect(transaction.failedTransport() == [])
        #expect(transaction.advanced(to: at(1_000_000)) == [])
        transaction.cancelSent(now: at(1_000_000))
        #expect(transaction.deadline == nil)
    }

    @Test("a callee that stays silent after CANCEL is given up 64*T1 later (RFC 3261 §9.1)")
    func cancelled() {
        var transaction = make(after: [180])
        transaction.cancelSent(now: at(5000))
        transaction.cancelSent(now: at(6000))
        #expect(transaction.received(180, at: at(7000)) == [.deliver])
        #expect(transaction.run() == [37_000].each(.timedOut) + [37_000].each(.terminated))
    }

    @Test("the answers to a cancelled INVITE take their usual way")
    func cancelledAndAnswered() {
        for (status, state) in [(487, InviteClientTransaction.State.completed), (200, .accepted)] {
            var transaction = make(after: [180])
            transaction.cancelSent(now: at(5000))
            _ = transaction.received(status, at: at(5010))
            #expect(transaction.state == state)
            #expect(transaction.run() == [37_010].each(.terminated))
        }
    }

    @Test("before a provisional response CANCEL may not be sent and changes nothing")
    func cancelledTooEarly() {
        var transaction = make()
        transaction.cancelSent(now: at(400))
        #expect(transaction.run().last == .init(milliseconds: 32_000, .terminated))
    }

    @Test("numbers that are no SIP status are dropped", arguments: [Int.min, 0, 99, 700, Int.max])
    func nonsense(status: Int) {
        for before in [[], [180], [200], [404]] {
            var transaction = make(after: before)
            let state = transaction.state
            #expect(transaction.received(status) == [])
            #expect(transaction.state == state)
        }
    }

    @Test("asked late it sends once, and what follows comes when it would have come anyway")
    func late() {
        var transaction = make()
        #expect(transaction.advanced(to: at(4000)) == [.sendRequest])
        #expect(transaction.deadlineMilliseconds == 7500)
        #expect(transaction.advanced(to: at(40_000)) == [.timedOut, .terminated])
    }
}

extension InviteClientTransaction {
    fileprivate mutating func received(_ status: Int, at now: Instant = clockStart) -> [Effect] {
        var effects: [Effect] = []
        receive(status: status, now: now, effects: &effects)
        return effects
    }

    fileprivate mutating func failedTransport() -> [Effect] {
        var effects: [Effect] = []
        transportFailed(effects: &effects)
        return effects
    }
}
