import Configuration
import Core
import SIP
import Testing

/// Requests that are too long for a datagram (RFC 3261 §18.1.1).
@Suite struct LongRequestTests {
    /// A customer that calls from an address which is not the one it would be called at.
    private static let customer = SocketAddress("198.51.100.77:5060")!
    private static let proxy = SocketAddress("203.0.113.40:5060")!
    /// Lines that make a description longer than a datagram should be.
    private static let longOffer = "m=audio 41000 RTP/AVP 8\r\n" + (0..<30).map { "a=x-line-\($0):" + String(repeating: "x", count: 40) + "\r\n" }.joined()

    private func world(_ seed: UInt64, _ change: (inout Configuration) -> Void = { _ in }) -> SimulatedWorld {
        SimulatedWorld(seed: seed) { configuration in
            configuration.sip.listeners = [SIPListener(.tcp, SimulatedWorld.relayd)]
            configuration.trunks[0].address = Self.customer
            configuration.trunks[0].sources = [TrunkSource("198.51.100.10")!]
            change(&configuration)
        }
    }

    /// By which transport requests of relayd's inside a call went to that peer, as Via says.
    private func transports(of method: Method, to peer: SocketAddress, in world: SimulatedWorld) -> [Via.Transport] {
        world.traffic.filter { !$0.isReceived && $0.peer == peer && $0.message.isRequest && $0.message.toTag != nil && $0.message.method == method }
            .map(\.message.topVia.transport)
    }

    @Test("a long re-INVITE goes by TCP to the Contact of a caller's trunk, a short one by UDP")
    func callersTrunk() {
        let world = world(81)
        let (_, callee) = world.establishCall()
        let long = callee.ask(.invite, offer: Self.longOffer)
        world.run(for: .seconds(1))
        #expect(long.status == 200)
        #expect(transports(of: .invite, to: SimulatedWorld.callerAddress, in: world) == [.tcp])
        let other = self.world(82)
        let short = other.establishCall().callee.ask(.invite, offer: "")
        other.run(for: .seconds(1))
        #expect(short.status == 200)
        #expect(transports(of: .invite, to: SimulatedWorld.callerAddress, in: other) == [.udp])
    }

    @Test("a peer that takes no connection gets it by UDP at once, and is not asked again for ten minutes")
    func refused() {
        let world = world(83)
        world.streamRefusals = [SimulatedWorld.callerAddress]
        let (_, callee) = world.establishCall()
        for _ in 0..<2 {
            let long = callee.ask(.invite, offer: Self.longOffer)
            world.run(for: .seconds(1))
            #expect(long.status == 200)
        }
        #expect(transports(of: .invite, to: SimulatedWorld.callerAddress, in: world) == [.udp, .udp])
        #expect(world.counters[.sipSendFailures] == 1)
    }

    @Test("a long request goes by TCP to the proxy that has put itself into the route")
    func route() {
        let world = world(84)
        var script = CallScript()
        script.headers = [("Record-Route", "<sip:\(Self.proxy);lr>")]
        let (caller, _) = world.establishCall(script)
        caller.ask(.invite, offer: Self.longOffer)
        world.run(for: .milliseconds(300))
        #expect(transports(of: .invite, to: Self.proxy, in: world) == [.tcp])
    }

    @Test("UDP it stays where the trunk or its route is bound to that, and where relayd does not listen for TCP", arguments: 0..<3)
    func bound(what: Int) {
        let world = world(85) {
            if what == 0 { $0.trunks[1].namedTransport = .udp }
            if what == 1 { $0.sip.listeners = [] }
        }
        var script = CallScript()
        script.headers = [("Record-Route", "<sip:\(Self.proxy);lr\(what == 2 ? ";transport=udp" : "")>")]
        let (caller, _) = world.establishCall(script)
        caller.ask(.invite, offer: Self.longOffer)
        world.run(for: .milliseconds(300))
        #expect(transports(of: .invite, to: Self.proxy, in: world) == [.udp])
    }
}
