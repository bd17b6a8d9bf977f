import Core
import Glibc
import SIP

/// A caller and a callee on this machine and a call between them through relayd, on one thread: whoever drives it says for how
/// long, and looks at what happened.
final class TestCall {
    struct Party {
        let sip: TestSocket
        let rtp: TestSocket
        /// What relayd's SDP told it.
        var relay: SocketAddress?
        var isTalking = false
        var sent: UInt16 = 0
        var heard = 0
        var heardFrom: Set<SocketAddress> = []
        /// The BYE of relayd, and its Reason.
        var bye: (at: Double, reason: String)?
        let ssrc = UInt32.random(in: 1...UInt32.max)
    }

    private(set) var caller: Party
    private(set) var callee: Party
    /// Of the first INVITE.
    private(set) var status: Int?
    private(set) var answeredAt: Double?
    /// Of the last re-INVITE.
    private(set) var holdStatus: Int?
    private(set) var byeStatus: Int?
    let callID = "doctor-\(String(UInt64.random(in: 0...UInt64.max), radix: 36))@relayctl"

    private let server: SocketAddress
    private let number: String
    private let fromTag = "d\(UInt32.random(in: 1...UInt32.max))"
    private var toTag: String?
    private var target: String?
    private var sequence = 0
    private var nextPacketAt = 0.0
    private var isHeld = false

    /// - Throws: the kernel's errno when there are no sockets.
    init(through server: SocketAddress, callerSIP: TestSocket, calleeSIP: TestSocket, number: String) throws(TestSocket.Failure) {
        self.server = server
        self.number = number
        caller = Party(sip: callerSIP, rtp: try TestSocket(on: callerSIP.address.ip))
        callee = Party(sip: calleeSIP, rtp: try TestSocket(on: calleeSIP.address.ip))
    }

    var isUp: Bool { answeredAt != nil && caller.bye == nil && callee.bye == nil && byeStatus == nil }

    /// Sends the INVITE and waits for the answer, at most three seconds.
    func connect() {
        caller.sip.send(request(.invite, body: description(of: caller, "sendrecv")), to: server)
        pump(3) { status ?? 0 >= 200 }
    }

    func talk(_ isTalking: Bool) {
        caller.isTalking = isTalking
        callee.isTalking = isTalking
    }

    /// The caller holds: it will send nothing and wants nothing (RFC 3264 §8.4).
    func hold() {
        isHeld = true
        holdStatus = nil
        caller.sip.send(request(.invite, body: description(of: caller, "inactive")), to: server)
        pump(3) { holdStatus ?? 0 >= 200 }
    }

    func hangUp() {
        guard isUp else { return }
        caller.sip.send(request(.bye), to: server)
        pump(3) { byeStatus != nil && callee.bye != nil }
    }

    /// Serves the sockets for so many seconds, or until `isDone`.
    func pump(_ seconds: Double, until isDone: () -> Bool = { false }) {
        let end = TestSocket.seconds + seconds
        while TestSocket.seconds < end, !isDone() {
            let now = TestSocket.seconds
            if now >= nextPacketAt {
                sendRTP(&caller)
                sendRTP(&callee)
                nextPacketAt = max(nextPacketAt + 0.02, now - 0.1)
            }
            TestSocket.wait(for: [caller.sip, caller.rtp, callee.sip, callee.rtp], milliseconds: 5)
            while let (octets, _) = caller.sip.receive() { callerReceived(octets) }
            while let (octets, source) = callee.sip.receive() { calleeReceived(octets, from: source) }
            while let (_, source) = caller.rtp.receive() { hear(&caller, source) }
            while let (_, source) = callee.rtp.receive() { hear(&callee, source) }
        }
    }

    // MARK: The caller

    private func request(_ method: Method, body: [UInt8] = []) -> [UInt8] {
        sequence += 1
        return request(method, sequence: sequence, body: body)
    }

