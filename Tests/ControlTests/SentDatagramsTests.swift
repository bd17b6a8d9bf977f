import Core
import SIP
import Testing

@testable import Control

@Suite struct SentDatagramsTests {
    private func entry(_ port: UInt16) -> SentDatagrams.Entry {
        let destination = SocketAddress(ip: IPAddress(ipv4: 0xc000_0201), port: port)
        return SentDatagrams.Entry(transaction: nil, octets: [], destination: Flow(udp: destination))
    }

    @Test("what the kernel refuses is found in the turn after the one that sent it, among what that turn sends")
    func isFoundForOneTurn() {
        var sent = SentDatagrams()
        let first = sent.add(entry(1))
        let second = sent.add(entry(2))
        #expect(sent[first]?.destination.remote.port == 1)
        sent.forgetFormer()
        let third = sent.add(entry(3))
        #expect([first, second, third].map { sent[$0]?.destination.remote.port } == [1, 2, 3])
        sent.forgetFormer()
        let fourth = sent.add(entry(4))
        #expect(sent[second] == nil, "its memory was given back")
        #expect([third, fourth].map { sent[$0]?.destination.remote.port } == [3, 4])
    }

    @Test("of a turn with too many datagrams the last ones are forgotten at once")
    func isLimited() {
        var sent = SentDatagrams()
        let indices = (0..<5_000).map { sent.add(entry(UInt16($0))) }
        #expect(sent[indices[4_095]]?.destination.remote.port == 4_095)
        #expect(sent[indices[4_096]] == nil)
        sent.forgetFormer()
        #expect(sent[indices[0]]?.destination.remote.port == 0)
        #expect(sent[indices[4_999]] == nil)
    }
}
