import Core
import SIP

/// SIP messages, descriptions, credentials and streams.
enum SIPReading {
    static func message(_ octets: [UInt8]) {
        switch SIPMessage.parse(octets) {
        case .message(let message):
            look(at: message)
            writeAgain(message)
            if message.isRequest { answer(message, status: 200, reason: nil, isWhole: true) }
        case .answerable(let message, let status, let reason): answer(message, status: status, reason: reason, isWhole: false)
        case .keepAlive, .discard: break
        }
        _ = SecretMask.masked(octets)
    }

    /// Everything that is read only when someone asks for it.
    private static func look(at message: SIPMessage) {
        for field in message.headers {
            _ = message.text(field)
            _ = message.value(field)
        }
        for value in message.listValues(.via) { _ = Via(value)?.branchText }
        for name in [HeaderName.contact, .route, .recordRoute] {
            for address in message.nameAddresses(in: name) {
                _ = (address.uri.socketAddress, address.uri.transport, address.uri.unescapedUser, address.displayName)
            }
        }
        _ = message.contact?.uri.text
        _ = (message.accepts("application/sdp"), message.hasContentType("application/sdp"), message.hasToken("timer", in: .supported))
        _ = (message.from.uri.user, message.to.uri.user, message.fromTag, message.toTag, message.maxForwards)
        _ = (message.number(.sessionExpires), message.parameter("refresher", of: .sessionExpires))
        precondition(message.bodyRange.upperBound <= message.octets.count)
    }

    /// A message that is written anew from what was read says the same, and writing it once more changes no octet.
    private static func writeAgain(_ message: SIPMessage) {
        let written = rebuilt(message)
        guard case .message(let again) = SIPMessage.parse(written) else {
            preconditionFailure("what was read and written can be read again:\n\(String(decoding: written, as: UTF8.self))")
        }
        precondition(again.method == message.method && again.status == message.status)
        precondition(again.callID == message.callID && again.cseq == message.cseq)
        precondition(again.fromTag == message.fromTag && again.toTag == message.toTag)
        precondition(again.body == message.body)
        precondition(rebuilt(again) == written, "written twice is written the same")
    }

    private static func rebuilt(_ message: SIPMessage) -> [UInt8] {
        var builder =
            if let status = message.status {
                MessageBuilder(response: status, reason: message.reasonPhrase)
            } else {
                MessageBuilder(request: message.methodText, uri: message.requestURI)
            }
        for field in message.headers where field.name != .contentLength { builder.copy(field, from: message) }
        return builder.finish(body: message.body, contentType: nil)
    }

    private static let source = Flow(udp: SocketAddress(ip: IPAddress(ipv4: 0xc633_6407), port: 5071))

    /// An answer goes to nobody but the source, and when the request was whole it can be read and belongs to it.
    private static func answer(_ request: SIPMessage, status: Int, reason: String?, isWhole: Bool) {
        let destination = ResponseDestination.flow(for: request, source: source)
        precondition(destination.ip == source.ip)
        for isCompact in [false, true] {
            let octets = MessageBuilder.response(
                to: request, status: status, reason: reason, toTag: "ours", source: source.remote, isCompact: isCompact
            ).finish()
            switch SIPMessage.parse(octets) {
            case .message(let answer):
                precondition(answer.status == status)
                precondition(!isWhole || (answer.callID == request.callID && answer.cseq == request.cseq && answer.toTag != nil))
            case .discard, .answerable: precondition(!isWhole, "the answer to a good request is good")
            case .keepAlive: preconditionFailure("an answer is no keep-alive")
            }
        }
        guard isWhole else { return }
        _ = Dialog(serving: request, localTag: "ours", source: source).destination
    }

    static func credentials(_ octets: [UInt8]) {
        let start = "REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=a\r\nTo: <sip:a@x>\r\n"
        let more = "Call-ID: 1\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nAuthorization: Digest "
        let message = Array(start.utf8) + more.utf8 + octets + "\r\nContent-Length: 0\r\n\r\n".utf8
        guard case .message(let request) = SIPMessage.parse(message),
            let credentials = request.credentials(in: .authorization, realm: Array("relayd".utf8))
        else { return }
        precondition(request.username(of: credentials).count <= octets.count)
    }

    static func stream(_ octets: [UInt8]) {
        let limit = 4_096
        func messages(piece: Int) -> [[UInt8]] {
            var framer = SIPStreamFramer(maximumOctets: limit)
            var rest = octets.dropFirst()
            var messages: [[UInt8]] = []
            do {
                while !rest.isEmpty {
                    framer.append(rest.prefix(piece))
                    rest = rest.dropFirst(piece)
                    while let item = try framer.next() {
                        guard case .message(let message) = item else { continue }
                        precondition(message.count <= limit)
                        messages.append(message)
                    }
                    precondition(piece == .max || framer.pendingCount <= limit + piece)
                }
            } catch { precondition((try? framer.next()) == nil, "a stream that failed stays so") }
            return messages
        }
        let whole = messages(piece: .max)
        // The first octet says in which pieces the rest comes.
        precondition(messages(piece: Int(octets.first ?? 0) + 1) == whole, "how a stream is cut makes no difference")
        for octets in whole { message(octets) }
    }

    static func description(_ octets: [UInt8]) {
        guard let description = try? SessionDescription(parsing: octets) else { return }
        let relay = SocketAddress(ip: .ipv4Loopback, port: 10_000)
        for rewrite in [SessionDescription.MediaRewrite.relay(relay), .decline, .keep] {
            let written = description.rewritten(description.media.map { _ in rewrite })
            guard let again = try? SessionDescription(parsing: written) else {
                preconditionFailure("a description that was read and rewritten can be read again")
            }
            precondition(again.media.map(\.formats) == description.media.map(\.formats))
            precondition(again.rewritten(again.media.map { _ in .keep }) == again.rewritten(again.media.map { _ in .keep }))
            let twice = again.rewritten(again.media.map { _ in .keep })
            precondition((try? SessionDescription(parsing: twice))?.media.count == again.media.count)
        }
        _ = description.mismatch(asAnswerTo: description)
    }
}
