/// Reads a datagram into a `SIPMessage`: one pass over start line and header, then the few values every message needs.
///
/// Whoever reads many messages keeps one, so that there is nothing to prepare for each.
///
/// Follows RFC 3261 §7 and §25 and the advice of RFC 4475 and RFC 5118: liberal where the meaning is plain, strict
/// where two readers could see two messages (bare CR or LF, doubled Content-Length, octets behind the body).
package struct MessageParser: Sendable {
    package static let maximumOctets = OctetRange.maximumOctets
    static let maximumHeaderLines = 256
    static let maximumURIOctets = 4_096

    /// What was read last, filled in place: reading takes no memory unless there are more header lines than have room there.
    private(set) var layout = MessageLayout()
    private(set) var headers = HeaderFields()
    private var bodyStart = 0
    /// The first thing that was wrong; it decides the answer.
    private var problem: (status: Int, reason: String)?
    private var hasFurtherContacts = false

    /// What a datagram turned out to be; see `ParseOutcome`.
    package enum Verdict: Sendable {
        case message
        case answerable(status: Int, reason: String)
        case keepAlive
        case discard(reason: String)
    }

    package init() {}

    /// Reads one datagram, and makes what can be kept of it.
    package mutating func parse(_ octets: [UInt8]) -> ParseOutcome {
        switch read(octets.span) {
        case .message: .message(SIPMessage(octets, layout, headers))
        case .answerable(let status, let reason):
            .answerable(SIPMessage(octets, layout, headers), status: status, reason: reason)
        case .keepAlive: .keepAlive
        case .discard(let reason): .discard(reason: reason)
        }
    }

    /// Reads one datagram into `layout`: no more than that, and without an allocation.
    package mutating func read(_ octets: Span<UInt8>) -> Verdict {
        guard octets.count <= Self.maximumOctets else { return .discard(reason: "larger than 64 KiB") }
        problem = nil
        hasFurtherContacts = false
        headers.removeAll()
        layout.removeAll()
        var start = 0
        while start < octets.count, octets[start] == Octet.carriageReturn || octets[start] == Octet.lineFeed { start += 1 }
        if start == octets.count || Self.isNullKeepAlive(octets) { return .keepAlive }
        guard let lineEnd = Self.endOfStartLine(octets, from: start) else { return .discard(reason: "no start line") }
        guard readStartLine(octets, start..<lineEnd) else { return .discard(reason: "not a SIP start line") }
        scanHeaders(octets, from: lineEnd + 2)
        guard readVia(octets) else { return .discard(reason: "no usable Via") }
        readEssentials(octets)
        if case .request(_, let methodRange, _) = layout.startLine { checkRequest(octets, methodRange: methodRange.range) }
        layout.bodyRange = readBodyRange(octets)
        guard let problem else { return .message }
        // Nobody waits for the answer to an ACK (RFC 3261 §17), and a response has no answer.
        if case .request(let method, _, _) = layout.startLine, method != .ack {
            return .answerable(status: problem.status, reason: problem.reason)
        }
        return .discard(reason: problem.reason)
    }

    private static var sip: Keyword { "SIP/" }

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
            index = octets.firstIndex(in: index..<octets.count) { $0.below(Octet.carriageReturn + 1) }
            guard index + 1 < octets.count, octets[index] != Octet.lineFeed else { return nil }
            if octets[index] == Octet.carriageReturn { return octets[index + 1] == Octet.lineFeed ? index : nil }
            index += 1
        }
    }

    /// False when it is none: another protocol.
    private mutating func readStartLine(_ octets: Span<UInt8>, _ line: Range<Int>) -> Bool {
        let wordEnd = octets.firstIndex(of: Octet.space, in: line) ?? line.upperBound
        if line.count > 4, Self.sip.begins(octets, at: line.lowerBound) {
            return readStatusLine(octets, versionEnd: wordEnd, line)
        }
        let methodRange = line.lowerBound..<wordEnd
        guard !methodRange.isEmpty, octets.endOfToken(from: line.lowerBound, to: wordEnd) == wordEnd,
            let uriRange = readURIAndVersion(octets, wordEnd..<line.upperBound)
        else { return false }
        readRequestURI(octets, uriRange)
        layout.startLine = .request(
            Method(octets, methodRange), methodRange: OctetRange(methodRange), uriRange: OctetRange(uriRange))
        return true
    }

    private mutating func readStatusLine(_ octets: Span<UInt8>, versionEnd: Int, _ line: Range<Int>) -> Bool {
        let codeStart = versionEnd + 1
        let codeEnd = codeStart + 3
        guard octets.equals(line.lowerBound..<versionEnd, ignoringCase: "SIP/2.0"), codeEnd <= line.upperBound,
            let status = octets.decimal(codeStart..<codeEnd, limit: 699), status >= 100
        else { return false }
        guard codeEnd == line.upperBound || octets[codeEnd] == Octet.space else { return false }
        let reasonStart = min(codeEnd + 1, line.upperBound)
        layout.startLine = .response(status: status, reasonRange: OctetRange(reasonStart..<line.upperBound))
        return true
    }

    /// ` URI SIP/2.0`: what stands between method and version is the URI, whatever is wrong with it. Nil when the line
    /// does not end in a SIP version: another protocol.
    private mutating func readURIAndVersion(_ octets: Span<UInt8>, _ rest: Range<Int>) -> Range<Int>? {
        let trimmed = octets.trimmingWhiteSpace(rest)
        var versionStart = trimmed.upperBound
        while versionStart > trimmed.lowerBound, !Octet.isWhiteSpace(octets[versionStart - 1]) { versionStart -= 1 }
        let version = versionStart..<trimmed.upperBound
        guard version.count > 4, versionStart > trimmed.lowerBound, Self.sip.begins(octets, at: versionStart) else { return nil }
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

    private mutating func readRequestURI(_ octets: Span<UInt8>, _ range: Range<Int>) {
        guard range.count <= Self.maximumURIOctets else { return note(414, StatusCode.reasonPhrase(414)) }
        guard layout.uri.read(octets, range) else {
            layout.uri = URILayout()
            return note(400, "Malformed Request-URI")
        }
        if layout.uri.scheme == .other { note(416, StatusCode.reasonPhrase(416)) }
        // Acting on these headers would let anyone make us send them (RFC 3261 §19.1.1 table 1, RFC 4475 §3.1.2.11).
        if layout.uri.headerRange != nil { note(400, "Headers in Request-URI") }
    }

    // MARK: Header lines

    private mutating func scanHeaders(_ octets: Span<UInt8>, from start: Int) {
        let names = HeaderNameTable.shared
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
            position = scanHeaderLine(octets, from: position, names)
        }
        note(400, "No End of Header")
        bodyStart = octets.count
    }

    /// Reads one line with its folded continuations and returns the start of the next.
    ///
    /// A line that has no name and colon is passed over: one we need is then found missing, and any other does not
    /// matter (RFC 3261 §8.2).
    @inline(__always)
    private mutating func scanHeaderLine(_ octets: Span<UInt8>, from start: Int, _ names: HeaderNameTable) -> Int {
        let nameEnd = octets.firstIndex(in: start..<octets.count) { $0.below(Octet.space + 1) .| $0.equal(Octet.colon) }
        var colon = nameEnd
        while colon < octets.count, octets[colon] == Octet.space || octets[colon] == Octet.tab { colon += 1 }
        let isField = colon < octets.count && octets[colon] == Octet.colon && nameEnd > start
        // From the start of the line, where there is no line end either: the search need not wait for the colon.
        guard let end = endOfLine(octets, from: start) else {
            note(400, "Header Ends Within a Line")
            return octets.count
        }
        if isField {
            let name = names.find(octets, start..<nameEnd)
            addField(octets, name, start..<nameEnd, octets.trimmingWhiteSpace(colon + 1..<end))
        }
        return end + 2
    }

    /// The index of the CRLF that ends the line and is not folding; nil when there is none.
    @inline(__always)
    private mutating func endOfLine(_ octets: Span<UInt8>, from start: Int) -> Int? {
        var position = start
        let count = octets.count
        while true {
            position = octets.firstIndex(in: position..<count) { $0.below(Octet.carriageReturn + 1) }
            guard position < count else { return nil }
            let octet = octets[position]
            if octet == Octet.carriageReturn, position + 1 < count, octets[position + 1] == Octet.lineFeed {
                let next = position + 2
                guard next < count, octets[next] == Octet.space || octets[next] == Octet.tab else { return position }
                layout.isFolded = true
                position = next
            } else if octet == Octet.carriageReturn || octet == Octet.lineFeed {
                // A peer that takes it for a line end would see other headers than we do.
                layout.isFolded = true
                note(400, "Bare CR or LF")
            }
            position += 1
        }
    }

    @inline(__always)
    private mutating func addField(
        _ octets: Span<UInt8>, _ name: HeaderName, _ nameRange: Range<Int>, _ value: Range<Int>
    ) {
        // A name we know is a token.
        let end = nameRange.upperBound
        if name == .other, octets.endOfToken(from: nameRange.lowerBound, to: end) < end { return }
        if HeaderIndex.isFrequent(name), headers.index.names.contains(name) {
            switch name {
            case .via, .contentType: break
            case .contact: hasFurtherContacts = true
            default: note(400, "More Than One \(name.text)")
            }
        }
        headers.append(HeaderField(name: name, nameRange: nameRange, valueRange: value))
    }

    // MARK: Values

    /// The value of the first line of that name.
    @inline(__always)
    private func value(of name: HeaderName) -> Range<Int>? {
        headers.first(name).map { headers[$0].valueRange }
    }

    /// False when the top Via does not say where to answer.
    private mutating func readVia(_ octets: Span<UInt8>) -> Bool {
        guard let range = value(of: .via) else { return false }
        var list = ListScanner(range)
        guard let topVia = list.next(octets), layout.via.read(octets, topVia) else { return false }
        if !layout.via.isWellFormed { note(400, "Malformed Via") }
        return true
    }

    private mutating func readEssentials(_ octets: Span<UInt8>) {
        if !Self.read(value(of: .from), octets, into: &layout.from) { noteMissingOrMalformed(.from) }
        if !Self.read(value(of: .to), octets, into: &layout.to) { noteMissingOrMalformed(.to) }
        if let callID = value(of: .callID), Self.isCallID(octets, callID) {
            layout.callIDRange = callID
        } else {
            noteMissingOrMalformed(.callID)
        }
        if let value = value(of: .cseq), let cseq = CSeqLayout(octets, value) {
            layout.cseq = cseq
        } else {
            noteMissingOrMalformed(.cseq)
        }
        if let value = value(of: .maxForwards) {
            layout.maxForwards = octets.decimal(value, limit: 255).map(UInt8.init)
            if layout.maxForwards == nil { noteMissingOrMalformed(.maxForwards) }
        }
    }

    private static func read(_ range: Range<Int>?, _ octets: Span<UInt8>, into address: inout NameAddressLayout) -> Bool {
        if let range, address.read(octets, range) { return true }
        address = NameAddressLayout()
        return false
    }

    private mutating func checkRequest(_ octets: Span<UInt8>, methodRange: Range<Int>) {
        if !octets.equals(methodRange, layout.cseq.methodRange) { note(400, "CSeq Method Mismatch") }
        checkContacts(octets)
    }

    private mutating func noteMissingOrMalformed(_ name: HeaderName) {
        note(400, headers.index.names.contains(name) ? "Malformed \(name.text)" : "Missing \(name.text)")
    }

    /// No white space, no control characters, not empty; the grammar's finer points keep no one from comparing it.
    private static func isCallID(_ octets: Span<UInt8>, _ range: Range<Int>) -> Bool {
        !range.isEmpty
            && octets.firstIndex(in: range) { $0.below(Octet.space + 1) .| $0.equal(Octet.delete) } == range.upperBound
    }

    /// The remote target and bindings come from here, so a request with a broken Contact goes no further. In a response
    /// it does not stop the transaction: the value is left out of `nameAddresses`.
    private mutating func checkContacts(_ octets: Span<UInt8>) {
        guard let first = value(of: .contact) else { return }
        checkContacts(octets, first)
        guard hasFurtherContacts else { return }
        for place in 0..<headers.count {
            let field = headers[place]
            if field.name == .contact { checkContacts(octets, field.valueRange) }
        }
    }

    private mutating func checkContacts(_ octets: Span<UInt8>, _ range: Range<Int>) {
        var list = ListScanner(range)
        while let value = list.next(octets) {
            if value.count == 1, octets[value.lowerBound] == Octet.asterisk { continue }
            var address = NameAddressLayout()
            if !address.read(octets, value) { return note(400, "Malformed Contact") }
            if layout.contact == nil { layout.contact = address }
        }
    }

    /// RFC 3261 §18.3: without Content-Length the body goes to the end of the datagram; octets beyond it are dropped; a
    /// datagram that is too short is an error.
    private mutating func readBodyRange(_ octets: Span<UInt8>) -> Range<Int> {
        let rest = bodyStart..<octets.count
        guard let contentLength = value(of: .contentLength) else { return rest }
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
