package import Core

extension SessionDescription {
    /// Who sends, seen from the side that wrote the description (RFC 8866 §6.7).
    package enum Direction: String, Sendable {
        case sendrecv, sendonly, recvonly, inactive
    }

    /// One `m=` line with the lines that belong to it. A reference: both sides of a call and each step hand it on.
    package final class Media: Sendable {
        /// `audio`, `video`, `image`, …
        package let kind: String
        /// 0 when the medium is declined or no longer wanted (RFC 3264 §6, §8.2).
        package let port: UInt16
        /// The number of port pairs, `49170/2`; 1 when not given.
        package let portCount: Int
        /// `RTP/AVP`, `RTP/SAVPF`, `udptl`, …
        package let transport: String
        /// From the medium's own `c=` line, else from the session's; nil when there is none or it is a host name.
        package let connection: IPAddress?
        package let direction: Direction
        /// Where this side wants RTCP: as `a=rtcp` says (RFC 3605), else the port after RTP. Nil when declined or
        /// unknown. With `hasRTCPMux` on both sides RTCP goes to the RTP port instead.
        package let rtcpAddress: SocketAddress?
        /// RTP and RTCP may share the RTP port (RFC 5761 §5.1.1).
        package let hasRTCPMux: Bool
        /// The formats of an RTP medium, each once, in order of preference; empty for other media.
        package let payloads: [Payload]

        package let isRTP: Bool
        /// The medium's lines as indices into the description's, the `m=` line first.
        let lineRange: Range<Int>
        /// The port field of the `m=` line, count included, as offsets into the description's octets.
        let portField: Range<Int>
        /// What follows the transport in the `m=` line.
        private let formatFields: Range<Int>
        private let octets: [UInt8]
        let hasOwnConnection: Bool
        /// The port in `a=rtcp`, and whether an address follows it.
        let explicitRTCP: (port: UInt16, hasAddress: Bool)?
        let usesICE: Bool

        /// The formats as the `m=` line has them.
        package var formats: [String] {
            let octets = octets
            let span = octets.span
            var fields = FieldScanner(formatFields)
            var formats: [String] = []
            while let field = fields.next(span) { formats.append(String(decoding: octets[field], as: UTF8.self)) }
            return formats
        }

        /// Nil when the `m=` line lacks a field or its port is no port. A declined medium may come without formats.
        init?(_ octets: [UInt8], lines: ArraySlice<SessionDescription.Line>, session: SessionLevel) {
            let span = octets.span
            guard let mediaLine = lines.first else { return nil }
            var fields = FieldScanner(mediaLine.value)
            guard let kindField = fields.next(span), let portField = fields.next(span), let transportField = fields.next(span),
                let (port, portCount) = Self.ports(span, portField)
            else { return nil }
            formatFields = fields.rest
            var formats = fields
            let hasFormats = formats.next(span) != nil
            guard hasFormats || port == 0 else { return nil }
            let attributes = MediaAttributes(span, lines.dropFirst())

            kind = SDPText.string(octets, kindField)
            self.port = port
            self.portCount = portCount
            transport = SDPText.string(octets, transportField)
            self.octets = octets
            connection = attributes.hasConnection ? attributes.connection : session.connection
            direction = attributes.direction ?? session.direction ?? .sendrecv
            hasRTCPMux = attributes.hasRTCPMux
            isRTP = Self.isRTP(span, transportField)
            payloads = isRTP ? attributes.payloads(octets, of: fields, lines.dropFirst()) : []
            rtcpAddress = attributes.rtcpAddress(span, rtpPort: port, connection: connection)
            lineRange = lines.indices
            self.portField = portField
            hasOwnConnection = attributes.hasConnection
            explicitRTCP = attributes.rtcp.map { ($0.port, $0.address != nil) }
            usesICE = attributes.usesICE || session.usesICE
        }
    }
}

extension SessionDescription.Media {
    /// True for media that travel in plain datagrams over one port, or over a pair with RTCP.
    package var isRelayable: Bool {
        isRTP || transport.lowercased() == "udptl" || transport.lowercased() == "udp"
    }

    /// Where this side wants RTP. Nil when declined, unknown, or held by the address 0.0.0.0.
    package var rtpAddress: SocketAddress? {
        guard port != 0, let connection, !connection.isUnspecified else { return nil }
        return SocketAddress(ip: connection, port: port)
    }

    /// True when at most one side sends: `sendonly`, `recvonly`, `inactive`, or the address 0.0.0.0 (RFC 3264 §8.4).
    /// A declined medium is not on hold.
    package var isHold: Bool { port != 0 && (direction != .sendrecv || isHeldByAddress) }

    /// An ICE agent without a candidate yet also writes 0.0.0.0, with port 9 (RFC 8840): that is no hold.
    package var isHeldByAddress: Bool { connection?.isUnspecified == true && !(usesICE && port == 9) }

