package import Core
package import SIP

/// Writes the description that goes to the other side: a new one in a fixed order, from a parsed one and instructions.
///
/// 1. Session: `v=0`; `o=`; `s=`; `i= u= e= p=`; `b=`; `t=` with its `r=` and `z=`; the loop-protection attribute;
///    `a=ice-lite`; `a=group`; other attributes in their order. `c=` and directions move into the media.
/// 2. Media, see `write(_:_:to:)`.
///
/// Lines end with CRLF. `a=group:BUNDLE` is left out, since every medium has an address of its own here, and so is `k=`
/// (RFC 8866 §5.12). ICE goes unless `removesICE` is off: relayd has no agent, and a candidate leads past the relay.
package struct NGDescription: Sendable {
    /// What becomes of one medium.
    package enum MediaInstruction: Sendable {
        /// Passes the relay. A medium that came with port 0 is rejected all the same.
        case relay(Addresses)
        /// Port 0 (RFC 3264 §6).
        case reject
        /// Address, port and attributes as they came: the media pass the relay by. Port 0 stays rejected.
        case keep
    }

    /// The relay's side of one medium. `rtcp` is what `a=rtcp` says; other than RTP media have no use for it.
    package struct Addresses: Equatable, Sendable {
        package var rtp: SocketAddress
        /// The port after RTP's, or RTP's own when RTCP must be multiplexed.
        package var rtcpPort: UInt16
        package var hasRTCPMux: Bool

        package init(rtp: SocketAddress, rtcpPort: UInt16, hasRTCPMux: Bool = false) {
            self.rtp = rtp
            self.rtcpPort = rtcpPort
            self.hasRTCPMux = hasRTCPMux
        }
    }

    package let description: SessionDescription
    /// One for each of the description's media.
    package let media: [MediaInstruction]

    package var codecs = NGCodecs()
    /// The profile for the `m=` lines of RTP media, where `canCarry` allows it; nil keeps each one's own.
    package var transport: String?
    package var rtcpAttribute = NGRTCPAttribute.port
    package var removesICE = true
    /// Write the relay's address even where the peer is on hold by 0.0.0.0.
    package var replacesZeroAddress = false
    /// This relay's name in `a=relayd:…`; nil for none. See `isMarked(by:)`.
    package var loopProtection: String?

    /// The address in `o=` becomes that of the first medium which is relayed.
    package var replacesOriginAddress = false
    // Other fields of `o=`, and `s=`; nil keeps what came. `NGOriginHistory` knows what to put here.
    package var username: ArraySlice<UInt8>?
    package var sessionID: ArraySlice<UInt8>?
    package var version: UInt64?
    package var sessionName: ArraySlice<UInt8>?

    package init(_ description: SessionDescription, media: [MediaInstruction]) {
        precondition(media.count == description.media.count, "each medium needs to be told what becomes of it")
        self.description = description
        self.media = media
    }

    package func octets() -> [UInt8] { octets(includingOrigin: true) }

    /// - Parameter includingOrigin: false to compare descriptions by what they describe.
    func octets(includingOrigin: Bool) -> [UInt8] {
        var writer = LineWriter(source: description.octets)
        writeSession(includingOrigin: includingOrigin, to: &writer)
        for (medium, instruction) in zip(description.media, media) { write(medium, instruction, to: &writer) }
        return writer.octets
    }

    /// True when the description has been written by the relay of that name: it has come back, and is to be passed on
    /// as it is.
    package static func isMarked(_ description: SessionDescription, by name: String) -> Bool {
        description.sessionLines.contains { line in
            isLoopAttribute(line, of: description) && description.octets[line.attributeValue].elementsEqual(name.utf8)
        }
    }

    /// True when packets of the one profile need no change to be packets of the other: encryption cannot be added or
    /// taken away, feedback (AVPF, RFC 4585) is a matter of the description alone.
    package static func canCarry(_ transport: String, as other: String) -> Bool {
        func trunk(_ transport: String) -> Substring.UTF8View { transport.utf8.dropLast(hasFeedback(transport) ? 1 : 0) }
        return trunk(transport).elementsEqual(trunk(other)) { ASCII.lowercased($0) == ASCII.lowercased($1) }
    }

    /// Of `RTP/AVPF` and its like.
    static func hasFeedback(_ transport: String) -> Bool { transport.utf8.last.map(ASCII.lowercased) == UInt8(ascii: "f") }

    private static let loopAttribute = "relayd"

    private static func isLoopAttribute(_ line: SessionDescription.Line, of description: SessionDescription) -> Bool {
        line.type == UInt8(ascii: "a") && line.attribute == .other
            && description.octets[line.attributeName].elementsEqual(loopAttribute.utf8)
    }
}

extension NGDescription {
    /// The six fields of `o=` (RFC 8866 §5.2), as offsets into the description's octets; nil when there are not six.
    struct OriginFields {
        let username: Range<Int>
        let sessionID: Range<Int>
        let version: Range<Int>
        /// `IN IP4 192.0.2.1`
        let address: Range<Int>

        init?(of description: SessionDescription) {
            guard let line = description.sessionLines.first(where: { $0.type == UInt8(ascii: "o") }) else { return nil }
            let octets = description.octets.span
            var fields = FieldScanner(line.value)
            guard let username = fields.next(octets), let sessionID = fields.next(octets), let version = fields.next(octets),
                let network = fields.next(octets), fields.next(octets) != nil, let host = fields.next(octets),
                fields.next(octets) == nil
            else { return nil }
            (self.username, self.sessionID, self.version) = (username, sessionID, version)
            address = network.lowerBound..<host.upperBound
        }
    }

