package import Core

extension SessionDescription {
    /// Who sends, seen from the side that wrote the description (RFC 8866 §6.7).
    package enum Direction: String, Sendable {
        case sendrecv, sendonly, recvonly, inactive
    }

    /// One `m=` line with the lines that belong to it.
    package struct Media: Sendable {
        /// `audio`, `video`, `image`, …
        package let kind: String
        /// 0 when the medium is declined or no longer wanted (RFC 3264 §6, §8.2).
        package let port: UInt16
        /// The number of port pairs, `49170/2`; 1 when not given.
        package let portCount: Int
        /// `RTP/AVP`, `RTP/SAVPF`, `udptl`, …
        package let transport: String
        package let formats: [String]
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

        /// The medium's lines as indices into the description's, the `m=` line first.
        let lineRange: Range<Int>
        /// The port field of the `m=` line, count included, as offsets into the description's octets.
        let portField: Range<Int>
        let hasOwnConnection: Bool
        /// The port in `a=rtcp`, and whether an address follows it.
        let explicitRTCP: (port: UInt16, hasAddress: Bool)?
        let usesICE: Bool
    }
}

extension SessionDescription.Media {
    package var isRTP: Bool { Self.isRTP(transport) }

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

    private static func isRTP(_ transport: String) -> Bool {
        switch transport.uppercased() {
        case "RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF": true
        default: false
        }
    }

    /// Nil when the `m=` line lacks a field or its port is no port. A declined medium may come without formats.
    init?(octets: [UInt8], lines: ArraySlice<SessionDescription.Line>, session: SessionLevel) {
        guard let mediaLine = lines.first else { return nil }
        let fields = octets[mediaLine.value].split(separator: SDPText.space)
        guard fields.count >= 3 else { return nil }
        let portParts = fields[1].split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard portParts.count <= 2, let port: UInt16 = SDPText.number(portParts[0]) else { return nil }
        guard fields.count > 3 || port == 0 else { return nil }
        var portCount = 1
        if portParts.count == 2 {
            guard let count: UInt16 = SDPText.number(portParts[1]), count > 0 else { return nil }
            portCount = Int(count)
        }
        let attributes = MediaAttributes(octets: octets, lines: lines.dropFirst())

        kind = SDPText.string(fields[0])
        self.port = port
        self.portCount = portCount
        transport = SDPText.string(fields[2])
        formats = fields[3...].map { SDPText.string($0) }
        connection = attributes.hasConnection ? attributes.connection : session.connection
        direction = attributes.direction ?? session.direction ?? .sendrecv
        hasRTCPMux = attributes.hasRTCPMux
        payloads = Self.isRTP(transport) ? attributes.payloads(of: fields[3...]) : []
        rtcpAddress = attributes.rtcpAddress(rtpPort: port, connection: connection)
        lineRange = lines.indices
        portField = fields[1].indices
        hasOwnConnection = attributes.hasConnection
        explicitRTCP = attributes.rtcp.map { ($0.port, $0.address != nil) }
        usesICE = attributes.usesICE || session.usesICE
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
    var rtcp: (port: UInt16, address: ArraySlice<UInt8>?)?
    /// By payload type; the first of two lines for the same type counts.
    private var rtpmaps: [UInt8: ArraySlice<UInt8>] = [:]
    private var fmtps: [UInt8: ArraySlice<UInt8>] = [:]

    init(octets: [UInt8], lines: ArraySlice<SessionDescription.Line>) {
        for line in lines {
            let value = octets[line.value]
            switch line.type {
            case UInt8(ascii: "c") where !hasConnection:
                hasConnection = true
                connection = SDPText.connectionAddress(value)
            case UInt8(ascii: "a"):
                readAttribute(value)
            default:
                break
            }
        }
    }

    private mutating func readAttribute(_ line: ArraySlice<UInt8>) {
        let (name, value) = SDPText.attribute(line)
        switch SDPText.string(name) {
        case "rtpmap": Self.add(value, to: &rtpmaps)
        case "fmtp": Self.add(value, to: &fmtps)
        case "rtcp-mux": hasRTCPMux = true
        case "ice-ufrag": usesICE = true
        case "rtcp":
            let fields = value.split(separator: SDPText.space)
            guard rtcp == nil, let first = fields.first, let port: UInt16 = SDPText.number(first) else { return }
            rtcp = (port, fields.count >= 4 ? fields[3] : nil)
        case let name:
            direction = direction ?? SessionDescription.Direction(rawValue: name)
        }
    }

    /// Takes `96 opus/48000/2` apart at its first space.
    private static func add(_ value: ArraySlice<UInt8>, to table: inout [UInt8: ArraySlice<UInt8>]) {
        let parts = value.split(separator: SDPText.space, maxSplits: 1)
        guard parts.count == 2, let number: UInt8 = SDPText.number(parts[0]), table[number] == nil else { return }
        table[number] = parts[1]
    }

    func payloads(of formats: ArraySlice<ArraySlice<UInt8>>) -> [SessionDescription.Payload] {
        var seen: Set<UInt8> = []
        return formats.compactMap { format in
            guard let number: UInt8 = SDPText.number(format), number < 128, seen.insert(number).inserted else {
                return nil
            }
            return SessionDescription.Payload(number: number, rtpmap: rtpmaps[number], fmtp: fmtps[number])
        }
    }

    func rtcpAddress(rtpPort: UInt16, connection: IPAddress?) -> SocketAddress? {
        guard rtpPort != 0 else { return nil }
        let address: IPAddress?
        let port: UInt16
        if let rtcp {
            address = rtcp.address.map { IPAddress(ascii: $0) } ?? connection
            port = rtcp.port
        } else {
            address = connection
            port = rtpPort &+ 1  // wraps to 0, which is no port
        }
        guard let address, !address.isUnspecified, port != 0 else { return nil }
        return SocketAddress(ip: address, port: port)
    }
}
