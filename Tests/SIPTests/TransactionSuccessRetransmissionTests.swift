import Core
import SIP
import Testing

@Suite struct SuccessRetransmissionTests {
    @Test("a 2xx goes out again at intervals capped at T2; without ACK it is given up at 64*T1 = 32 s")
    func withoutACK() {
        var retransmission = SuccessRetransmission(now: clockStart)
        let times = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
        #expect(retransmission.run() == times.each(.resend) + [32_000].each(.ackMissing))
        #expect(retransmission.isFinished)
        #expect(retransmission.advanced(to: at(100_000)) == [])
    }

    @Test("the ACK ends it, before the first retransmission and between two")
    func acknowledged() {
        for (acknowledgedAt, sent) in [(100, 0), (4000, 3)] {
            var retransmission = SuccessRetransmission(now: clockStart)
            #expect(retransmission.run(until: at(acknowledgedAt)).count == sent)
            #expect(!retransmission.isFinished)
            retransmission.receiveACK()
            #expect(retransmission.isFinished)
            #expect(retransmission.deadline == nil)
            #expect(retransmission.advanced(to: at(100_000)) == [])
            retransmission.receiveACK()
            #expect(retransmission.isFinished)
        }
    }

    @Test("asked late it sends once; asked after the end it only gives up")
    func late() {
        var retransmission = SuccessRetransmission(now: clockStart)
        #expect(retransmission.advanced(to: at(20_000)) == [.resend])
        #expect(retransmission.deadlineMilliseconds == 23_500)
        #expect(retransmission.advanced(to: at(3_600_000)) == [.ackMissing])
    }
}
