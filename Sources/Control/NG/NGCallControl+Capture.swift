import Configuration
import Core
import NG
import Relay
import SIP

/// What `relayctl capture` and recordings listen to in a call that a proxy drives.
extension NGCallControl {
    func captureTarget(_ name: String) -> CaptureTarget? {
        guard let call = calls[name] ?? calls.values.first(where: { $0.shortID == name }) else { return nil }
        return CaptureTarget(
            call: call.shortID, callIDs: [call.id], sessions: tappedSessions(of: call), comments: comments(about: call),
            descriptions: descriptions(of: call))
    }

    func tappedSessions(of call: NGCall) -> [TappedSession] {
        call.lines.compactMap { line in
            guard let medium = line.medium, medium.isOpen else { return nil }
            return TappedSession(
                id: medium.taken.session,
                caller: SocketAddress(ip: medium.interface(of: .caller).address, port: medium.taken.callerPort),
                callee: SocketAddress(ip: medium.interface(of: .callee).address, port: medium.taken.calleePort))
        }
    }

    func comments(about call: NGCall) -> [String] {
        ["Call-ID: \(call.id)"] + Leg.allCases.compactMap { leg in call[leg].tag.map { "\(leg)'s tag: \($0)" } }
    }

    /// The proxy's SIP does not pass here. So that Wireshark knows which ports carry RTP, and with which codecs, INVITE and
    /// 200 are made up for each side from the latest descriptions, and say that they are.
    private func descriptions(of call: NGCall) -> [CaptureTarget.Description] {
        Leg.allCases.flatMap { leg -> [CaptureTarget.Description] in
            guard !call[leg].described.isEmpty else { return [] }
            let peer = SocketAddress(
                ip: call.source(of: leg)?.signalling ?? .ipv4Loopback, port: 5060)
            let relay = SocketAddress(
                ip: call.firstMedium?.interface(of: leg).address ?? .ipv4Loopback, port: 5060)
            let others = Self.rewritten(call[leg.other].described, call.lines.map { $0.medium?.advertised(to: leg) })
            // The caller offers to the relay; the relay offers to the callee.
            let (offerer, answerer) = leg == .caller ? (peer, relay) : (relay, peer)
            let (offer, answer) = leg == .caller ? (call[leg].described, others) : (others, call[leg].described)
            var messages = [
                Self.message(
                    "INVITE sip:callee@\(answerer) SIP/2.0", call, leg, from: offerer, to: answerer, offer, client: offerer)
            ]
            if !answer.isEmpty {
                messages.append(
                    Self.message("SIP/2.0 200 OK", call, leg, from: answerer, to: offerer, answer, client: offerer))
            }
            return messages
        }
    }

    /// The other side's description as this side was told it, as far as addresses go.
    private static func rewritten(_ described: [UInt8], _ addresses: [SocketAddress?]) -> [UInt8] {
        guard let description = try? SessionDescription(parsing: described) else { return [] }
        return description.rewritten(
            description.media.indices.map { index -> SessionDescription.MediaRewrite in
                guard index < addresses.count, let address = addresses[index], description.media[index].port != 0 else {
                    return .decline
                }
                return .relay(address)
            })
    }

    private static func message(
        _ firstLine: String, _ call: NGCall, _ leg: Leg, from source: SocketAddress, to destination: SocketAddress,
        _ body: [UInt8], client: SocketAddress
    ) -> CaptureTarget.Description {
        let head = [
            firstLine, "Via: SIP/2.0/UDP \(client);branch=z9hG4bK-\(call.shortID)-\(leg)",
            "From: <sip:caller@\(client)>;tag=\(call.caller.tag ?? "-")",
            "To: <sip:callee@\(client)>" + (firstLine.hasPrefix("SIP") ? ";tag=\(call.callee.tag ?? "-")" : ""),
            "Call-ID: \(call.id)", "CSeq: 1 INVITE", "Max-Forwards: 70", "Contact: <sip:\(source)>",
            "X-Made-Up-By: relayd, from what the proxy said over NG", "Content-Type: application/sdp",
            "Content-Length: \(body.count)",
        ]
        return CaptureTarget.Description(
            octets: Array((head.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body, source: source, destination: destination)
    }
}
