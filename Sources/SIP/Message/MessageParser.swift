/// Reads a datagram into a `SIPMessage`: one pass over start line and header, then the few values every message needs.
///
/// Follows RFC 3261 §7 and §25 and the advice of RFC 4475 and RFC 5118: liberal where the meaning is plain, strict
/// where two readers could see two messages (bare CR or LF, doubled Content-Length, octets behind the body).
struct MessageParser {
    static let maximumOctets = OctetRange.maximumOctets
    static let maximumHeaderLines = 256
    static let maximumURIOctets = 4_096

    private var headers: [HeaderField] = []
    private var bodyStart = 0
    /// The first thing that was wrong; it decides the answer.
    private var problem: (status: Int, reason: String)?
    @CompactOptional private var via: Range<Int>? = nil
    @CompactOptional private var from: Range<Int>? = nil
    @CompactOptional private var to: Range<Int>? = nil
    @CompactOptional private var callID: Range<Int>? = nil
    @CompactOptional private var cseq: Range<Int>? = nil
    @CompactOptional private var maxForwards: Range<Int>? = nil
    @CompactOptional private var contentLength: Range<Int>? = nil

    static func parse(_ octets: [UInt8]) -> ParseOutcome {
        guard octets.count <= maximumOctets else { return .discard(reason: "larger than 64 KiB") }
        var parser = MessageParser()
        return parser.run(octets)
    }

    private mutating func run(_ octets: [UInt8]) -> ParseOutcome {
        let span = octets.span
        var start = 0
        while start < span.count, span[start] == Octet.carriageReturn || span[start] == Octet.lineFeed { start += 1 }
        if start == span.count || Self.isNullKeepAlive(span) { return .keepAlive }
        guard let lineEnd = Self.endOfStartLine(span, from: start) else { return .discard(reason: "no start line") }
        var uri = URILayout()
        guard let startLine = readStartLine(span, start..<lineEnd, uri: &uri) else {
            return .discard(reason: "not a SIP start line")
        }
        headers.reserveCapacity(24)
        scanHeaders(span, from: lineEnd + 2)

        guard let essentials = readEssentials(span, startLine: startLine, uri: uri) else {
            return .discard(reason: "no usable Via")
        }
        let message = SIPMessage(
            octets: octets, startLine: startLine, headers: headers, bodyRange: readBodyRange(span),
            essentials: essentials)
        guard let problem else { return .message(message) }
        // Nobody waits for the answer to an ACK (RFC 3261 §17), and a response has no answer.
        guard message.isRequest, message.method != .ack else { return .discard(reason: problem.reason) }
        return .answerable(message, status: problem.status, reason: problem.reason)
    }

    private mutating func note(_ status: Int, _ reason: String) {
        if problem == nil { problem = (status, reason) }
    }

    // MARK: Start line

    private static func isNullKeepAlive(_ octets: Span<UInt8>) -> Bool {
        guard octets.count <= 4 else { return false }
        for index in octets.indices where octets[index] != 0 { return false }
        return true
    }

    private static func endOfStartLine(_ octets: Span<UInt8>, from start: Int) -> Int? {
        var index = start
        while true {
            index = octets.firstIndex(below: Octet.carriageReturn + 1, in: index..<octets.count)
            guard index + 1 < octets.count, octets[index] != Octet.lineFeed else { return nil }
            if octets[index] == Octet.carriageReturn { return octets[index + 1] == Octet.lineFeed ? index : nil }
            index += 1
        }
    }

    private mutating func readStartLine(
        _ octets: Span<UInt8>, _ line: Range<Int>, uri: inout URILayout
    ) -> SIPMessage.StartLine? {
        let wordEnd = octets.firstIndex(of: Octet.space, in: line) ?? line.upperBound
        if line.count > 4, octets.equals(line.lowerBound..<line.lowerBound + 4, ignoringCase: "SIP/") {
            return Self.readStatusLine(octets, versionEnd: wordEnd, line)
        }
        let methodRange = line.lowerBound..<wordEnd
        guard !methodRange.isEmpty, octets.endOfToken(from: line.lowerBound, to: wordEnd) == wordEnd,
            let uriRange = readURIAndVersion(octets, wordEnd..<line.upperBound)
        else { return nil }
        readRequestURI(octets, uriRange, into: &uri)
        return .request(Method(octets, methodRange), methodRange: methodRange, uriRange: uriRange)
    }

