import Core
import SIP
import Testing

@Suite struct NonInviteClientTransactionTests {
    typealias Effect = NonInviteClientTransaction.Effect

    private func make(after statuses: [Int] = [], isReliable: Bool = false) -> NonInviteClientTransaction {
        var effects: [Effect] = []
        var transaction = NonInviteClientTransaction(now: clockStart, isReliable: isReliable, effects: &effects)
        #expect(effects == [.sendRequest])
        #expect(transaction.state == .trying)
        for status in statuses { _ = transaction.received(status) }
        return transaction
    }

    @Test("the request goes out at doubling intervals capped at T2 until timer F at 32 s (timer E)")
    func retransmission() {
        var transaction = make()
        let times = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
        #expect(transaction.run() == times.each(.sendRequest) + [32_000].each(.timedOut) + [32_000].each(.terminated))
        #expect(transaction.state == .terminated)
        #expect(transaction.deadline == nil)
    }

    @Test("over a reliable transport only timer F runs")
    func reliable() {
        var transaction = make(isReliable: true)
        #expect(transaction.run() == [32_000].each(.timedOut) + [32_000].each(.terminated))
    }

    @Test("after a provisional response the interval is T2, from the retransmission on that was already due")
    func proceeding() {
        var transaction = make()
        #expect(transaction.run(until: at(500)) == [500].each(.sendRequest))
        #expect(transaction.received(100, at: at(600)) == [.deliver])
        #expect(transaction.state == .proceeding)
        #expect(transaction.received(182, at: at(700)) == [.deliver])
        let times = [1500, 5500, 9500, 13_500, 17_500, 21_500, 25_500, 29_500]
        #expect(transaction.run() == times.each(.sendRequest) + [32_000].each(.timedOut) + [32_000].each(.terminated))
    }

    @Test("a final response is delivered once; its retransmissions are absorbed until timer K",
        arguments: [[], [100]], [200, 302, 404, 500, 603])
    func final(before: [Int], status: Int) {
        var transaction = make(after: before)
        #expect(transaction.received(status, at: at(100)) == [.deliver])
        #expect(transaction.state == .completed)
        for late in [100, 200, 404] { #expect(transaction.received(late, at: at(600)) == []) }
        #expect(transaction.failedTransport() == [])
        #expect(transaction.run() == [5100].each(.terminated))
    }

    @Test("over a reliable transport timer K is zero")
    func reliableFinal() {
        var transaction = make(isReliable: true)
        #expect(transaction.received(200) == [.deliver, .terminated])
        #expect(transaction.deadline == nil)
    }

    @Test("a failed transport ends trying and proceeding", arguments: [[], [100]])
    func transportFailure(before: [Int]) {
        var transaction = make(after: before)
        #expect(transaction.failedTransport() == [.transportFailed, .terminated])
        #expect(transaction.deadline == nil)
    }

    @Test("terminated: nothing has an effect")
    func terminated() {
        var transaction = make()
        _ = transaction.run()
        for status in [100, 200, 404] { #expect(transaction.received(status) == []) }
        #expect(transaction.failedTransport() == [])
        #expect(transaction.advanced(to: at(1_000_000)) == [])
    }

    @Test("numbers that are no SIP status are dropped", arguments: [Int.min, 0, 99, 700, Int.max])
    func nonsense(status: Int) {
        var transaction = make()
        #expect(transaction.received(status) == [])
        #expect(transaction.state == .trying)
    }
}

extension NonInviteClientTransaction {
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
