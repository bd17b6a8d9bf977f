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
        let lines = description.lines(of: medium).dropFirst()
        let payloads = codecs.isEmpty ? medium.payloads : codecs.selection(from: medium.payloads)
        let newTransport = transport.flatMap { Self.canCarry(medium.transport, as: $0) ? $0 : nil }
        let hasFeedback = Self.hasFeedback(newTransport ?? medium.transport)

        writeMediaLine(medium, port: addresses.rtp.port, transport: newTransport, to: &writer) { writer in
            // A medium whose formats are no payload types at all keeps them: without any its line would not be valid.
            guard !codecs.isEmpty, !payloads.isEmpty else { return false }
            for payload in payloads {
                writer.append(" ")
                writer.append(decimal: UInt64(payload.number))
            }
            return true
        }
        for line in lines where line.type == UInt8(ascii: "i") { writer.write(line) }
        writeConnection(connection(of: medium, addresses), to: &writer)
        for line in lines where isKnownBandwidth(line) { writer.write(line) }
        writeIdentity(lines, to: &writer)
        for payload in payloads { write(payload, lines, hasFeedback: hasFeedback, to: &writer) }
        if hasFeedback {
            for line in lines where line.attribute == .rtcpFeedback && line.payloadType == nil { writer.write(line) }
        }
        for line in lines where line.attribute == .extmap { writer.write(line) }
        for line in lines where line.type == UInt8(ascii: "a") && line.attribute.hasNoPlace { writer.write(line) }
        writer.begin("a=")
        writer.append(direction(of: medium))
        writer.end()
        writeRTCP(addresses, to: &writer)
        for attribute in [SDPAttribute.crypto, .setup, .fingerprint, .ptime, .maxptime] {
            for line in lines where line.attribute == attribute { writer.write(line) }
        }
        if !removesICE { for line in lines where line.attribute.isICE { writer.write(line) } }
    }

    /// The first rtpmap, then fmtp, then rtcp-fb of one payload type. What nobody takes belongs to a type that is not in the
    /// `m=` line.
    private func write(
        _ payload: SessionDescription.Payload, _ lines: ArraySlice<SessionDescription.Line>, hasFeedback: Bool,
        to writer: inout LineWriter
    ) {
        if let line = lines.first(where: { $0.attribute == .rtpmap && $0.payloadType == payload.number }) {
            writer.write(line)
        } else if let encodingName = payload.encodingName, let clockRate = payload.clockRate {
            // Not of a dynamic type without a map.
            let channels = payload.channelCount > 1 ? "/\(payload.channelCount)" : ""
            writer.write("a=rtpmap:\(payload.number) \(encodingName)/\(clockRate)\(channels)")
        }
        for line in lines where line.attribute == .fmtp && line.payloadType == payload.number { writer.write(line) }
        guard hasFeedback else { return }
        for line in lines where line.attribute == .rtcpFeedback && line.payloadType == payload.number {
            writer.write(line)
        }
    }

    private func writeRejected(_ medium: SessionDescription.Media, to writer: inout LineWriter) {
        writeMediaLine(medium, port: 0, to: &writer) { writer in
            // A declined medium may have come without formats; the line must not (RFC 8866 §9).
            guard medium.formats.isEmpty else { return false }
            writer.append(" 0")
            return true
        }
        writeConnection(zeroAddress, to: &writer)
        writeIdentity(description.lines(of: medium), to: &writer)
    }

    /// Media that are not RTP, and media that pass the relay by.
    private func writeOther(
        _ medium: SessionDescription.Media, port: UInt16, address: IPAddress, to writer: inout LineWriter
    ) {
        let lines = description.lines(of: medium).dropFirst()
        writeMediaLine(medium, port: port, to: &writer)
        for line in lines where line.type == UInt8(ascii: "i") { writer.write(line) }
        writeConnection(address, to: &writer)
        for line in lines where isKnownBandwidth(line) { writer.write(line) }
        var hasDirection = false
        for line in lines where line.type == UInt8(ascii: "a") {
            if line.attribute.direction != nil { hasDirection = true }
            if removesICE, line.attribute.isICE { continue }
            writer.write(line)
        }
        // The session's direction was left out above; it held for this medium too.
        if !hasDirection, medium.direction != .sendrecv { writer.write("a=\(medium.direction.rawValue)") }
    }

    /// - Parameters:
    ///   - transport: nil keeps the one that came.
    ///   - formats: writes others than came, each with a space before it, or returns false.
    private func writeMediaLine(
        _ medium: SessionDescription.Media, port: UInt16, transport: String? = nil, to writer: inout LineWriter,
        formats: (inout LineWriter) -> Bool = { _ in false }
    ) {
        guard let line = description.lines(of: medium).first else { return }
        let octets = description.octets.span
        var fields = FieldScanner(line.value)
        writer.begin("m=")
        if let kind = fields.next(octets) { writer.append(kind) }
        writer.append(" ")
        writer.append(decimal: UInt64(port))
        _ = fields.next(octets)
        writer.append(" ")
        let transportThatCame = fields.next(octets)
        if let transport { writer.append(text: transport) } else if let transportThatCame { writer.append(transportThatCame) }
        if !formats(&writer) {
            while let format = fields.next(octets) {
                writer.append(" ")
                writer.append(format)
            }
        }
        writer.end()
    }

    private func writeConnection(_ address: IPAddress, to writer: inout LineWriter) {
        writer.begin("c=")
        writer.append(connection: address)
        writer.end()
    }

    private func writeIdentity(_ lines: ArraySlice<SessionDescription.Line>, to writer: inout LineWriter) {
        if let line = lines.first(where: { $0.attribute == .mid }) { writer.write(line) }
        if let line = lines.first(where: { $0.attribute == .label }) { writer.write(line) }
    }

    private func writeRTCP(_ addresses: Addresses, to writer: inout LineWriter) {
        if rtcpAttribute != .none {
            writer.begin("a=rtcp:")
            writer.append(decimal: UInt64(addresses.rtcpPort))
            if rtcpAttribute == .full {
                writer.append(" ")
                writer.append(connection: addresses.rtp.ip)
            }
            writer.end()
        }
        if addresses.hasRTCPMux { writer.write(fixed: "a=rtcp-mux") }
    }

    /// The relay's address, or the zero address of the same family when the peer is on hold that way.
    private func connection(of medium: SessionDescription.Media, _ addresses: Addresses) -> IPAddress {
        guard medium.isHeldByAddress, !replacesZeroAddress else { return addresses.rtp.ip }
        return addresses.rtp.ip.family == .ipv4 ? .ipv4Any : .ipv6Any
    }

    /// Hold by 0.0.0.0 says in the older way that nothing shall be sent there (RFC 3264 §8.4); the direction says so
    /// too, as rtpengine has it.
    private func direction(of medium: SessionDescription.Media) -> StaticString {
        guard medium.isHeldByAddress else {
            switch medium.direction {
            case .sendrecv: return "sendrecv"
            case .sendonly: return "sendonly"
            case .recvonly: return "recvonly"
            case .inactive: return "inactive"
            }
        }
        switch medium.direction {
        case .sendrecv, .sendonly: return "sendonly"
        case .recvonly, .inactive: return "inactive"
        }
    }
}

extension SDPAttribute {
    /// It follows the others in the order in which they came.
    fileprivate var hasNoPlace: Bool {
        switch self {
        case .group, .bundleOnly, .other: true
        default: false
        }
    }
}
