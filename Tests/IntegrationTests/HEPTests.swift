import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("HEP3 export", .inTurn, .serialized, .needs(.sipp))
struct HEPTests {
    @Test("sngrep as collector gets every SIP message of both legs, with right addresses, and the RTP figures", .needs(.sngrep), .needs(.tshark))
    func sngrep() async throws {
        let directory = try TemporaryDirectory("hep")
        defer { directory.remove() }
        let host = Loopback.host()
        let collector = SocketAddress(ip: host, port: 9060)
        let sngrep = try ChildProcess(
            "sngrep", ["-F", "-N", "-q", "-L", "udp:\(collector)", "-O", directory.file("hep.pcap")],
            environment: ["TERM": "xterm"], outputPath: directory.file("out"))
        defer { sngrep.kill() }
        try await eventually("sngrep listens") { SIPp.isBound(collector) }
        try await Testbed.with({ $0.further = ["[hep]", "address = \"\(collector)\""] }) { bed in
            try await call(bed)
            // In one answer: something may always be under way.
            let counters = try await eventually("every message and two reports are sent") {
                let counters = try bed.daemon.control.status().counters
                func count(_ counter: Counter) -> UInt64 { counters[counter.name] ?? 0 }
                let total = count(.sipDatagramsReceived) + count(.sipDatagramsSent) + 2
                return count(.hepPacketsSent) == total ? counters : nil
            }
            let sent = counters[Counter.hepPacketsSent.name] ?? 0
            #expect(counters[Counter.hepSendFailures.name] == 0)
            var packets: [Substring] = []
            try await eventually("sngrep has written \(sent) packets") {
                let result = try await run(
                    "tshark",
                    ["-r", directory.file("hep.pcap"), "-d", "udp.port==5060,sip", "-T", "fields", "-e", "ip.src", "-e", "udp.srcport", "-e", "sip.Request-Line", "-e", "sip.Status-Line"])
                packets = result.output.split(separator: "\n")
                return packets.count >= Int(sent)
            }
            #expect(packets.contains { $0.hasPrefix("\(bed.host)\t\(bed.customer.port)\tINVITE sip:4930123456@") })
            #expect(packets.contains { $0.hasPrefix("\(bed.host)\t5060\tINVITE sip:4930123456@\(bed.carrier)") })
            #expect(packets.count { $0.contains("\tBYE ") } >= 2)
        }
    }

