import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("The trace of SIP messages", .inTurn, .serialized)
struct TraceTests {
    @Test("after a call every message of both legs is there, whole, as SIPp itself logged it", .needs(.sipp))
    func lookBack() async throws {
        try await Testbed.with { bed in
            let follower = try ChildProcess(
                Daemon.commandLineTool,
                ["trace", "--follow", "--last", "100", "--json", "--count", "4", "--method", "BYE", "--socket", bed.daemon.control.socketPath],
                outputPath: bed.daemon.directory.file("follow"))
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            let id = try #require(try bed.daemon.control.calls().first?.id)
            let both = try await messages(bed, ["--call", id])
            #expect(Set(both.map(\.peer)) == [bed.customer, bed.carrier])
            #expect(try await bed.daemon.relayctl(["hangup", id]).code == 0)
            try await call.caller.succeeds()
            try await call.callee.succeeds()

            let callID = try #require(call.caller.callID)
            // SIPp ends when it has sent its last word; relayd may not have heard it yet.
            let said = call.caller.messages.filter { $0.direction == .sent }.count
            let traced = try await eventually("relayd has the last word") {
                let traced = try await messages(bed, ["--call-id", callID])
                return traced.count { $0.direction == .received } == said ? traced : nil
            }
            #expect(traced.allSatisfy { $0.peer == bed.customer && $0.local == bed.daemon.sipAddress && $0.transport == "UDP" })
            #expect(traced.map(\.microseconds) == traced.map(\.microseconds).sorted())
            // SIPp's log has what it sent and received in full.
            let sent = call.caller.messages.filter { $0.direction == .sent }
            let received = traced.filter { $0.direction == .received }
            #expect(received.map { firstLine($0) } == sent.map(\.firstLine))
            let invite = try #require(received.first?.text)
            #expect(invite.contains("m=audio") && invite.contains("Call-ID: \(callID)"))
            #expect(traced.contains { firstLine($0).hasPrefix("BYE") && $0.direction == .sent })

            #expect(try await messages(bed, ["--number", "4930123456", "--method", "INVITE"]).count >= 6)
            #expect(try await messages(bed, ["--registrations"]).isEmpty)
            #expect(try await messages(bed, ["--last", "2"]).count == 2)
            let text = try await bed.daemon.relayctl(["trace", "--address", "\(bed.carrier)", "--brief"])
            #expect(text.output.contains("INVITE sip:4930123456@\(bed.carrier)"))
            let wrong = try await bed.daemon.relayctl(["trace", "--address", "nowhere"])
            #expect(wrong.code == 1 && wrong.errors.contains("nowhere"))

            #expect(try await follower.exit(within: .seconds(30)) == .exited(code: 0))
            #expect(follower.output.split(separator: "\n").count == 4)
        }
    }

    @Test("what a call waits for is sent before the 100, and the 100 before what comes after it")
    func order() async throws {
        let number = "4930123456"
        try await Testbed.with({ $0.trunks[1].prefixes = [number] }) { bed in
            let customer = try UDPSocket(bed.customer)
            let carrier = try UDPSocket(bed.carrier)
            customer.send(invite(to: number, bed), to: bed.daemon.sipAddress)
            _ = try await eventually("the carrier has the INVITE") { carrier.receive() }
            customer.send(invite(to: "4420222", bed), to: bed.daemon.sipAddress)
            _ = try await eventually("the other call is refused") {
                customer.receive().flatMap { String(decoding: $0.octets, as: UTF8.self).hasPrefix("SIP/2.0 404 ") ? true : nil }
            }
            let routed = try await messages(bed, ["--number", number]).map(firstLine).map { $0.prefix(11) }
            #expect(routed.prefix(3) == ["INVITE sip:", "INVITE sip:", "SIP/2.0 100"])
            let refused = try await messages(bed, ["--number", "4420222"]).map(firstLine).map { $0.prefix(11) }
            #expect(refused.prefix(3) == ["INVITE sip:", "SIP/2.0 100", "SIP/2.0 404"])
        }
    }

    private func invite(to number: String, _ bed: Testbed) -> String {
        let lines = [
            "INVITE sip:\(number)@\(bed.daemon.sipAddress) SIP/2.0", "Via: SIP/2.0/UDP \(bed.customer);branch=z9hG4bK-\(number)",
            "Max-Forwards: 70", "From: <sip:1@\(bed.customer)>;tag=1", "To: <sip:\(number)@\(bed.daemon.sipAddress)>",
            "Call-ID: \(number)@order", "CSeq: 1 INVITE", "Contact: <sip:\(bed.customer)>", "Content-Length: 0", "", "",
        ]
        return lines.joined(separator: "\r\n")
    }

    private func messages(_ bed: Testbed, _ arguments: [String]) async throws -> [TracedSIPMessage] {
        let result = try await bed.daemon.relayctl(["trace", "--json"] + arguments)
        #expect(result.code == 0, "\(result.errors)")
        return try result.output.split(separator: "\n").map { try JSONDecoder().decode(TracedSIPMessage.self, from: Data($0.utf8)) }
    }

    private func firstLine(_ message: TracedSIPMessage) -> String {
        String((message.text ?? "").prefix { $0 != "\r\n" && $0 != "\n" })
    }
}
