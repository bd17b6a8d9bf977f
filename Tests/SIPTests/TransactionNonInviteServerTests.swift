import Core
import SIP
import Testing

@Suite struct NonInviteServerTransactionTests {
    typealias Effect = NonInviteServerTransaction.Effect

    private func make(answering statuses: [Int] = [], isReliable: Bool = false) -> NonInviteServerTransaction {
        var transaction = NonInviteServerTransaction(isReliable: isReliable)
        #expect(transaction.state == .trying)
        for status in statuses { _ = transaction.responded(status) }
        return transaction
    }

    @Test("trying: a retransmitted request is absorbed")
    func trying() {
        var transaction = make()
        #expect(transaction.requestAgain() == [])
        #expect(transaction.failedTransport() == [])
        #expect(transaction.deadline == nil)
    }

    @Test("proceeding: the provisional response goes out again for each retransmitted request")
    func proceeding() {
        var transaction = make()
        #expect(transaction.responded(100) == [.sendResponse(isRetransmission: false)])
        #expect(transaction.state == .proceeding)
        #expect(transaction.responded(182) == [.sendResponse(isRetransmission: false)])
        #expect(transaction.requestAgain() == [.sendResponse(isRetransmission: true)])
        #expect(transaction.deadline == nil)
    }

    @Test("completed: the final response goes out again for each retransmitted request until timer J at 64*T1",
        arguments: [[], [100]], [200, 404, 603])
    func completed(before: [Int], status: Int) {
        var transaction = make(answering: before)
        #expect(transaction.responded(status, at: at(100)) == [.sendResponse(isRetransmission: false)])
        #expect(transaction.state == .completed)
        #expect(transaction.requestAgain() == [.sendResponse(isRetransmission: true)])
        for late in [100, 200, 500] { #expect(transaction.responded(late, at: at(200)) == []) }
        #expect(transaction.run() == [32_100].each(.terminated))
        #expect(transaction.state == .terminated)
    }

    @Test("over a reliable transport timer J is zero")
    func reliable() {
        var transaction = make(isReliable: true)
        #expect(transaction.responded(200) == [.sendResponse(isRetransmission: false), .terminated])
        #expect(transaction.deadline == nil)
    }

    @Test("a failed transport ends proceeding and completed", arguments: [100, 200])
    func transportFailure(status: Int) {
        var transaction = make(answering: [status])
        #expect(transaction.failedTransport() == [.transportFailed, .terminated])
        #expect(transaction.deadline == nil)
    }

    @Test("terminated: nothing has an effect")
    func terminated() {
        var transaction = make(answering: [200])
        _ = transaction.run()
        #expect(transaction.requestAgain() == [])
        for status in [100, 200] { #expect(transaction.responded(status) == []) }
        #expect(transaction.failedTransport() == [])
        #expect(transaction.advanced(to: at(1_000_000)) == [])
    }
}

extension NonInviteServerTransaction {
    fileprivate mutating func responded(_ status: Int, at now: Instant = clockStart) -> [Effect] {
        var effects: [Effect] = []
        respond(status: status, now: now, effects: &effects)
        return effects
    }

    fileprivate func requestAgain() -> [Effect] {
        var effects: [Effect] = []
        receiveRequest(effects: &effects)
        return effects
    }

    fileprivate mutating func failedTransport() -> [Effect] {
        var effects: [Effect] = []
        transportFailed(effects: &effects)
        return effects
    }
}
