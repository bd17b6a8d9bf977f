package import Core

extension SessionDescription {
    /// What happens to one medium.
    package enum MediaRewrite: Equatable, Sendable {
        /// Its RTP goes to this address of the relay, its RTCP to the port after it.
        case relay(SocketAddress)
        /// Port 0 in the `m=` line (RFC 3264 §6).
        case decline
        /// As it came.
        case keep
    }

    /// The same description with new transport addresses, everything else octet for octet as it came, in CRLF lines.
    ///
    /// - A relayed medium gets the relay's port and address; a count behind the port is dropped. A medium that came
    ///   with port 0 stays declined, and the hold address 0.0.0.0 stays, so that the peer sees the hold.
    /// - `a=rtcp` gets the relay's RTCP port, and address if it had one; where it named the RTP port (RFC 5761), the
    ///   relay's RTP port. Where it is absent it stays absent.
    /// - ICE candidates, alternative addresses (RFC 6947) and BUNDLE (RFC 9143) go: they would lead media past the relay.
    /// - `c=` appears per medium where one line for the session cannot serve all of them; of several in one place,
    ///   which only layered multicast has, the first stays.
    ///
    /// - Parameters:
    ///   - rewrites: one for each of `media`.
    ///   - edits: what becomes of the formats of those media that are named.
    package func rewritten(_ rewrites: [MediaRewrite], formats edits: [Int: FormatEdit] = [:]) -> [UInt8] {
        precondition(rewrites.count == media.count, "each medium needs to be told what becomes of it")
        var writer = Writer(of: octets, capacity: octets.count + 48 * (media.count + 1))
        let sessionAddress = sessionAddress(for: rewrites)
        let isSessionReplaced = sessionAddress != nil && connection?.isUnspecified != true
        writeSession(address: sessionAddress, to: &writer)
        for (index, (medium, rewrite)) in zip(media, rewrites).enumerated() {
            switch rewrite {
            case .relay(let address) where medium.port != 0:
                writeRelayed(medium, address: address, sessionAddress: sessionAddress, edits[index], to: &writer)
            case .relay, .decline:
                writeDeclined(medium, sessionAddress: sessionAddress, to: &writer)
            case .keep:
                writeKept(medium, isSessionReplaced: isSessionReplaced, to: &writer)
            }
        }
        return writer.finish()
    }

    /// What the session's `c=` is to say: the address of the first medium that relies on it, else of any relayed one.
    /// Nil when nothing is relayed, and the session's lines stay as they are.
    private func sessionAddress(for rewrites: [MediaRewrite]) -> IPAddress? {
        var fallback: IPAddress?
        for (medium, rewrite) in zip(media, rewrites) {
            guard case .relay(let address) = rewrite, medium.port != 0 else { continue }
            if !medium.hasOwnConnection { return address.ip }
            fallback = fallback ?? address.ip
        }
        return fallback
    }

    private func writeSession(address: IPAddress?, to writer: inout Writer) {
        var isFirstConnection = true
        for line in sessionLines {
            if let address, line.type == UInt8(ascii: "c") {
                // The first one is what `connection` was read from.
                if isFirstConnection {
                    if connection?.isUnspecified == true {
                        writeUnchanged(line, to: &writer)
                    } else {
                        writer.write(connection: address)
                    }
                }
                isFirstConnection = false
            } else if address == nil || !(line.attribute.leadsPastRelay || isBundle(line)) {
                writeUnchanged(line, to: &writer)
            }
        }
    }

    /// The relay has a port for each medium (RFC 9143 §7.2).
    private func isBundle(_ line: Line) -> Bool {
        guard line.attribute == .group else { return false }
        var fields = FieldScanner(line.attributeValue)
        return fields.next(octets.span).map { octets.span.equals($0, ignoringCase: "BUNDLE") } ?? false
    }

    private func writeRelayed(
        _ medium: Media, address: SocketAddress, sessionAddress: IPAddress?, _ edit: FormatEdit?, to writer: inout Writer
    ) {
        precondition(address.port < .max, "RTCP needs the port after RTP")
        writeMediaLine(medium, port: address.port, edit, to: &writer)
        // The session's line serves when it says the right thing: the relay's address, or that the medium is on hold.
        let hasSessionLine = sessionLines.contains { $0.type == UInt8(ascii: "c") }
        let sessionLineServes = hasSessionLine && (medium.isHeldByAddress
            || (sessionAddress == address.ip && connection?.isUnspecified != true))
        var needsConnection = !medium.hasOwnConnection && !sessionLineServes
        var isFirstConnection = true
        for line in lines[medium.lineRange].dropFirst() {
            if needsConnection, line.type != UInt8(ascii: "i") {  // c= comes right after the title (RFC 8866 §5)
                writer.write(connection: address.ip)
                needsConnection = false
            }
            if line.type == UInt8(ascii: "c") {
                if isFirstConnection {
                    if medium.isHeldByAddress {
                        writeUnchanged(line, to: &writer)
                    } else {
                        writer.write(connection: address.ip)
                    }
                }
                isFirstConnection = false
            } else if line.attribute == .rtcp {
                guard let explicit = medium.explicitRTCP else { continue }  // nobody may read more into it than we did
                let isRTPPort = medium.hasRTCPMux && explicit.port == medium.port
                let port = isRTPPort ? address.port : address.port + 1
                writer.write(rtcpPort: port, at: explicit.hasAddress ? address.ip : nil)
            } else if !line.attribute.leadsPastRelay, edit.map({ staysWith($0, line) }) ?? true {
                writeUnchanged(line, to: &writer)
            }
        }
        if needsConnection { writer.write(connection: address.ip) }
        for payload in edit?.added ?? [] {
            writer.write("a=rtpmap:\(payload.mapText)".utf8.span)
            if let fmtp = payload.fmtp { writer.write("a=fmtp:\(payload.number) \(fmtp)".utf8.span) }
        }
    }

