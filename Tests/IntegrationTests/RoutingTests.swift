import ControlProtocol
import Core
import Harness
import Testing

@Suite("routes and trunks", .inTurn, .serialized, .needs(.sipp))
struct RoutingTests {
    /// The trunk behind the carrier.
    private func reserve(_ bed: Testbed) -> SocketAddress { SocketAddress(ip: bed.host, port: 5081) }

    private func addReserve(_ settings: inout DaemonSettings) {
        settings.trunks.append(
            .init("reserve", SocketAddress(ip: settings.listen.ip, port: 5081), prefixes: [""], lines: ["priority = 1"]))
    }

    @Test("a carrier that refuses with 503 is followed by the next one, which talks through the same relay ports")
    func failover() async throws {
        try await Testbed.with({ addReserve(&$0) }) { bed in
            let first = try await bed.callee("callee-refuses-503")
            let second = try await bed.callee("callee-stays") { $0.address = reserve(bed) }
            let caller = try await bed.caller("caller-hangs-up")
            try await caller.succeeds()
            try await first.succeeds()
            try await second.succeeds()
            #expect(caller.received("503 Service Unavailable").isEmpty)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            #expect(record.calleeTrunk == "reserve" && record.calleeCallID == second.callID)
            #expect(try bed.daemon.control.counter(.callsRerouted) == 1)
            let offers = [first, second].map { $0.received("INVITE").first?.mediaAddress }
            #expect(offers[0] != nil && offers[0] == offers[1])
            let trunks = try bed.daemon.control.trunks()
            #expect(trunks.map(\.name) == ["customers", "carrier", "reserve"])
            #expect(trunks[1].lastFailure?.hasPrefix("503") == true && trunks[2].answered == 1)
        }
    }

    @Test("a carrier that is silent is followed by the next one")
    func silentCarrier() async throws {
        try await Testbed.with({
            addReserve(&$0)
            $0.trunks[1].lines = ["invite_timeout = \"300ms\""]
        }) { bed in
            let silent = try UDPSocket(bed.carrier)
            let second = try await bed.callee("callee-stays") { $0.address = reserve(bed) }
            let caller = try await bed.caller("caller-hangs-up")
            try await caller.succeeds()
            try await second.succeeds()
            #expect(silent.receive() != nil)
            #expect(try bed.daemon.control.trunks()[1].lastFailure == "no response to INVITE in 0.3 seconds")
        }
    }

    @Test("a carrier that fails is out; OPTIONS brings it back")
    func health() async throws {
        try await Testbed.with({ $0.routing = ["failures = 1", "probe_interval = 1"] }) { bed in
            let refusing = try await bed.callee("callee-refuses-503")
            let caller = try await bed.caller("caller-is-refused")
            try await caller.succeeds()
            try await refusing.succeeds()
            #expect(try bed.daemon.control.trunks()[1].state == .down)
            let options = try await bed.callee("options-answerer")
            try await eventually("the carrier is back") { try bed.daemon.control.trunks()[1].state == .up }
            try await options.succeeds()
            #expect(try bed.daemon.control.trunks()[1].probe == "200 OK")
        }
    }

    @Test("registers with a registrar that challenges, which checks the digest itself, and takes the contact off at the end")
    func registration() async throws {
        try await Testbed.with({
            $0.trunks[1].lines = [
                "username = \"relayd\"", "password = \"secret\"", "register = \"on\"", "register_expires = 120",
            ]
        }) { bed in
            let registrar = try await bed.callee("registrar")
            try await eventually("relayd is registered") {
                try bed.daemon.control.trunks()[1].registration?.hasPrefix("registered") == true
            }
            _ = try await bed.daemon.stop()
            try await registrar.succeeds()
            let registers = registrar.received("REGISTER")
            #expect(registers.count >= 3 && registers.last?.header("Expires") == "0")
        }
    }
}