    private static func readStatusLine(
        _ octets: Span<UInt8>, versionEnd: Int, _ line: Range<Int>
    ) -> SIPMessage.StartLine? {
        let codeStart = versionEnd + 1
        let codeEnd = codeStart + 3
        guard octets.equals(line.lowerBound..<versionEnd, ignoringCase: "SIP/2.0"), codeEnd <= line.upperBound,
            let status = octets.decimal(codeStart..<codeEnd, limit: 699), status >= 100
        else { return nil }
        guard codeEnd < line.upperBound else { return .response(status: status, reasonRange: codeEnd..<codeEnd) }
        guard octets[codeEnd] == Octet.space else { return nil }
        return .response(status: status, reasonRange: codeEnd + 1..<line.upperBound)
    }

    /// ` URI SIP/2.0`: what stands between method and version is the URI, whatever is wrong with it. Nil when the line
    /// does not end in a SIP version: another protocol.
    private mutating func readURIAndVersion(_ octets: Span<UInt8>, _ rest: Range<Int>) -> Range<Int>? {
        let trimmed = octets.trimmingWhiteSpace(rest)
        var versionStart = trimmed.upperBound
        while versionStart > trimmed.lowerBound, !Octet.isWhiteSpace(octets[versionStart - 1]) { versionStart -= 1 }
        let version = versionStart..<trimmed.upperBound
        guard version.count > 4, versionStart > trimmed.lowerBound,
            octets.equals(versionStart..<versionStart + 4, ignoringCase: "SIP/")
        else { return nil }
        if !octets.equals(version, ignoringCase: "SIP/2.0") { note(505, StatusCode.reasonPhrase(505)) }
        let uri = octets.trimmingWhiteSpace(trimmed.lowerBound..<versionStart)
        // One space on each side and none at the end (RFC 3261 §7.1, RFC 4475 §3.1.2.9 and §3.1.2.10).
        if uri.lowerBound != rest.lowerBound + 1 || uri.upperBound != versionStart - 1
            || trimmed.upperBound != rest.upperBound
        {
            note(400, "Extra White Space in Request Line")
        }
        return uri
    }

    private mutating func readRequestURI(_ octets: Span<UInt8>, _ range: Range<Int>, into uri: inout URILayout) {
        guard range.count <= Self.maximumURIOctets else { return note(414, StatusCode.reasonPhrase(414)) }
        guard let layout = URILayout(octets, range) else { return note(400, "Malformed Request-URI") }
        uri = layout
        if layout.scheme == .other { note(416, StatusCode.reasonPhrase(416)) }
        // Acting on these headers would let anyone make us send them (RFC 3261 §19.1.1 table 1, RFC 4475 §3.1.2.11).
        if layout.headerRange != nil { note(400, "Headers in Request-URI") }
    }

    // MARK: Header lines

    private mutating func scanHeaders(_ octets: Span<UInt8>, from start: Int) {
        var position = start
        var lineCount = 0
        while position < octets.count {
            if octets[position] == Octet.carriageReturn, position + 1 < octets.count,
                octets[position + 1] == Octet.lineFeed
            {
                bodyStart = position + 2
                return
            }
            lineCount += 1
            guard lineCount <= Self.maximumHeaderLines else {
                note(513, "Too Many Header Lines")
                break
            }
            position = scanHeaderLine(octets, from: position)
        }
        note(400, "No End of Header")
        bodyStart = octets.count
    }

    /// Reads one line with its folded continuations and returns the start of the next.
    ///
    /// A line that has no name and colon is passed over: one we need is then found missing, and any other does not
    /// matter (RFC 3261 §8.2).
    private mutating func scanHeaderLine(_ octets: Span<UInt8>, from start: Int) -> Int {
        var position = start
        var hash: UInt32 = 0
        while position < octets.count, Octet.isToken(octets[position]) {
            hash = HeaderName.hashStep(hash, octets[position])
            position += 1
        }
        let nameRange = start..<position
        while position < octets.count, octets[position] == Octet.space || octets[position] == Octet.tab {
            position += 1
        }
        let isField = position < octets.count && octets[position] == Octet.colon && !nameRange.isEmpty
        if isField { position += 1 }
        let valueStart = position
        guard let valueEnd = endOfLine(octets, from: valueStart) else {
            note(400, "Header Ends Within a Line")
            return octets.count
        }
        if isField {
            let value = octets.trimmingWhiteSpace(valueStart..<valueEnd)
            add(HeaderField(name: HeaderName(octets, nameRange, hash: hash), nameRange: nameRange, valueRange: value))
        }
        return valueEnd + 2
    }

    /// The index of the CRLF that ends the line and is not folding; nil when there is none.
    private mutating func endOfLine(_ octets: Span<UInt8>, from start: Int) -> Int? {
        var position = start
        let count = octets.count
        while true {
            position = octets.firstIndex(below: Octet.carriageReturn + 1, in: position..<count)
            guard position < count else { return nil }
            let octet = octets[position]
            if octet == Octet.carriageReturn, position + 1 < count, octets[position + 1] == Octet.lineFeed {
                let next = position + 2
                guard next < count, octets[next] == Octet.space || octets[next] == Octet.tab else { return position }
                position = next
            } else if octet == Octet.carriageReturn || octet == Octet.lineFeed {
                // A peer that takes it for a line end would see other headers than we do.
                note(400, "Bare CR or LF")
            }
            position += 1
        }
    }

