import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// Whether media goes through relayd, as the modes of both sides' trunks say.
@Suite struct MediaProxyTests {
    private static func world(_ caller: MediaProxyMode?, _ callee: MediaProxyMode?) -> SimulatedWorld {
        SimulatedWorld(seed: 61) {
            $0.trunks[0].mediaProxy = caller
            $0.trunks[1].mediaProxy = callee
        }
    }

    @Test("must wins over off, off over on, on over auto; two times auto relays only where it is needed", arguments: [
        (nil, nil, true), (.on, .auto, true), (.auto, .auto, false), (.off, .on, false), (.off, .must, true), (.must, .off, true),
        (.auto, .off, false), (.off, nil, false),
    ] as [(MediaProxyMode?, MediaProxyMode?, Bool)])
    func modes(caller: MediaProxyMode?, callee: MediaProxyMode?, isRelayed: Bool) throws {
        let world = Self.world(caller, callee)
        let (caller, callee) = world.establishCall()
        let offer = try SessionDescription(parsing: callee.invite.body).media[0]
        let answer = try SessionDescription(parsing: try #require(caller.answer).body).media[0]
        #expect((offer.rtpAddress == SocketAddress("198.51.100.11:40000")!) == !isRelayed)
        #expect((answer.rtpAddress == SocketAddress("203.0.113.21:50000")!) == !isRelayed)
        #expect((offer.rtpAddress?.ip == SimulatedWorld.relayd.ip) == isRelayed)
        #expect(world.commands.isEmpty == !isRelayed)
        let detail = try #require(world.detail(world.presentCalls[0]))
        #expect(detail.proxy?.hasPrefix(isRelayed ? "yes: " : "no: ") == true)
        #expect(detail.summary.monitored == isRelayed)
        #expect(world.problems == [])
    }

    @Test("a call whose media goes by itself can hold, resume and end, is not cut for silence, and is written down")
    func direct() throws {
        let world = Self.world(.off, .auto)
        let (caller, callee) = world.establishCall()
        caller.ask(.invite, offer: "m=audio 41000 RTP/AVP 8\r\na=sendonly\r\n")
        world.run(for: .seconds(1))
        #expect(callee.midDialog.remoteDescription?.media[0].rtpAddress == SocketAddress("198.51.100.11:41000")!)
        #expect(world.events.last { $0.name == .callChanged }?.fields["hold"] == "caller")
        world.run(for: .seconds(300))
        #expect(world.presentCalls.count == 1)
        callee.hangUp()
        world.run(for: .seconds(1))
        #expect(world.records.map(\.cause) == [.normal])
        #expect(world.records.first?.verdict == .normal && world.records.first?.deadAirSeconds == 0)
        world.checkEnd()
        #expect(world.problems == [] && world.commands.isEmpty)
    }

    @Test("what needs the relay has it: private addresses behind a public source, IPv6, digits to convert")
    func needed() throws {
        let hidden = Self.world(.off, .off)
        _ = hidden.establishCall(CallScript(offerMedia: "m=audio 40000 RTP/AVP 8\r\nc=IN IP4 192.168.1.7\r\n"))
        #expect(!hidden.commands.isEmpty)
        let proxyOff = SimulatedWorld(seed: 62) {
            $0.trunks[0].mediaProxy = .off
            $0.media.proxyBehindNAT = .off
        }
        _ = proxyOff.establishCall(CallScript(offerMedia: "m=audio 40000 RTP/AVP 8\r\nc=IN IP4 192.168.1.7\r\n"))
        #expect(proxyOff.commands.isEmpty)
        let digits = SimulatedWorld(seed: 63) {
            $0.trunks[0].mediaProxy = .off
            $0.trunks[1].dtmf = .info
        }
        _ = digits.establishCall()
        #expect(!digits.commands.isEmpty)
    }

    @Test("calls without media of ours count against the limit of calls, and a refusal or CANCEL leaves nothing")
    func limits() {
        let world = SimulatedWorld(seed: 64) {
            $0.media.proxy = .off
            $0.limits.calls = 1
        }
        _ = world.establishCall()
        let second = world.placeCall()
        world.run(for: .seconds(1))
        #expect(second.finalStatus == 503)
        for id in world.presentCalls { _ = world.hangUp(id) }
        world.run(for: .seconds(1))
        let refused = world.placeCall(CallScript(answer: .reject(486)))
        world.run(for: .seconds(4))
        let cancelled = world.placeCall(CallScript(cancelDelay: .seconds(1)))
        world.run(for: .seconds(4))
        #expect(refused.finalStatus == 486 && cancelled.finalStatus == 487)
        world.checkEnd()
        #expect(world.problems == [])
    }
}