    private func request(_ method: Method, sequence: Int, body: [UInt8] = []) -> [UInt8] {
        var builder = MessageBuilder(request: method, uri: target ?? "sip:\(number)@\(server)")
        builder.add(.via, "SIP/2.0/UDP \(caller.sip.address);branch=z9hG4bK\(UInt64.random(in: 0...UInt64.max));rport")
        builder.add(.maxForwards, "70")
        builder.add(.from, "<sip:doctor@\(caller.sip.address)>;tag=\(fromTag)")
        builder.add(.to, "<sip:\(number)@\(server)>\(toTag.map { ";tag=\($0)" } ?? "")")
        builder.add(.callID, callID)
        builder.add(.cseq, "\(sequence) \(method.text)")
        builder.add(.contact, "<sip:doctor@\(caller.sip.address)>")
        return body.isEmpty ? builder.finish() : builder.finish(body: body, contentType: "application/sdp")
    }

    private func callerReceived(_ octets: [UInt8]) {
        guard case .message(let message) = SIPMessage.parse(octets) else { return }
        if message.isRequest {
            if message.method == .bye { caller.bye = (TestSocket.seconds, message.text(.reason) ?? "") }
            if message.method != .ack { caller.sip.send(response(200, to: message, source: server), to: server) }
            return
        }
        guard let status = message.status else { return }
        switch message.method {
        case .invite:
            if message.cseq.number == 1 { self.status = status } else { holdStatus = status }
            guard status >= 200 else { return }
            toTag = message.toTag.map { String(decoding: $0, as: UTF8.self) }
            if let contact = message.contact { target = contact.uri.text }
            if status < 300 {
                if answeredAt == nil { answeredAt = TestSocket.seconds }
                caller.relay = Self.media(in: message) ?? caller.relay
            }
            // Beyond 2xx the ACK is hop by hop, with the branch of the INVITE; relayd takes this one for a stray, which does no harm.
            caller.sip.send(request(.ack, sequence: Int(message.cseq.number)), to: server)
        case .bye: byeStatus = status
        default: break
        }
    }

    // MARK: The callee

    private func calleeReceived(_ octets: [UInt8], from source: SocketAddress) {
        guard case .message(let message) = SIPMessage.parse(octets), message.isRequest else { return }
        switch message.method {
        case .ack: break
        case .invite:
            callee.relay = Self.media(in: message) ?? callee.relay
            var builder = MessageBuilder.response(to: message, status: 200, toTag: "callee", source: source)
            builder.add(.contact, "<sip:doctor@\(callee.sip.address)>")
            let body = description(of: callee, isHeld ? "inactive" : "sendrecv")
            callee.sip.send(builder.finish(body: body, contentType: "application/sdp"), to: source)
        default:
            if message.method == .bye { callee.bye = (TestSocket.seconds, message.text(.reason) ?? "") }
            callee.sip.send(response(200, to: message, source: source), to: source)
        }
    }

    private func response(_ status: Int, to request: SIPMessage, source: SocketAddress) -> [UInt8] {
        MessageBuilder.response(to: request, status: status, toTag: "callee", source: source).finish()
    }

    // MARK: Media

    private func description(of party: Party, _ direction: String) -> [UInt8] {
        let ip = party.rtp.address.ip
        let family = ip.family == .ipv4 ? "IP4" : "IP6"
        return Array(
            ("v=0\r\no=doctor 1 \(sequence + 1) IN \(family) \(ip)\r\ns=relayctl doctor\r\nc=IN \(family) \(ip)\r\nt=0 0\r\n"
                + "m=audio \(party.rtp.address.port) RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=\(direction)\r\n").utf8)
    }

    private static func media(in message: SIPMessage) -> SocketAddress? {
        guard !message.body.isEmpty, let media = (try? SessionDescription(parsing: message.body))?.media.first,
            let ip = media.connection, media.port != 0
        else { return nil }
        return SocketAddress(ip: ip, port: media.port)
    }

    private func sendRTP(_ party: inout Party) {
        guard party.isTalking, let relay = party.relay else { return }
        let time = UInt32(party.sent) &* 160
        var packet: [UInt8] = [0x80, 8, UInt8(party.sent >> 8), UInt8(party.sent & 0xff)]
        for value in [time, party.ssrc] { packet += (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) } }
        party.rtp.send(packet + [UInt8](repeating: 0xd5, count: 160), to: relay)
        party.sent &+= 1
    }

    private func hear(_ party: inout Party, _ source: SocketAddress) {
        party.heard += 1
        party.heardFrom.insert(source)
    }
}