    /// False for what is said of a format that goes.
    private func staysWith(_ edit: FormatEdit, _ line: Line) -> Bool {
        switch line.attribute {
        case .rtpmap, .fmtp, .rtcpFeedback:
            var fields = FieldScanner(line.attributeValue)
            guard let field = fields.next(octets.span), let number: UInt8 = SDPText.number(octets.span, field) else { return true }
            return edit.kept.contains(number)
        default: return true
        }
    }

    /// Nobody sends to a declined medium; its addresses go anyway, since they tell about the network behind.
    private func writeDeclined(_ medium: Media, sessionAddress: IPAddress?, to writer: inout Writer) {
        writeMediaLine(medium, port: 0, to: &writer)
        for line in lines[medium.lineRange].dropFirst() where !line.attribute.leadsPastRelay && line.attribute != .rtcp {
            if let sessionAddress, line.type == UInt8(ascii: "c") {
                writeConnection(line, replacedBy: sessionAddress, to: &writer)
            } else {
                writeUnchanged(line, to: &writer)
            }
        }
    }

    /// A medium that relied on the session's `c=` takes a copy along when that line changes under it.
    private func writeKept(_ medium: Media, isSessionReplaced: Bool, to writer: inout Writer) {
        var inherited: Line?
        if isSessionReplaced, medium.port != 0, !medium.hasOwnConnection {
            inherited = sessionLines.first { $0.type == UInt8(ascii: "c") }
        }
        writeUnchanged(lines[medium.lineRange.lowerBound], to: &writer)
        for line in lines[medium.lineRange].dropFirst() {
            if let connection = inherited, line.type != UInt8(ascii: "i") {
                writeUnchanged(connection, to: &writer)
                inherited = nil
            }
            writeUnchanged(line, to: &writer)
        }
        if let inherited { writeUnchanged(inherited, to: &writer) }
    }

    private func writeMediaLine(_ medium: Media, port: UInt16, _ edit: FormatEdit? = nil, to writer: inout Writer) {
        let value = lines[medium.lineRange.lowerBound].value
        if let edit {
            let formats = (edit.kept + edit.added.map(\.number)).map(String.init)
            return writer.write((["m=\(medium.kind)", "\(port)", medium.transport] + formats).joined(separator: " ").utf8.span)
        }
        let span = octets.span
        writer.write(
            span.extracting(value.lowerBound - 2..<medium.portField.lowerBound), port: port,
            span.extracting(medium.portField.upperBound..<value.upperBound))
    }

    private func writeConnection(_ line: Line, replacedBy address: IPAddress, to writer: inout Writer) {
        if SDPText.connectionAddress(octets.span, line.value)?.isUnspecified == true {
            writeUnchanged(line, to: &writer)
        } else {
            writer.write(connection: address)
        }
    }

    private func writeUnchanged(_ line: Line, to writer: inout Writer) { writer.keep(line.whole) }
}

/// Collects lines.
private struct Writer {
    private var octets: [UInt8] = []
    /// What lines are kept from.
    private let source: [UInt8]
    /// Lines that are kept and stand one behind the other, to be written as one piece.
    private var kept = 0..<0

    init(of source: [UInt8], capacity: Int) {
        self.source = source
        octets.reserveCapacity(capacity)
    }

    consuming func finish() -> [UInt8] {
        writeKept()
        return octets
    }

    /// A line as it is.
    mutating func keep(_ line: Range<Int>) {
        let isNext = !kept.isEmpty && line.lowerBound == kept.upperBound + 2 && source[kept.upperBound] == Octet.carriageReturn
        if isNext {
            kept = kept.lowerBound..<line.upperBound
        } else {
            writeKept()
            kept = line
        }
    }

    private mutating func writeKept() {
        guard !kept.isEmpty else { return }
        let (source, range) = (source, kept)
        octets.append(addingCapacity: range.count + 2) { lines in
            lines.append(copying: source.span.extracting(range))
            lines.append("\r\n")
        }
        kept = 0..<0
    }

    mutating func write(_ line: Span<UInt8>) {
        writeKept()
        octets.append(copying: line)
        octets.append("\r\n")
    }

    mutating func write(_ before: Span<UInt8>, port: UInt16, _ after: Span<UInt8>) {
        writeKept()
        octets.append(addingCapacity: before.count + after.count + 8) { line in
            line.append(copying: before)
            line.append(decimal: UInt32(port))
            line.append(copying: after)
            line.append("\r\n")
        }
    }

    mutating func write(connection address: IPAddress) {
        writeKept()
        octets.append(addingCapacity: 64) { line in
            line.append(address.family == .ipv4 ? "c=IN IP4 " : "c=IN IP6 ")
            address.append(to: &line)
            line.append("\r\n")
        }
    }

    mutating func write(rtcpPort port: UInt16, at address: IPAddress?) {
        writeKept()
        octets.append("a=rtcp:")
        octets.append(decimal: UInt64(port))
        if let address {
            octets.append(SDPText.space)
            SDPText.append(connection: address, to: &octets)
        }
        octets.append("\r\n")
    }
}
