import Core
import Foundation
import Harness
import Testing

@Suite("malformed datagrams", .inTurn, .needs(.sipp))
struct MalformedTests {
    @Test("malformed datagrams of every kind are counted, the daemon lives and a call is unharmed")
    func everyKind() async throws {
        let torture = try tortureFiles()
        // A second customer sends the rubbish, so that it is not refused for its source alone.
        try await Testbed.with({ settings in
            settings.trunks[1].prefixes = ["4930123456"]
            settings.trunks.append(.init("rubbish", SocketAddress(ip: settings.listen.ip, port: 5090)))
        }) { bed in
            let call = try await bed.connect(caller: "caller-hangs-up", callee: "callee-stays", hangsUpWhenTold: .caller)
            try await call.startMedia()
            let sender = try UDPSocket(SocketAddress(ip: bed.host, port: 5090))
            let target = bed.daemon.sipAddress
            var previous: UInt64 = 0
            var sent: UInt64 = 0
            for (name, datagrams) in [("torture", torture), ("truncated", truncatedInvites(bed)), ("junk", junk())] {
                for datagram in datagrams {
                    #expect(sender.send(datagram, to: target), "\(name)")
                    sent += 1
                    // One at a time: what is looked at here is each datagram, not a full receive buffer.
                    if sent.isMultiple(of: 16) { try await received(atLeast: sent, bed) }
                }
                try await received(atLeast: sent, bed)
                let malformed = try bed.daemon.control.counter(.sipMalformed)
                #expect(malformed > previous, "\(name) is counted")
                previous = malformed
            }
            let media = try await call.exchange(packets: 50)
            #expect(media.heardByCallee == media.sentByCaller)
            #expect(media.heardByCaller == media.sentByCallee)
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            // Attempts of strangers among what was sent have records too.
            let records = try await eventually("a record of the call") {
                let records = try bed.daemon.records().filter { $0.callerTrunk == "customers" }
                return records.isEmpty ? nil : records
            }
            #expect(records.count == 1)
            records.first?.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
        }
    }

    /// Waits until relayd has taken `count` datagrams more than the call's own few.
    private func received(atLeast count: UInt64, _ bed: Testbed) async throws {
        try await eventually("relayd takes \(count) datagrams") {
            try bed.daemon.control.counter(.sipDatagramsReceived) >= count
        }
    }

    /// The messages of RFC 4475 and RFC 5118, valid and invalid.
    private func tortureFiles() throws -> [[UInt8]] {
        let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("SIPTests/Torture")
        let files = FileManager.default.enumerator(at: directory, includingPropertiesForKeys: nil)?
            .compactMap { ($0 as? URL)?.pathExtension == "dat" ? $0 as? URL : nil } ?? []
        try #require(files.count > 50, "\(directory.path) holds the torture messages")
        return try files.sorted { $0.path < $1.path }.map { Array(try Data(contentsOf: $0)) }
    }

    /// An INVITE cut off after each octet, which is every way a datagram can end too early.
    private func truncatedInvites(_ bed: Testbed) -> [[UInt8]] {
        let lines = [
            "INVITE sip:777@\(bed.daemon.sipAddress) SIP/2.0", "Via: SIP/2.0/UDP \(bed.host):5090;branch=z9hG4bKcut",
            "Max-Forwards: 70", "From: <sip:1@\(bed.host)>;tag=1", "To: <sip:777@\(bed.host)>", "Call-ID: cut",
            "CSeq: 1 INVITE", "Contact: <sip:1@\(bed.host):5090>", "Content-Type: application/sdp", "Content-Length: 400",
        ]
        let whole = Array((lines.joined(separator: "\r\n") + "\r\n\r\nv=0\r\n").utf8)
        return (1..<whole.count).map { Array(whole[..<$0]) }
    }

    private func junk() -> [[UInt8]] {
        var random = SystemRandomNumberGenerator()
        var datagrams: [[UInt8]] = [[], [0], [UInt8](repeating: 0x0a, count: 1_000), Array("\r\n\r\n".utf8)]
        for count in stride(from: 1, to: 2_000, by: 13) {
            datagrams.append((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
        }
        let start = Array("INVITE sip:1@x SIP/2.0\r\nVia: SIP/2.0/UDP x\r\n".utf8)
        datagrams.append(start + [UInt8](repeating: 0x41, count: 65_507 - start.count))
        datagrams.append([UInt8](repeating: 0xff, count: 65_507))
        return datagrams
    }
}
