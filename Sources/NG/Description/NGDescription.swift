package import Core
package import SIP

/// Writes the description that goes to the other side: a new one in a fixed order, from a parsed one and instructions.
///
/// 1. Session: `v=0`; `o=`; `s=`; `i= u= e= p=`; `b=`; `t=` with its `r=` and `z=`; the loop-protection attribute;
///    `a=ice-lite`; `a=group`; other attributes in their order. `c=` and directions move into the media.
/// 2. Media, see `Writer`.
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
        var writer = LineWriter()
        writeSession(includingOrigin: includingOrigin, to: &writer)
        for (medium, instruction) in zip(description.media, media) { write(medium, instruction, to: &writer) }
        return writer.octets
    }

    /// True when the description has been written by the relay of that name: it has come back, and is to be passed on
    /// as it is.
    package static func isMarked(_ description: SessionDescription, by name: String) -> Bool {
        description.sessionFields.contains {
            $0.attributeName == loopAttribute && $0.attributeValue.elementsEqual(name.utf8)
        }
    }

    /// True when packets of the one profile need no change to be packets of the other: encryption cannot be added or
    /// taken away, feedback (AVPF, RFC 4585) is a matter of the description alone.
    package static func canCarry(_ transport: String, as other: String) -> Bool {
        func trunk(_ transport: String) -> String {
            let name = transport.uppercased()
            return name.hasSuffix("F") ? String(name.dropLast()) : name
        }
        return trunk(transport) == trunk(other)
    }

    static let loopAttribute = "relayd"
}

extension NGDescription {
    /// The six fields of `o=` (RFC 8866 §5.2); nil when there are not six.
    struct OriginFields {
        let username: ArraySlice<UInt8>
        let sessionID: ArraySlice<UInt8>
        let versionText: ArraySlice<UInt8>
        /// `IN IP4 192.0.2.1`
        let address: ArraySlice<UInt8>

        var version: UInt64? { UInt64(String(decoding: versionText, as: UTF8.self)) }

        init?(of description: SessionDescription) {
            guard let value = description.sessionFields.first(where: { $0.type == UInt8(ascii: "o") })?.value else {
                return nil
            }
            let fields = value.split(separator: UInt8(ascii: " "))
            guard fields.count == 6 else { return nil }
            (username, sessionID, versionText) = (fields[0], fields[1], fields[2])
            address = value[fields[3].startIndex..<fields[5].endIndex]
        }
    }

    private func writeSession(includingOrigin: Bool, to writer: inout LineWriter) {
        let fields = description.sessionFields
        func copy(_ type: Character, where condition: (ArraySlice<UInt8>) -> Bool = { _ in true }) {
            for field in fields where field.type == type.asciiValue && condition(field.value) { writer.write(field) }
        }
        writer.write("v=0")
        if includingOrigin { writeOrigin(to: &writer) }
        writeSessionName(fields, to: &writer)
        for type: Character in ["i", "u", "e", "p"] { copy(type) }
        copy("b", where: Self.isKnownBandwidth)
        let times = fields.filter { "trz".utf8.contains($0.type) }
        if !times.contains(where: { $0.type == UInt8(ascii: "t") }) { writer.write("t=0 0") }
        for field in times { writer.write(field) }

        if let loopProtection { writer.write("a=\(Self.loopAttribute):\(loopProtection)") }
        let attributes = fields.filter { $0.type == UInt8(ascii: "a") && !isWrittenElsewhere($0) }
        for field in attributes where field.attributeName == "ice-lite" { writer.write(field) }
        for field in attributes where field.attributeName == "group" { writer.write(field) }
        for field in attributes where !["ice-lite", "group"].contains(field.attributeName) { writer.write(field) }
    }

    private func isWrittenElsewhere(_ field: SessionDescription.Field) -> Bool {
        switch field.attributeName {
        case Self.loopAttribute?: loopProtection != nil
        case "sendrecv"?, "sendonly"?, "recvonly"?, "inactive"?: true
        case "group"?: field.attributeValue.starts(with: "BUNDLE".utf8)
        case let name?: removesICE && Self.isICE(name)
        case nil: false
        }
    }

    private func writeOrigin(to writer: inout LineWriter) {
        guard let field = description.sessionFields.first(where: { $0.type == UInt8(ascii: "o") }) else {
            return writer.write("o=- 0 0 \(Self.connection(zeroAddress))")
        }
        guard let origin = OriginFields(of: description) else { return writer.write(field) }
        let ownAddress = replacesOriginAddress ? firstRelayedAddress : nil
        let pieces: [ArraySlice<UInt8>] = [
            username ?? origin.username, sessionID ?? origin.sessionID,
            version.map { ArraySlice(String($0).utf8) } ?? origin.versionText,
            ownAddress.map { ArraySlice(Self.connection($0).utf8) } ?? origin.address,
        ]
        writer.write("o", Array(pieces.joined(separator: [UInt8(ascii: " ")]))[...])
    }

    private func writeSessionName(_ fields: [SessionDescription.Field], to writer: inout LineWriter) {
        let came = fields.first { $0.type == UInt8(ascii: "s") }?.value
        writer.write("s", sessionName ?? came ?? [UInt8(ascii: "-")])
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

    static func connection(_ address: IPAddress) -> String {
        "IN \(address.family == .ipv4 ? "IP4" : "IP6") \(address)"
    }

    static func isKnownBandwidth(_ value: ArraySlice<UInt8>) -> Bool {
        ["AS:", "RR:", "RS:", "CT:", "TIAS:"].contains { value.starts(with: $0.utf8) }
    }

    /// Everything that belongs to ICE (RFC 8839 §5, RFC 8840), and alternative addresses (RFC 6947).
    static func isICE(_ name: String) -> Bool {
        ["candidate", "remote-candidates", "end-of-candidates", "ice-ufrag", "ice-pwd", "ice-options", "ice-lite",
            "ice-mismatch", "ice-pacing", "altc"].contains(name)
    }
}

/// Collects lines.
struct LineWriter {
    private(set) var octets: [UInt8] = []

    init() { octets.reserveCapacity(1024) }

    mutating func write(_ line: String) {
        octets += line.utf8
        octets += [0x0d, 0x0a]
    }

    mutating func write(_ field: SessionDescription.Field) {
        octets += [field.type, UInt8(ascii: "=")]
        octets += field.value
        octets += [0x0d, 0x0a]
    }

    mutating func write(_ type: String, _ value: ArraySlice<UInt8>) {
        octets += type.utf8
        octets.append(UInt8(ascii: "="))
        octets += value
        octets += [0x0d, 0x0a]
    }
}
