package import Core

/// A session description (RFC 8866), kept line by line as it came.
///
/// Only what a relay needs is read; unknown lines and attributes travel through unchanged. Reading is lenient where
/// phones are: bare LF, a missing last line end, trailing blank lines, missing `o=`, `s=` and `t=` lines, odd values in
/// lines nobody here reads. It is strict where a later step would be misled: a line has a type and an equals sign, the
/// first is `v=0`, an `m=` line has its fields.
package struct SessionDescription: Sendable {
    /// The media in the order of their `m=` lines, which ties an answer to its offer (RFC 3264 §6).
    package let media: [Media]
    /// The session's `c=` address; nil when there is none or it is a host name.
    package let connection: IPAddress?

    /// What it was read from.
    package let octets: [UInt8]
    let lines: [Line]

    /// One line, as offsets into `octets`.
    package struct Line: Sendable {
        package let type: UInt8
        /// Of an `a=` line; `other` for every other line.
        package let attribute: SDPAttribute
        /// What the value of rtpmap, fmtp and rtcp-fb begins with; nil where it is no number.
        package let payloadType: UInt8?
        private let start: UInt32
        private let end: UInt32
        private let nameEnd: UInt32
        private let textStart: UInt32

        init(_ octets: Span<UInt8>, type: UInt8, value: Range<Int>) {
            self.type = type
            start = UInt32(value.lowerBound)
            end = UInt32(value.upperBound)
            guard type == UInt8(ascii: "a") else {
                attribute = .other
                payloadType = nil
                nameEnd = end
                textStart = end
                return
            }
            let colon = octets.firstIndex(of: Octet.colon, in: value) ?? value.upperBound
            nameEnd = UInt32(colon)
            attribute = SDPAttribute(octets, value.lowerBound..<colon)
            switch attribute {
            case .rtpmap, .fmtp, .rtcpFeedback:
                var fields = FieldScanner(min(colon + 1, value.upperBound)..<value.upperBound)
                payloadType = fields.next(octets).flatMap { SDPText.number(octets, $0) }
                textStart = UInt32(fields.rest.lowerBound)
            default:
                payloadType = nil
                textStart = end
            }
        }

        /// What follows the equals sign; no line end.
        package var value: Range<Int> { Int(start)..<Int(end) }
        /// With its type, and no line end.
        package var whole: Range<Int> { Int(start) - 2..<Int(end) }
        /// Of an `a=` line: `rtpmap` of `a=rtpmap:0 PCMU/8000`.
        package var attributeName: Range<Int> { Int(start)..<Int(nameEnd) }
        /// Of an `a=` line: what follows the colon; empty without one.
        package var attributeValue: Range<Int> { min(Int(nameEnd) + 1, Int(end))..<Int(end) }
        /// What follows the payload type.
        var formatText: Range<Int> { Int(textStart)..<Int(end) }
    }

    /// More `m=` lines than this are no telephone call.
    package static let maximumMediaCount = 32

    package init(parsing body: ArraySlice<UInt8>) throws(SDPError) {
        try self.init(octets: [UInt8](atMost: body.count) { $0.append(copying: body.span) })
    }

    package init(parsing body: [UInt8]) throws(SDPError) { try self.init(octets: body) }

    private init(octets: [UInt8]) throws(SDPError) {
        let span = octets.span
        let lines = try Self.lines(of: span)
        guard let first = lines.first, first.type == UInt8(ascii: "v") else { throw .missingLine("v") }
        var version = FieldScanner(first.value)
        guard let zero = version.next(span), zero.count == 1, span[zero.lowerBound] == Octet.zero, version.next(span) == nil else {
            throw .malformedLine(number: 1)
        }

        var start = lines.firstIndex { $0.type == UInt8(ascii: "m") } ?? lines.count
        let session = SessionLevel(span, lines[..<start])
        var media: [Media] = []
        while start < lines.count {
            guard media.count < Self.maximumMediaCount else { throw .tooManyMedia(limit: Self.maximumMediaCount) }
            let end = lines[(start + 1)...].firstIndex { $0.type == UInt8(ascii: "m") } ?? lines.count
            guard let medium = Media(octets, lines: lines[start..<end], session: session) else {
                throw .malformedLine(number: start + 1)
            }
            media.append(medium)
            start = end
        }
        self.media = media
        connection = session.connection
        self.octets = octets
        self.lines = lines
    }

    /// Media that are not declined.
    package var activeMedia: [Media] { media.filter { $0.port != 0 } }

    /// True when there are active media and each of them is on hold.
    package var isHold: Bool {
        let active = activeMedia
        return !active.isEmpty && active.allSatisfy(\.isHold)
    }

    /// - Throws: `unsupportedTransport` when there are active media and none of them travels over plain datagrams.
    ///   A description without active media passes: it is legal, and how a call is put on hold or made without media.
    package func checkRelayable() throws(SDPError) {
        let active = activeMedia
        guard let first = active.first, !active.contains(where: \.isRelayable) else { return }
        throw .unsupportedTransport(first.transport)
    }

    private static func lines(of octets: Span<UInt8>) throws(SDPError) -> [Line] {
        var lines: [Line] = []
        lines.reserveCapacity(24)
        var start = 0
        var blankLine: Int?
        var number = 0
        while start < octets.count {
            number += 1
            let end = octets.firstIndex(in: start..<octets.count) {
                $0.equal(Octet.lineFeed) .| $0.equal(Octet.carriageReturn) .| $0.equal(0)
            }
            let lineFeed = end < octets.count && octets[end] == Octet.carriageReturn ? end + 1 : end
            // A CR or NUL elsewhere could be read as a line end further on.
            guard lineFeed >= octets.count || octets[lineFeed] == Octet.lineFeed else {
                throw .malformedLine(number: blankLine ?? number)
            }
            if end == start {
                blankLine = blankLine ?? number
            } else {
                // Blank lines are let pass at the end only.
                if let blankLine { throw .malformedLine(number: blankLine) }
                let type = octets[start]
                guard end - start >= 2, octets[start + 1] == Octet.equals, Octet.isLetter(type) else {
                    throw .malformedLine(number: number)
                }
                lines.append(Line(octets, type: type, value: start + 2..<end))
            }
            start = lineFeed + 1
        }
        return lines
    }
}

/// What holds for every medium unless it says otherwise.
struct SessionLevel {
    var hasConnection = false
    var connection: IPAddress?
    var direction: SessionDescription.Direction?
    var usesICE = false

    init(_ octets: Span<UInt8>, _ lines: ArraySlice<SessionDescription.Line>) {
        for line in lines {
            if line.type == UInt8(ascii: "c"), !hasConnection {
                hasConnection = true
                connection = SDPText.connectionAddress(octets, line.value)
            }
            direction = direction ?? line.attribute.direction
            if line.attribute == .iceUfrag { usesICE = true }
        }
    }
}
