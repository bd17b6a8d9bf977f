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

    let octets: [UInt8]
    let lines: [Line]

    struct Line: Sendable {
        let type: UInt8
        /// What follows the equals sign, as offsets into `octets`; no line end.
        let value: Range<Int>
    }

    /// More `m=` lines than this are no telephone call.
    package static let maximumMediaCount = 32

    package init(parsing body: some Collection<UInt8>) throws(SDPError) {
        let octets = Array(body)
        let lines = try Self.lines(of: octets)
        guard let first = lines.first, first.type == UInt8(ascii: "v") else { throw .missingLine("v") }
        guard octets[first.value].filter({ $0 != SDPText.space }) == [UInt8(ascii: "0")] else {
            throw .malformedLine(number: 1)
        }

        let starts = lines.indices.filter { lines[$0].type == UInt8(ascii: "m") }
        guard starts.count <= Self.maximumMediaCount else { throw .tooManyMedia(limit: Self.maximumMediaCount) }
        let session = SessionLevel(octets: octets, lines: lines[..<(starts.first ?? lines.count)])
        var media: [Media] = []
        for (position, start) in starts.enumerated() {
            let end = position + 1 < starts.count ? starts[position + 1] : lines.count
            guard let medium = Media(octets: octets, lines: lines[start..<end], session: session) else {
                throw .malformedLine(number: start + 1)
            }
            media.append(medium)
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

    private static func lines(of octets: [UInt8]) throws(SDPError) -> [Line] {
        var lines: [Line] = []
        lines.reserveCapacity(32)
        var start = 0
        var blankLine: Int?
        var number = 0
        while start < octets.count {
            number += 1
            let lineFeed = octets[start...].firstIndex(of: UInt8(ascii: "\n")) ?? octets.count
            var end = lineFeed
            if end > start, octets[end - 1] == UInt8(ascii: "\r") { end -= 1 }
            if end == start {
                blankLine = blankLine ?? number
            } else {
                // Blank lines are let pass at the end only; a stray CR or NUL could be read as a line end further on.
                if let blankLine { throw .malformedLine(number: blankLine) }
                let type = octets[start]
                guard end - start >= 2, octets[start + 1] == UInt8(ascii: "="),
                    (0x61...0x7a).contains(type) || (0x41...0x5a).contains(type),
                    !octets[start..<end].contains(where: { $0 == 0 || $0 == UInt8(ascii: "\r") })
                else { throw .malformedLine(number: number) }
                lines.append(Line(type: type, value: start + 2..<end))
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

    init(octets: [UInt8], lines: ArraySlice<SessionDescription.Line>) {
        for line in lines {
            let value = octets[line.value]
            switch line.type {
            case UInt8(ascii: "c") where !hasConnection:
                hasConnection = true
                connection = SDPText.connectionAddress(value)
            case UInt8(ascii: "a"):
                let name = SDPText.string(SDPText.attribute(value).name)
                direction = direction ?? SessionDescription.Direction(rawValue: name)
                if name == "ice-ufrag" { usesICE = true }
            default:
                break
            }
        }
    }
}
