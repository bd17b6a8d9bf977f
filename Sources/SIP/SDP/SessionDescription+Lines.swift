package import Core

/// The lines as they came, for whoever writes a description of its own from them.
extension SessionDescription {
    /// The lines above the first `m=`, `v=0` included.
    package var sessionLines: ArraySlice<Line> { lines[..<(media.first?.lineRange.lowerBound ?? lines.count)] }

    /// The lines of the medium, its `m=` line first. The medium must be one of this description.
    package func lines(of medium: Media) -> ArraySlice<Line> { lines[medium.lineRange] }

    /// The address in the `o=` line of a body, which nobody routes by and so nobody rewrites without reason. Nil when there is
    /// none or it is a host name.
    package static func origin(in body: ArraySlice<UInt8>) -> IPAddress? {
        let octets = body.span
        var start = 0
        while start < octets.count {
            let end = octets.firstIndex(of: Octet.lineFeed, in: start..<octets.count) ?? octets.count
            defer { start = end + 1 }
            guard end - start > 2, octets[start] == UInt8(ascii: "o"), octets[start + 1] == Octet.equals else { continue }
            let isTrimmed = octets[end - 1] == Octet.carriageReturn
            var fields = FieldScanner(start + 2..<(isTrimmed ? end - 1 : end))
            for _ in 0..<5 where fields.next(octets) == nil { return nil }
            return fields.next(octets).flatMap { IPAddress(ascii: octets.extracting($0)) }
        }
        return nil
    }
}