    @Test("both legs have one correlation id, the caller's Call-ID, and so have the reports")
    func correlation() async throws {
        let collector = try UDPSocket(SocketAddress(ip: Loopback.host(), port: 9060))
        try await Testbed.with({ $0.further = ["[hep]", "address = \"\(collector.address)\"", "capture_id = 77"] }) { bed in
            let callID = try await call(bed)
            var packets: [Packet] = []
            try await eventually("two reports have come") {
                while let (octets, _) = collector.receive() { packets.append(try #require(Packet(octets))) }
                return packets.count { $0.payloadType == 34 } == 2
            }
            #expect(packets.count { $0.payloadType == 1 } > 12)
            let others = packets.filter { $0.correlation != callID }
            #expect(others.isEmpty, "\(others.map { String(decoding: $0.payload, as: UTF8.self) })")
            let callIDs = Set(packets.filter { $0.payloadType == 1 }.compactMap { callIDLine($0.payload) })
            #expect(callIDs.count == 2)
            #expect(packets.allSatisfy { $0.captureID == 77 })
            for report in packets where report.payloadType == 34 {
                let json = try #require(try JSONSerialization.jsonObject(with: Data(report.payload)) as? [String: Any])
                #expect(json["CORRELATION_ID"] as? String == callID)
                #expect(json["TOTAL_PK"] as? Int ?? 0 > 20 && json["CODEC_PT"] as? Int == 0)
            }
        }
    }

    @Test("RTCP of both sides goes out as it came, under the same correlation id as the SIP of both legs")
    func rtcp() async throws {
        let collector = try UDPSocket(SocketAddress(ip: Loopback.host(), port: 9060))
        try await Testbed.with({ $0.further = ["[hep]", "address = \"\(collector.address)\""] }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            call.callerMedia.sendSenderReport()
            call.calleeMedia.sendSenderReport()
            var packets: [Packet] = []
            try await eventually("both reports have come") {
                while let (octets, _) = collector.receive() { packets.append(try #require(Packet(octets))) }
                return packets.count { $0.payloadType == 5 } == 2
            }
            let callID = try #require(call.caller.callID)
            for (media, relay) in [(call.callerMedia, call.relayTowardsCaller), (call.calleeMedia, call.relayTowardsCallee)] {
                let report = try #require(packets.first { $0.payloadType == 5 && $0.source?.port == media.address.port + 1 })
                #expect(report.correlation == callID && report.destination == SocketAddress(ip: relay.ip, port: relay.port + 1))
                let json = try #require(try JSONSerialization.jsonObject(with: Data(report.payload)) as? [String: Any])
                #expect(json["type"] as? Int == 200 && json["ssrc"] as? UInt32 == media.stream.ssrc)
                let sender = try #require(json["sender_information"] as? [String: Any])
                #expect(sender["packets"] as? Int ?? 0 > 0 && sender["ntp_timestamp_sec"] as? UInt32 == 0x5a5a_5a5a)
                let age = Double(report.microseconds) / 1e6 - Date().timeIntervalSince1970
                #expect(abs(age) < 20)
            }
            try bed.daemon.control.hangUp(try #require(try bed.daemon.control.calls().first?.id))
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            call.stopMedia()
            #expect(Set(packets.filter { $0.payloadType == 1 && !$0.isOptions }.map(\.correlation)) == [callID])
        }
    }

    @Test("Kamailio as collector takes apart what relayd sends: SIP of both legs, and RTCP of both sides as one call's", .needs(.kamailio))
    func kamailio() async throws {
        let collector = SocketAddress(ip: Loopback.host(), port: 9060)
        let kamailio = try await KamailioCapture(at: collector)
        try await Testbed.with({ $0.further = ["[hep]", "address = \"\(collector)\""] }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            call.callerMedia.sendSenderReport()
            call.calleeMedia.sendSenderReport()
            let sip = try bed.daemon.control.counter(.sipDatagramsReceived) + bed.daemon.control.counter(.sipDatagramsSent)
            try await eventually("SIP and RTCP have gone out") { try bed.daemon.control.counter(.hepPacketsSent) >= sip + 2 }
            let callID = try #require(call.caller.callID)
            let calleeCallID = try #require(call.callee.callID)
            try await eventually("Kamailio has the SIP of both legs: \(kamailio.log.suffix(1_000))") {
                kamailio.log.contains("HEP INVITE from \(bed.customer) id \(callID) end")
                    && kamailio.log.contains("HEP INVITE from \(bed.daemon.sipAddress) id \(calleeCallID) end")
                    && kamailio.log.contains("HEP 200 from \(bed.carrier) id \(calleeCallID) end")
            }
            // It takes packets one after the other: once it has the end of the call, it has the reports.
            try bed.daemon.control.hangUp(try #require(try bed.daemon.control.calls().first?.id))
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            call.stopMedia()
            try await eventually("Kamailio has the end of the call: \(kamailio.log.suffix(1_000))") {
                kamailio.log.contains("HEP BYE from \(bed.daemon.sipAddress) id \(callID) end")
            }
            let reports = try await kamailio.reports()
            #expect(reports.count == 2 && reports.allSatisfy { $0.correlation == callID }, "\(reports)")
            #expect(Set(reports.map(\.source.port)) == [call.callerMedia.address.port + 1, call.calleeMedia.address.port + 1])
            #expect(Set(reports.map(\.destination.port)) == [call.relayTowardsCaller.port + 1, call.relayTowardsCallee.port + 1])
            for report in reports {
                let json = try #require(try JSONSerialization.jsonObject(with: Data(report.text.utf8)) as? [String: Any])
                #expect(json["type"] as? Int == 200 && json["report_blocks"] as? [Any] != nil)
            }
        }
    }

    @Test("RTCP of a call that Kamailio drives over NG, extended reports too, under the Call-ID that Kamailio knows", .needs(.kamailio))
    func drivenCall() async throws {
        let collector = try UDPSocket(SocketAddress(ip: Loopback.host(), port: 9060))
        try await KamailioTestbed.with({ $0.further = ["[hep]", "address = \"\(collector.address)\""] }) { bed in
            let call = try await bed.connect(
                caller: "proxied-caller-hangs-up", callee: "proxied-callee-stays", hangsUpWhenTold: .caller)
            try await call.startMedia()
            call.callerMedia.sendSenderReport()
            call.calleeMedia.sendVoiceMetrics()
            try expectReports(try await reports(3, to: collector), of: call)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            call.stopMedia()
        }
    }

    /// Waits for so many RTCP reports.
    private func reports(_ count: Int, to collector: UDPSocket) async throws -> [Packet] {
        var packets: [Packet] = []
        try await eventually("\(count) reports have come") {
            while let (octets, _) = collector.receive() { packets.append(try #require(Packet(octets))) }
            return packets.count { $0.payloadType == 5 } == count
        }
        return packets.filter { $0.payloadType == 5 }
    }

    private func expectReports(_ packets: [Packet], of call: ConnectedCall) throws {
        let callID = try #require(call.caller.callID)
        #expect(packets.allSatisfy { $0.correlation == callID })
        let callerPort = call.callerMedia.address.port + 1
        let fromCaller = packets.first { $0.source?.port == callerPort }?.destination
        #expect(fromCaller == SocketAddress(ip: call.relayTowardsCaller.ip, port: call.relayTowardsCaller.port + 1))
        let calleePort = call.calleeMedia.address.port + 1
        let fromCallee = try packets.filter { $0.source?.port == calleePort }.map { try Report($0.payload) }
        let metrics = Report.Metrics(
            id: call.callerMedia.stream.ssrc, fraction_lost: 10, fraction_discard: 5, round_trip_delay: 42, mos_lq: 41)
        #expect(fromCallee == [Report(type: 201), Report(type: 207, report_blocks_xr: metrics)])
    }

    @Test("a collector that is not there costs nothing but a counter")
    func noCollector() async throws {
        try await Testbed.with({ $0.further = ["[hep]", "address = \"\($0.listen.ip):9060\""] }) { bed in
            try await call(bed)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.cause == .normal)
        }
    }

    @discardableResult
    private func call(_ bed: Testbed) async throws -> String {
        let callee = try await bed.callee("callee-stays-rtp")
        let caller = try await bed.caller("caller-hangs-up-rtp") { $0.hangsUpWhenTold = true }
        try await eventually("both are heard") {
            try bed.daemon.control.calls().contains { $0.fromCaller.packets > 30 && $0.fromCallee.packets > 30 }
        }
        try caller.hangUp()
        try await caller.succeeds()
        try await callee.succeeds()
        _ = try await bed.daemon.records(count: 1)
        return try #require(caller.callID)
    }

    private func callIDLine(_ octets: [UInt8]) -> Substring? {
        String(decoding: octets, as: UTF8.self).split(separator: "\r\n").first { $0.lowercased().hasPrefix("call-id:") }
    }

    /// Of an RTCP report, what the test looks at.
    private struct Report: Decodable, Equatable {
        struct Metrics: Decodable, Equatable {
            var id: UInt32
            var fraction_lost: Int
            var fraction_discard: Int
            var round_trip_delay: Int
            var mos_lq: Int
        }

        var type: Int
        var report_blocks_xr: Metrics?

        init(type: Int, report_blocks_xr: Metrics? = nil) {
            self.type = type
            self.report_blocks_xr = report_blocks_xr
        }

        init(_ octets: [UInt8]) throws { self = try JSONDecoder().decode(Self.self, from: Data(octets)) }
    }

    /// A HEP3 packet taken apart.
    private struct Packet {
        var payloadType: UInt8 = 0
        var captureID = 0
        var correlation = ""
        var payload: [UInt8] = []
        var source: SocketAddress?
        var destination: SocketAddress?
        var microseconds: Int64 = 0
        var isOptions: Bool { payload.starts(with: "OPTIONS".utf8) }

        init?(_ octets: [UInt8]) {
            guard octets.starts(with: "HEP3".utf8), octets.count >= 6, Int(octets[4]) << 8 | Int(octets[5]) == octets.count else { return nil }
            var index = 6
            var hosts: [Int: IPAddress] = [:]
            var ports: [Int: UInt16] = [:]
            while index + 6 <= octets.count {
                let type = Int(octets[index + 2]) << 8 | Int(octets[index + 3])
                let length = Int(octets[index + 4]) << 8 | Int(octets[index + 5])
                guard length >= 6, index + length <= octets.count else { return nil }
                let value = Array(octets[index + 6..<index + length])
                let number = value.count <= 4 ? value.reduce(Int64(0)) { $0 << 8 | Int64($1) } : 0
                switch type {
                case 3, 4: hosts[type] = IPAddress(ipv4: UInt32(number))
                case 7, 8: ports[type] = UInt16(truncatingIfNeeded: number)
                case 9: microseconds += number * 1_000_000
                case 10: microseconds += number
                case 11: payloadType = value.first ?? 0
                case 12: captureID = value.reduce(0) { $0 << 8 | Int($1) }
                case 15: payload = value
                case 17: correlation = String(decoding: value, as: UTF8.self)
                default: break
                }
                index += length
            }
            guard index == octets.count else { return nil }
            if let host = hosts[3], let port = ports[7] { source = SocketAddress(ip: host, port: port) }
            if let host = hosts[4], let port = ports[8] { destination = SocketAddress(ip: host, port: port) }
        }
    }
}
