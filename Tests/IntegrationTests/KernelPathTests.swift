import ControlProtocol
import Core
import Harness
import Testing

@Suite("RTP that passes inside the kernel", .inTurn, .serialized, .needs(.root, .sipp))
struct KernelPathTests {
    private static let settings: @Sendable (inout DaemonSettings) -> Void = { settings in
        settings.httpPort = nil
        settings.mediaLines = ["kernel_path = true"]
    }

    /// A call of SIPp's through a daemon between two networks.
    private func withCall(
        _ launcher: [String] = [], _ body: (TwoSidedNetwork, Daemon) async throws -> Void, ended: (CallRecord) -> Void
    ) async throws {
        let network = try await TwoSidedNetwork()
        do {
            var settings = DaemonSettings(listen: TwoSidedNetwork.server, mediaPorts: 10_000...10_199)
            Self.settings(&settings)
            settings.launcher = { _ in network.atServer + launcher }
            settings.trunks = [
                .init("customers", TwoSidedNetwork.customer), .init("carrier", TwoSidedNetwork.carrier, prefixes: [""]),
            ]
            let daemon = try await Daemon.start(settings)
            var plan = SIPp.Plan("callee-stays-rtp", at: TwoSidedNetwork.carrier)
            plan.launcher = network.atCarrier
            plan.media = SocketAddress(ip: TwoSidedNetwork.carrier.ip, port: 30_000)
            let callee = try await SIPp.start(plan)
            plan = SIPp.Plan("caller-hangs-up-rtp", at: TwoSidedNetwork.customer, calling: TwoSidedNetwork.server)
            plan.launcher = network.atCustomer
            plan.media = SocketAddress(ip: TwoSidedNetwork.customer.ip, port: 30_000)
            plan.hangsUpWhenTold = true
            let caller = try await SIPp.start(plan)
            try await body(network, daemon)
            try caller.hangUp()
            try await caller.succeeds()
            try await callee.succeeds()
            ended(try #require(try await daemon.records(count: 1).first))
            _ = try await daemon.stop()
        } catch {
            try await network.remove()
            throw error
        }
        try await network.remove()
    }

    /// The call of `daemon` once so many packets of both parties have passed inside the kernel since `start`.
    private func passes(_ count: UInt64, _ daemon: Daemon, since start: CallDetail? = nil) async throws -> CallDetail {
        var detail: CallDetail?
        try await eventually("\(count) packets each way inside the kernel", within: .seconds(40)) {
            guard let id = try daemon.control.calls().first?.id else { return false }
            let present = try daemon.control.call(id)
            detail = present
            func passed(_ leg: CallDetail.Leg?) -> UInt64 { leg?.kernelPackets ?? 0 }
            return passed(present.caller) >= passed(start?.caller) + count && passed(present.callee) >= passed(start?.callee) + count
        }
        return try #require(detail)
    }

    @Test("between two networks it leaves as from relayd's socket, and all of it is known", .needs(.tshark))
    func twoNetworks() async throws {
        try await withCall { network, daemon in
            _ = try await passes(10, daemon)
            // What the carrier sees of a second or two: checksums, and all that relayd says of its packets.
            let fields = [
                "ip.src", "udp.srcport", "ip.dsfield", "ip.ttl", "ip.checksum.status", "udp.checksum.status", "rtp.seq",
            ]
            let capture = try await run(
                network.atCarrier[0],
                Array(network.atCarrier[1...]) + [
                    "tshark", "-i", "eth0", "-f", "udp and src portrange 10000-10199", "-c", "80", "-o", "ip.check_checksum:TRUE", "-o",
                    "udp.check_checksum:TRUE", "-d", "udp.port==10000-10199,rtp", "-T", "fields",
                ] + fields.flatMap { ["-e", $0] }, within: .seconds(40))
            let lines = capture.output.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
            #expect(lines.count == 80, "\(capture.errors)")
            let detail = try await passes(100, daemon)
            let port = try #require(detail.callee?.relayAddress?.port)
            for line in lines { #expect(Array(line.prefix(6)) == ["198.51.100.2", "\(port)", "0xb8", "64", "1", "1"]) }
            let numbers = lines.compactMap { $0.last.flatMap { UInt16($0) } }
            #expect(numbers == (0..<80).map { numbers[0] &+ UInt16($0) }, "each once, in order")
            let status = try await daemon.relayctl(["status"])
            #expect(status.output.contains("inside the kernel at left, right"), "\(status.output)")
            let call = try await daemon.relayctl(["call", detail.summary.id])
            #expect(call.output.contains("of them in the kernel"), "\(call.output)")
        } ended: { record in
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            #expect(record.fromCaller.lost == 0 && record.fromCallee.lost == 0)
            #expect(record.fromCaller.packets > 110 && record.fromCallee.packets > 110)
            #expect(record.verdict == .normal && record.fromCaller.mos ?? 0 > 4)
        }
    }

    @Test("when routes change it goes on by the new ones, and at new devices, too")
    func routeChanges() async throws {
        try await withCall { network, daemon in
            let before = try await passes(50, daemon)
            let changed = try await run(
                network.atServer[0], Array(network.atServer[1...]) + ["ip", "route", "add", "203.0.113.1/32", "dev", "right"])
            #expect(changed.code == 0, "\(changed.errors)")
            _ = try await passes(100, daemon, since: before)
            let device = "ip link add new type veth peer name other && ip address add 192.0.2.1/24 dev new && ip link set new up"
            let added = try await run(network.atServer[0], Array(network.atServer[1...]) + ["sh", "-c", device])
            #expect(added.code == 0, "\(added.errors)")
            try await eventually("it stands there") { try daemon.control.status().media.kernelDevices == ["left", "right", "new"] }
            _ = try await run(network.atServer[0], Array(network.atServer[1...]) + ["ip", "link", "delete", "new"])
            try await eventually("it is gone") { try daemon.control.status().media.kernelDevices == ["left", "right"] }
        } ended: { record in
            #expect(record.fromCaller.lost == 0 && record.fromCallee.lost == 0)
        }
    }

    @Test("when relayd is killed nothing goes on passing")
    func killed() async throws {
        try await Testbed.with(Self.settings) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            _ = try await passes(50, bed.daemon)
            bed.daemon.process.kill()
            try await eventually("it has ended") { bed.daemon.process.exit != nil }
            let sent = (call.callerMedia.sentCount, call.calleeMedia.sentCount)
            try await eventually("the parties go on sending") {
                call.callerMedia.sentCount >= sent.0 + 25 && call.calleeMedia.sentCount >= sent.1 + 25
            }
            call.stopMedia()
            #expect(call.calleeMedia.heard.numbers.allSatisfy { $0 < sent.0 } && call.callerMedia.heard.numbers.allSatisfy { $0 < sent.1 })
            call.caller.process.kill()
            call.callee.process.kill()
        }
    }

    @Test("without the rights for it RTP goes through sockets, and a warning says so")
    func refused() async throws {
        try await Testbed.with({ settings in
            Self.settings(&settings)
            settings.launcher = { _ in ["setpriv", "--bounding-set=-bpf,-sys_admin,-net_admin"] }
        }) { bed in
            let warnings = try bed.daemon.control.warnings()
            #expect(warnings.contains { $0.contains("not inside the kernel") && $0.contains("CAP_BPF and CAP_NET_ADMIN") }, "\(warnings)")
            let call = try await bed.connect(caller: "caller-hangs-up", callee: "callee-stays", hangsUpWhenTold: .caller)
            let media = try await call.exchange(packets: 50)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(try bed.daemon.control.status().media.kernelDevices == nil)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
        }
    }

    @Test("silence there is silence: BYE to both after the timeout, never before, and every packet is in the record")
    func silence() async throws {
        try await Testbed.with({ settings in
            Self.settings(&settings)
            settings.noMediaTimeout = 5
        }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            _ = try await passes(100, bed.daemon)
            call.stopMedia()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.noMedia, sip: 200, q850: 102, by: .relayd)
            #expect(record.fromCaller.packets == UInt64(call.callerMedia.sentCount))
            #expect(record.fromCallee.packets == UInt64(call.calleeMedia.sentCount))
            #expect(record.fromCaller.lost == 0 && record.fromCallee.lost == 0)
            let last = try #require([record.fromCaller.lastMediaAt, record.fromCallee.lastMediaAt].compactMap(\.self).max())
            #expect((4_999..<12_000).contains(record.releaseAt.milliseconds - last.milliseconds))
        }
    }
}