    private mutating func add(_ field: HeaderField) {
        headers.append(field)
        let value = field.valueRange
        if field.name == .via, via == nil { via = value }
        let isAllowed =
            switch field.name {
            case .from: Self.keepFirst(value, in: &from)
            case .to: Self.keepFirst(value, in: &to)
            case .callID: Self.keepFirst(value, in: &callID)
            case .cseq: Self.keepFirst(value, in: &cseq)
            case .maxForwards: Self.keepFirst(value, in: &maxForwards)
            case .contentLength: Self.keepFirst(value, in: &contentLength)
            default: true
            }
        if !isAllowed { note(400, "More Than One \(field.name.text)") }
    }

    /// False when there was one before.
    private static func keepFirst(_ value: Range<Int>, in slot: inout Range<Int>?) -> Bool {
        guard slot == nil else { return false }
        slot = value
        return true
    }

    // MARK: Values

    /// Nil when the top Via does not say where to answer.
    private mutating func readEssentials(
        _ octets: Span<UInt8>, startLine: SIPMessage.StartLine, uri: URILayout
    ) -> SIPMessage.Essentials? {
        var viaList = ListScanner(via ?? 0..<0)
        guard let topVia = viaList.next(octets), let viaLayout = ViaLayout(octets, topVia) else { return nil }
        if !viaLayout.isWellFormed { note(400, "Malformed Via") }
        var essentials = SIPMessage.Essentials(uri: uri, via: viaLayout)

        if let from, let layout = NameAddressLayout(octets, from) {
            essentials.from = layout
        } else {
            noteMissingOrMalformed(from, .from)
        }
        if let to, let layout = NameAddressLayout(octets, to) {
            essentials.to = layout
        } else {
            noteMissingOrMalformed(to, .to)
        }
        if let callID, Self.isCallID(octets, callID) {
            essentials.callIDRange = callID
        } else {
            noteMissingOrMalformed(callID, .callID)
        }
        if let cseq, let layout = CSeqLayout(octets, cseq) {
            essentials.cseq = layout
        } else {
            noteMissingOrMalformed(cseq, .cseq)
        }
        if let maxForwards {
            essentials.maxForwards = octets.decimal(maxForwards, limit: 255).map(UInt8.init)
            if essentials.maxForwards == nil { noteMissingOrMalformed(maxForwards, .maxForwards) }
        }
        if case .request(_, let methodRange, _) = startLine {
            if !octets.equals(methodRange, essentials.cseq.methodRange) { note(400, "CSeq Method Mismatch") }
            checkContacts(octets)
        }
        return essentials
    }

    private mutating func noteMissingOrMalformed(_ range: Range<Int>?, _ name: HeaderName) {
        note(400, range == nil ? "Missing \(name.text)" : "Malformed \(name.text)")
    }

    /// No white space, no control characters, not empty; the grammar's finer points keep no one from comparing it.
    private static func isCallID(_ octets: Span<UInt8>, _ range: Range<Int>) -> Bool {
        !range.isEmpty && octets.firstIndex(below: 0x21, in: range) == range.upperBound
            && octets.firstIndex(of: 0x7f, in: range) == nil
    }

    /// The remote target and bindings come from here, so a request with a broken Contact goes no further. In a response
    /// it does not stop the transaction: the value is left out of `nameAddresses`.
    private mutating func checkContacts(_ octets: Span<UInt8>) {
        for field in headers where field.name == .contact {
            var list = ListScanner(field.valueRange)
            while let value = list.next(octets) {
                if value.count == 1, octets[value.lowerBound] == Octet.asterisk { continue }
                if NameAddressLayout(octets, value) == nil { return note(400, "Malformed Contact") }
            }
        }
    }

    /// RFC 3261 §18.3: without Content-Length the body goes to the end of the datagram; octets beyond it are dropped; a
    /// datagram that is too short is an error.
    private mutating func readBodyRange(_ octets: Span<UInt8>) -> Range<Int> {
        let rest = bodyStart..<octets.count
        guard let contentLength else { return rest }
        guard let length = octets.decimal(contentLength, limit: Int(UInt32.max)) else {
            note(400, "Malformed Content-Length")
            return rest
        }
        guard length <= rest.count else {
            note(400, "Body Shorter Than Content-Length")
            return rest
        }
        return bodyStart..<bodyStart + length
    }
}