    private func writeSession(includingOrigin: Bool, to writer: inout LineWriter) {
        let lines = description.sessionLines
        writer.write(fixed: "v=0")
        if includingOrigin { writeOrigin(to: &writer) }
        writer.begin("s=")
        writer.append(sessionName ?? sessionNameThatCame ?? [UInt8(ascii: "-")])
        writer.end()
        for type in [UInt8(ascii: "i"), UInt8(ascii: "u"), UInt8(ascii: "e"), UInt8(ascii: "p")] {
            for line in lines where line.type == type { writer.write(line) }
        }
        for line in lines where isKnownBandwidth(line) { writer.write(line) }
        if !lines.contains(where: { $0.type == UInt8(ascii: "t") }) { writer.write(fixed: "t=0 0") }
        for line in lines
        where line.type == UInt8(ascii: "t") || line.type == UInt8(ascii: "r") || line.type == UInt8(ascii: "z") {
            writer.write(line)
        }

        if let loopProtection { writer.write("a=\(Self.loopAttribute):\(loopProtection)") }
        if !removesICE { for line in lines where line.attribute == .iceLite { writer.write(line) } }
        for line in lines where line.attribute == .group && !isWrittenElsewhere(line) { writer.write(line) }
        for line in lines where line.type == UInt8(ascii: "a") && line.attribute != .iceLite && line.attribute != .group {
            if !isWrittenElsewhere(line) { writer.write(line) }
        }
    }

    private var sessionNameThatCame: ArraySlice<UInt8>? {
        description.sessionLines.first { $0.type == UInt8(ascii: "s") }.map { description.octets[$0.value] }
    }

    private func isWrittenElsewhere(_ line: SessionDescription.Line) -> Bool {
        switch line.attribute {
        case .sendrecv, .sendonly, .recvonly, .inactive: true
        case .group: description.octets[line.attributeValue].starts(with: "BUNDLE".utf8)
        case .other: loopProtection != nil && Self.isLoopAttribute(line, of: description)
        default: removesICE && line.attribute.isICE
        }
    }

    private func writeOrigin(to writer: inout LineWriter) {
        guard let line = description.sessionLines.first(where: { $0.type == UInt8(ascii: "o") }) else {
            writer.begin("o=- 0 0 ")
            writer.append(connection: zeroAddress)
            return writer.end()
        }
        guard let origin = OriginFields(of: description) else { return writer.write(line) }
        let octets = description.octets
        writer.begin("o=")
        writer.append(username ?? octets[origin.username])
        writer.append(" ")
        writer.append(sessionID ?? octets[origin.sessionID])
        writer.append(" ")
        if let version { writer.append(decimal: version) } else { writer.append(octets[origin.version]) }
        writer.append(" ")
        if replacesOriginAddress, let ownAddress = firstRelayedAddress {
            writer.append(connection: ownAddress)
        } else {
            writer.append(octets[origin.address])
        }
        writer.end()
    }

    var firstRelayedAddress: IPAddress? {
        for (medium, instruction) in zip(description.media, media) where medium.port != 0 {
            if case .relay(let addresses) = instruction { return addresses.rtp.ip }
        }
        return nil
    }

    /// For media without an address: of the family that the description speaks otherwise.
    var zeroAddress: IPAddress {
        let family = firstRelayedAddress?.family ?? description.connection?.family ?? .ipv4
        return family == .ipv4 ? .ipv4Any : .ipv6Any
    }

    /// Of a `b=` line, one of those that are known (RFC 8866 §5.8, RFC 3556, RFC 3890).
    func isKnownBandwidth(_ line: SessionDescription.Line) -> Bool {
        guard line.type == UInt8(ascii: "b") else { return false }
        let value = description.octets[line.value]
        return ["AS:", "RR:", "RS:", "CT:", "TIAS:"].contains { value.starts(with: $0.utf8) }
    }
}

/// Collects lines, those that came and new ones.
struct LineWriter {
    private(set) var octets: [UInt8] = []
    /// What the lines that came are offsets into.
    private let source: [UInt8]

    init(source: [UInt8]) {
        self.source = source
        octets.reserveCapacity(source.count + 512)
    }

    mutating func write(_ line: SessionDescription.Line) {
        octets += source[line.whole]
        end()
    }

    mutating func write(_ line: String) {
        octets += line.utf8
        end()
    }

    /// A line that is always the same.
    mutating func write(fixed line: StaticString) {
        octets.append(line)
        end()
    }

    // A line piece by piece: `begin`, `append`, `end`.

    mutating func begin(_ text: StaticString) { octets.append(text) }

    mutating func append(_ text: StaticString) { octets.append(text) }

    mutating func append(text: String) { octets += text.utf8 }

    mutating func append(_ value: ArraySlice<UInt8>) { octets += value }

    /// A part of the description that came.
    mutating func append(_ range: Range<Int>) { octets += source[range] }

    mutating func append(decimal number: UInt64) { octets.append(decimal: number) }

    /// `IN IP4 192.0.2.1`
    mutating func append(connection address: IPAddress) { SDPText.append(connection: address, to: &octets) }

    mutating func end() {
        octets.append(0x0d)
        octets.append(0x0a)
    }
}
