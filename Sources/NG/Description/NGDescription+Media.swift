import Core
import SIP

/// One medium: `m=`; `i=`; `c=` always; `b=`; mid; label; per payload type in the order of the `m=` line its rtpmap
/// (also for a static type), fmtp and rtcp-fb; extmap; other attributes in their order; direction always; `a=rtcp`;
/// crypto; setup, fingerprint; ptime, maxptime; ICE.
///
/// A rejected medium has port 0, the zero address, mid and label. What is not RTP keeps its attributes as they are.
extension NGDescription {
    func write(_ medium: SessionDescription.Media, _ instruction: MediaInstruction, to writer: inout LineWriter) {
        switch instruction {
        case .relay(let addresses) where medium.port != 0:
            if medium.isRTP {
                writeRTP(medium, addresses, to: &writer)
            } else {
                writeOther(medium, port: addresses.rtp.port, address: connection(of: medium, addresses), to: &writer)
            }
        case .keep where medium.port != 0:
            writeOther(medium, port: medium.port, address: medium.connection ?? zeroAddress, to: &writer)
        case .relay, .keep, .reject:
            writeRejected(medium, to: &writer)
        }
    }

    private func writeRTP(
        _ medium: SessionDescription.Media, _ addresses: Addresses, to writer: inout LineWriter
    ) {
        let fields = description.fields(of: medium)
        let payloads = codecs.isEmpty ? medium.payloads : codecs.selection(from: medium.payloads)
        // A medium whose formats are no payload types at all keeps them: without any its line would not be valid.
        let formats = codecs.isEmpty || payloads.isEmpty ? medium.formats : payloads.map { String($0.number) }
        let newTransport = transport.flatMap { Self.canCarry(medium.transport, as: $0) ? $0 : nil }
        let hasFeedback = (newTransport ?? medium.transport).uppercased().hasSuffix("F")

        writer.write("m=\(medium.kind) \(addresses.rtp.port) \(newTransport ?? medium.transport) "
            + formats.joined(separator: " "))
        writeHead(fields, connection: connection(of: medium, addresses), to: &writer)
        var sorted = SortedAttributes(fields.filter { !isDropped($0) && (hasFeedback || !$0.isFeedback) })
        for payload in payloads {
            let lines = sorted.takeLines(of: payload.number)
            if !lines.contains(where: { $0.attributeName == "rtpmap" }), let rtpmap = payload.rtpmapText {
                writer.write("a=rtpmap:\(payload.number) \(rtpmap)")
            }
            for line in lines { writer.write(line) }
        }
        for line in sorted.wildcardFeedback + sorted.extensions + sorted.others { writer.write(line) }
        writer.write("a=\(direction(of: medium))")
        writeRTCP(addresses, to: &writer)
        for line in sorted.tail { writer.write(line) }
    }

    private func writeRejected(_ medium: SessionDescription.Media, to writer: inout LineWriter) {
        // A declined medium may have come without formats; the line must not (RFC 8866 §9).
        let formats = medium.formats.isEmpty ? ["0"] : medium.formats
        writer.write("m=\(medium.kind) 0 \(medium.transport) \(formats.joined(separator: " "))")
        writer.write("c=\(Self.connection(zeroAddress))")
        writeIdentity(description.fields(of: medium), to: &writer)
    }

    /// Media that are not RTP, and media that pass the relay by.
    private func writeOther(
        _ medium: SessionDescription.Media, port: UInt16, address: IPAddress, to writer: inout LineWriter
    ) {
        let fields = description.fields(of: medium)
        writer.write("m=\(medium.kind) \(port) \(medium.transport) \(medium.formats.joined(separator: " "))")
        for field in fields where field.type == UInt8(ascii: "i") { writer.write(field) }
        writer.write("c=\(Self.connection(address))")
        for field in fields where field.type == UInt8(ascii: "b") && Self.isKnownBandwidth(field.value) {
            writer.write(field)
        }
        var hasDirection = false
        for field in fields where field.type == UInt8(ascii: "a") {
            if field.isDirection { hasDirection = true }
            if removesICE, let name = field.attributeName, Self.isICE(name) { continue }
            writer.write(field)
        }
        // The session's direction was left out above; it held for this medium too.
        if !hasDirection, medium.direction != .sendrecv { writer.write("a=\(medium.direction.rawValue)") }
    }

    private func writeHead(
        _ fields: [SessionDescription.Field], connection: IPAddress, to writer: inout LineWriter
    ) {
        for field in fields where field.type == UInt8(ascii: "i") { writer.write(field) }
        writer.write("c=\(Self.connection(connection))")
        for field in fields where field.type == UInt8(ascii: "b") && Self.isKnownBandwidth(field.value) {
            writer.write(field)
        }
        writeIdentity(fields, to: &writer)
    }

