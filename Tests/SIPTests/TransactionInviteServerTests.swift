import Core
import SIP
import Testing

@Suite struct InviteServerTransactionTests {
    typealias Effect = InviteServerTransaction.Effect

    private func make(
        answering statuses: [Int] = [], trying: InviteServerTransaction.Trying = .atOnce, isReliable: Bool = false
    ) -> InviteServerTransaction {
        var effects: [Effect] = []
        var transaction = InviteServerTransaction(
            now: clockStart, trying: trying, isReliable: isReliable, effects: &effects)
        #expect(effects == (trying == .atOnce ? [.sendTrying] : []))
        #expect(transaction.state == .proceeding)
        for status in statuses { _ = transaction.responded(status) }
        return transaction
    }

    @Test("100 at once: no timer runs until the user answers")
    func tryingAtOnce() {
        let transaction = make()
        #expect(transaction.deadline == nil)
        #expect(transaction.requestAgain() == [.sendResponse(isRetransmission: true)])
    }

    @Test("100 after 200 ms where the user is slow; before that a retransmitted INVITE is absorbed")
    func tryingWhenSlow() {
        var transaction = make(trying: .whenSlow)
        #expect(transaction.requestAgain() == [])
        #expect(transaction.run() == [200].each(.sendTrying))
        #expect(transaction.requestAgain() == [.sendResponse(isRetransmission: true)])
    }

    @Test("no 100 follows an answer that came in time", arguments: [180, 200, 404])
    func answeredInTime(status: Int) {
        var transaction = make(trying: .whenSlow)
        #expect(transaction.responded(status, at: at(150)) == [.sendResponse(isRetransmission: false)])
        #expect(!transaction.run().map(\.effect).contains(.sendTrying))
    }

    @Test("proceeding: each provisional response is sent, the last one again for a retransmitted INVITE")
    func proceeding() {
        var transaction = make()
        #expect(transaction.responded(180) == [.sendResponse(isRetransmission: false)])
        #expect(transaction.responded(183) == [.sendResponse(isRetransmission: false)])
        #expect(transaction.requestAgain() == [.sendResponse(isRetransmission: true)])
        #expect(transaction.acknowledged() == [])
        #expect(transaction.state == .proceeding)
        #expect(transaction.deadline == nil)
    }

    @Test("accepted: INVITEs are absorbed, ACKs and the user's 2xx pass, until timer L at 64*T1")
    func accepted() {
        var transaction = make()
        #expect(transaction.responded(200, at: at(1000)) == [.sendResponse(isRetransmission: false)])
        #expect(transaction.state == .accepted)
        #expect(transaction.requestAgain() == [])
        #expect(transaction.responded(200, at: at(1500)) == [.sendResponse(isRetransmission: true)])
        #expect(transaction.acknowledged(at: at(1600)) == [.deliverACK])
        #expect(transaction.acknowledged(at: at(1700)) == [.deliverACK])
        #expect(transaction.responded(180) == [])
        #expect(transaction.responded(486) == [])
        #expect(transaction.state == .accepted)
        #expect(transaction.run() == [33_000].each(.terminated))
    }

    @Test("timer L runs over a reliable transport too")
    func reliableAccepted() {
        var transaction = make(answering: [200], isReliable: true)
        #expect(transaction.run() == [32_000].each(.terminated))
    }

    @Test("completed: the response goes out again at intervals capped at T2 until timer H at 32 s (timer G)",
        arguments: [302, 486, 603])
    func completed(status: Int) {
        var transaction = make()
        #expect(transaction.responded(status) == [.sendResponse(isRetransmission: false)])
        #expect(transaction.state == .completed)
        let times = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
        #expect(transaction.run() == times.each(.sendResponse(isRetransmission: true))
            + [32_000].each(.timedOut) + [32_000].each(.terminated))
    }

    @Test("completed: a retransmitted INVITE gets the response again and moves no timer; the user can say nothing more")
    func completedRetransmission() {
        var transaction = make(answering: [486])
        #expect(transaction.requestAgain() == [.sendResponse(isRetransmission: true)])
        #expect(transaction.deadlineMilliseconds == 500)
        for status in [180, 200, 503] { #expect(transaction.responded(status) == []) }
        #expect(transaction.state == .completed)
    }

    @Test("over a reliable transport timer G does not run and the ACK ends the transaction at once")
    func reliableCompleted() {
        var unanswered = make(answering: [486], isReliable: true)
        #expect(unanswered.run() == [32_000].each(.timedOut) + [32_000].each(.terminated))
        var acknowledged = make(answering: [486], isReliable: true)
        #expect(acknowledged.acknowledged() == [.terminated])
        #expect(acknowledged.deadline == nil)
    }

    @Test("confirmed: everything is absorbed for T4 after the ACK (timer I)")
    func confirmed() {
        var transaction = make(answering: [486])
        #expect(transaction.run(until: at(500)) == [500].each(.sendResponse(isRetransmission: true)))
        #expect(transaction.acknowledged(at: at(700)) == [])
        #expect(transaction.state == .confirmed)
        #expect(transaction.acknowledged(at: at(800)) == [])
        #expect(transaction.requestAgain() == [])
        #expect(transaction.responded(200) == [])
        #expect(transaction.failedTransport() == [])
        #expect(transaction.run() == [5700].each(.terminated))
    }

    @Test("a failed transport is told to the user and the transaction stays (RFC 6026)", arguments: [180, 200, 486])
    func transportFailure(status: Int) {
        let transaction = make(answering: [status])
        let state = transaction.state
        #expect(transaction.failedTransport() == [.transportFailed])
        #expect(transaction.state == state)
    }

    @Test("terminated: nothing has an effect")
    func terminated() {
        var transaction = make(answering: [200])
        _ = transaction.run()
        #expect(transaction.state == .terminated)
        #expect(transaction.requestAgain() == [])
        #expect(transaction.acknowledged() == [])
        for status in [180, 200, 486] { #expect(transaction.responded(status) == []) }
        #expect(transaction.failedTransport() == [])
        #expect(transaction.advanced(to: at(1_000_000)) == [])
    }
}

extension InviteServerTransaction {
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

    fileprivate mutating func acknowledged(at now: Instant = clockStart) -> [Effect] {
        var effects: [Effect] = []
        receiveACK(now: now, effects: &effects)
        return effects
    }

    fileprivate func failedTransport() -> [Effect] {
        var effects: [Effect] = []
        transportFailed(effects: &effects)
        return effects
    }
}