    fileprivate static func isRTP(_ octets: Span<UInt8>, _ transport: Range<Int>) -> Bool {
        // One of RTP/AVP, RTP/AVPF, RTP/SAVP, RTP/SAVPF, UDP/TLS/RTP/SAVP, UDP/TLS/RTP/SAVPF.
        let isOverDTLS = transport.count > 8 && octets.equals(transport.prefix(8), ignoringCase: "UDP/TLS/")
        let profile = isOverDTLS ? transport.dropFirst(8) : transport
        if octets.equals(profile, ignoringCase: "RTP/SAVP") || octets.equals(profile, ignoringCase: "RTP/SAVPF") { return true }
        return !isOverDTLS
            && (octets.equals(profile, ignoringCase: "RTP/AVP") || octets.equals(profile, ignoringCase: "RTP/AVPF"))
    }

    /// `49170` or `49170/2`.
    fileprivate static func ports(_ octets: Span<UInt8>, _ field: Range<Int>) -> (port: UInt16, count: Int)? {
        let slash = octets.firstIndex(of: Octet.slash, in: field)
        guard let port: UInt16 = SDPText.number(octets, field.lowerBound..<(slash ?? field.upperBound)) else { return nil }
        guard let slash else { return (port, 1) }
        guard let count: UInt16 = SDPText.number(octets, slash + 1..<field.upperBound), count > 0 else { return nil }
        return (port, Int(count))
    }
}

/// The lines below one `m=` line, read in one pass.
private struct MediaAttributes {
    var hasConnection = false
    var connection: IPAddress?
    var direction: SessionDescription.Direction?
    var hasRTCPMux = false
    var usesICE = false
    /// The address is as it was written: it may be a host name.
    var rtcp: (port: UInt16, address: Range<Int>?)?

    init(_ octets: Span<UInt8>, _ lines: ArraySlice<SessionDescription.Line>) {
        for line in lines {
            switch line.attribute {
            case .rtpmap, .fmtp: break
            case .rtcpMux: hasRTCPMux = true
            case .iceUfrag: usesICE = true
            case .rtcp where rtcp == nil: rtcp = Self.rtcp(octets, line.attributeValue)
            default: direction = direction ?? line.attribute.direction
            }
            if line.type == UInt8(ascii: "c"), !hasConnection {
                hasConnection = true
                connection = SDPText.connectionAddress(octets, line.value)
            }
        }
    }

    /// `53020` or `53020 IN IP4 192.0.2.1`.
    private static func rtcp(_ octets: Span<UInt8>, _ value: Range<Int>) -> (port: UInt16, address: Range<Int>?)? {
        var fields = FieldScanner(value)
        guard let first = fields.next(octets), let port: UInt16 = SDPText.number(octets, first) else { return nil }
        guard fields.next(octets) != nil, fields.next(octets) != nil else { return (port, nil) }
        return (port, fields.next(octets))
    }

    /// - Parameters:
    ///   - formats: at the first of them.
    ///   - lines: below the `m=` line.
    func payloads(
        _ octets: [UInt8], of formats: FieldScanner, _ lines: ArraySlice<SessionDescription.Line>
    ) -> [SessionDescription.Payload] {
        let span = octets.span
        var payloads: [SessionDescription.Payload] = []
        payloads.reserveCapacity(8)
        var formats = formats
        while let format = formats.next(span) {
            guard let number: UInt8 = SDPText.number(span, format), number < 128,
                !payloads.contains(where: { $0.number == number })
            else { continue }
            payloads.append(SessionDescription.Payload(number: number))
        }
        /// Of two lines for the same type the first counts.
        var mapped: UInt128 = 0
        for line in lines {
            guard let number = line.payloadType, !line.formatText.isEmpty,
                let index = payloads.firstIndex(where: { $0.number == number })
            else { continue }
            switch line.attribute {
            case .rtpmap where mapped & 1 << UInt128(number) == 0:
                mapped |= 1 << UInt128(number)
                payloads[index].map(octets, line.formatText)
            case .fmtp where payloads[index].fmtp == nil:
                payloads[index].fmtp = SDPText.string(octets, line.formatText)
            default: break
            }
        }
        return payloads
    }

    func rtcpAddress(_ octets: Span<UInt8>, rtpPort: UInt16, connection: IPAddress?) -> SocketAddress? {
        guard rtpPort != 0 else { return nil }
        var address = connection
        var port = rtpPort &+ 1  // wraps to 0, which is no port
        if let rtcp {
            if let field = rtcp.address { address = IPAddress(ascii: octets.extracting(field)) }
            port = rtcp.port
        }
        guard let address, !address.isUnspecified, port != 0 else { return nil }
        return SocketAddress(ip: address, port: port)
    }
}