    private func writeIdentity(_ fields: [SessionDescription.Field], to writer: inout LineWriter) {
        for name in ["mid", "label"] {
            if let field = fields.first(where: { $0.attributeName == name }) { writer.write(field) }
        }
    }

    private func writeRTCP(_ addresses: Addresses, to writer: inout LineWriter) {
        switch rtcpAttribute {
        case .port: writer.write("a=rtcp:\(addresses.rtcpPort)")
        case .full: writer.write("a=rtcp:\(addresses.rtcpPort) \(Self.connection(addresses.rtp.ip))")
        case .none: break
        }
        if addresses.hasRTCPMux { writer.write("a=rtcp-mux") }
    }

    /// The relay's address, or the zero address of the same family when the peer is on hold that way.
    private func connection(of medium: SessionDescription.Media, _ addresses: Addresses) -> IPAddress {
        guard medium.isHeldByAddress, !replacesZeroAddress else { return addresses.rtp.ip }
        return addresses.rtp.ip.family == .ipv4 ? .ipv4Any : .ipv6Any
    }

    /// Hold by 0.0.0.0 says in the older way that nothing shall be sent there (RFC 3264 §8.4); the direction says so
    /// too, as rtpengine has it.
    private func direction(of medium: SessionDescription.Media) -> String {
        guard medium.isHeldByAddress else { return medium.direction.rawValue }
        switch medium.direction {
        case .sendrecv, .sendonly: return "sendonly"
        case .recvonly, .inactive: return "inactive"
        }
    }

    /// Lines that are written anew or elsewhere.
    private func isDropped(_ field: SessionDescription.Field) -> Bool {
        guard let name = field.attributeName else { return true }
        return field.isDirection || ["mid", "label", "rtcp", "rtcp-mux", "rtcp-mux-only"].contains(name)
            || (removesICE && Self.isICE(name))
    }
}

/// The attributes of an RTP medium by where they go.
private struct SortedAttributes {
    private var byPayloadType: [UInt8: [SessionDescription.Field]] = [:]
    var wildcardFeedback: [SessionDescription.Field] = []
    var extensions: [SessionDescription.Field] = []
    var others: [SessionDescription.Field] = []
    private var crypto: [SessionDescription.Field] = []
    private var setup: [SessionDescription.Field] = []
    private var fingerprint: [SessionDescription.Field] = []
    private var ptime: [SessionDescription.Field] = []
    private var maxptime: [SessionDescription.Field] = []
    private var ice: [SessionDescription.Field] = []

    /// What follows direction and RTCP.
    var tail: [SessionDescription.Field] { crypto + setup + fingerprint + ptime + maxptime + ice }

    init(_ fields: [SessionDescription.Field]) {
        for field in fields {
            switch field.attributeName {
            case "rtpmap"?, "fmtp"?, "rtcp-fb"?:
                if let number = field.payloadType {
                    byPayloadType[number, default: []].append(field)
                } else if field.isFeedback {
                    wildcardFeedback.append(field)
                }
            case "extmap"?: extensions.append(field)
            case "crypto"?: crypto.append(field)
            case "setup"?: setup.append(field)
            case "fingerprint"?: fingerprint.append(field)
            case "ptime"?: ptime.append(field)
            case "maxptime"?: maxptime.append(field)
            case let name? where NGDescription.isICE(name): ice.append(field)
            default: others.append(field)
            }
        }
    }

    /// The first rtpmap, then fmtp, then rtcp-fb. What nobody takes belongs to a type that is not in the `m=` line.
    mutating func takeLines(of payloadType: UInt8) -> [SessionDescription.Field] {
        let lines = byPayloadType.removeValue(forKey: payloadType) ?? []
        return lines.filter { $0.attributeName == "rtpmap" }.prefix(1) + lines.filter { $0.attributeName == "fmtp" }
            + lines.filter(\.isFeedback)
    }
}

extension SessionDescription.Field {
    fileprivate var isFeedback: Bool { attributeName == "rtcp-fb" }

    fileprivate var isDirection: Bool {
        attributeName.map { SessionDescription.Direction(rawValue: $0) != nil } ?? false
    }

    /// The number that the value of rtpmap, fmtp and rtcp-fb begins with.
    fileprivate var payloadType: UInt8? {
        UInt8(String(decoding: attributeValue.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self))
    }
}

extension SessionDescription.Payload {
    /// `opus/48000/2`; nil for a dynamic type without a map.
    fileprivate var rtpmapText: String? {
        guard let encodingName, let clockRate else { return nil }
        return "\(encodingName)/\(clockRate)\(channelCount > 1 ? "/\(channelCount)" : "")"
    }
}
