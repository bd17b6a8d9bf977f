import Core
import Testing

@testable import Uring

@Suite("TCP")
struct TCPTests {
    @Test("a listener accepts, knows who came, and gives its port back", arguments: [IPAddress.ipv4Loopback, .ipv6Loopback])
    func listens(ip: IPAddress) throws {
        var address = SocketAddress(ip: ip, port: 0)
        do {
            let listener = try TCPListener(bindingTo: address)
            address = try listener.localAddress
            #expect(throws: Errno.addressInUse) { _ = try TCPListener(bindingTo: address) }
            var ring = try Ring()
            ring.accept(on: listener, token: Token(kind: 1))
            let client = try BlockingTCPSocket(connectingTo: address, deadline: MonotonicClock.now + .seconds(5))
            let accepted = try #require(try completions(of: &ring, count: 1).first)
            let server = StreamSocket(accepted: accepted.result)
            #expect(server.peerAddress?.ip == ip)
            try client.write(Array("hello".utf8))
            ring.pollReadable(server.file, repeating: false, token: Token(kind: 2))
            _ = try completions(of: &ring, count: 1)
            #expect(try server.read() == Array("hello".utf8))
            #expect(try server.write(Array("you".utf8).span) == 3)
            #expect(try client.read() == Array("you".utf8))
        }
        // Although its connection is in TIME_WAIT, and the kernel may hold the listener a moment longer for the ring.
        _ = try TCPListener.listener(on: address)
    }

    @Test("a blocking socket waits no longer than its deadline")
    func deadline() throws {
        let listener = try TCPListener(bindingTo: anyPort)  // never accepts, so never answers
        let start = MonotonicClock.now
        let client = try BlockingTCPSocket(connectingTo: try listener.localAddress, deadline: start + .seconds(2))
        try client.write(Array("hello".utf8))
        let timedOut = Errno(code: 110)
        #expect(throws: timedOut) { _ = try client.read() }
        #expect(MonotonicClock.now - start >= .seconds(2))
        #expect(throws: timedOut) { try client.write([1]) }
    }

    @Test("nobody there is said at once")
    func refused() throws {
        let nobody: SocketAddress
        // An address of its own: nobody else is given the port in between.
        let ip = try #require(IPAddress("127.83.0.1"))
        do { nobody = try TCPListener(bindingTo: SocketAddress(ip: ip, port: 0)).localAddress }
        #expect(throws: Errno(code: 111)) {
            _ = try BlockingTCPSocket(connectingTo: nobody, deadline: MonotonicClock.now + .seconds(5))
        }
    }
}
