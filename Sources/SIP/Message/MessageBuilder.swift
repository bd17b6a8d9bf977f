package import Core

/// Writes a message octet by octet. What is added comes out in that order; `finish` writes Content-Length and the body.
///
/// No value can break out of its header line: line ends in it become a space.
///
/// Not to be copied: what is finished would be copied with it, since somebody might go on writing.
package struct MessageBuilder: ~Copyable, Sendable {
    private var octets: [UInt8] = []
    /// One-letter names where there are (RFC 3261 §7.3.3).
    private var isCompact = false

    /// As much as nearly every header takes. What is kept for retransmission is kept for half a minute.
    private static let usualCount = 600

    private init(capacity: Int = usualCount) { octets.reserveCapacity(capacity) }

    /// A request that a dialog has begun; see `Dialog.request`.
    ///
    /// - Parameters:
    ///   - count: of what `write` writes, at most: whole lines.
    ///   - bodyCount: of the body that follows in the end; what stands before it has room for the usual further lines
    ///     then.
    @inline(__always)
    init(count: Int, bodyCount: Int = 0, _ write: (inout OutputSpan<UInt8>) -> Void) {
        self.init(capacity: max(Self.usualCount, count + (bodyCount > 0 ? bodyCount + 450 : 300)))
        octets.append(addingCapacity: count, initializingWith: write)
    }

    private init(request method: String, uri: Span<UInt8>) {
        self.init()
        precondition(method.utf8.allSatisfy(Octet.isToken) && !method.isEmpty, "a method is a token")
        append(method)
        octets.append(Octet.space)
        if Octet.isVisible(uri) {
            octets.append(copying: uri)
        } else {
            for index in uri.indices where uri[index] > 0x20 && uri[index] != 0x7f { octets.append(uri[index]) }
        }
        octets.append(" SIP/2.0\r\n")
    }

    /// - Parameter uri: octets that no URI may hold (white space and controls) are left out.
    package init(request method: String, uri: ArraySlice<UInt8>) { self.init(request: method, uri: uri.span) }
    package init(request method: Method, uri: ArraySlice<UInt8>) { self.init(request: method.text, uri: uri.span) }
    package init(request method: String, uri: String) { self.init(request: method, uri: uri.utf8.span) }
    package init(request method: Method, uri: String) { self.init(request: method.text, uri: uri.utf8.span) }

    /// - Parameter reason: nil for the registered phrase.
    package init(response status: Int, reason: String? = nil) {
        precondition((100...699).contains(status), "a status is 100 to 699")
        self.init()
        octets.append(addingCapacity: 16) { line in
            line.append("SIP/2.0 ")
            line.append(decimal: UInt32(status))
            line.append(Octet.space)
        }
        Octet.appendUnfolded(reason ?? StatusCode.reasonPhrase(status), to: &octets)
        endLine()
    }

    /// A response with what RFC 3261 §8.2.6.2 takes over from the request: every Via (the top one with `received` and
    /// `rport`, §18.2.1 and RFC 3581 §4), From, To, Call-ID and CSeq; Timestamp in a 100; Record-Route where a dialog
    /// may begin (§12.1.1). It also answers a request that parsed as `answerable`; what is missing there is missing
    /// here.
    ///
    /// - Parameters:
    ///   - toTag: added to To when the request has no tag there; nil for 100.
    ///   - source: where the request came from.
    ///   - isCompact: one-letter header names: for an answer that has to be small.
    package static func response(
        to request: SIPMessage, status: Int, reason: String? = nil, toTag: String?, source: SocketAddress,
        isCompact: Bool = false
    ) -> MessageBuilder {
        let reason = reason ?? StatusCode.reasonPhrase(status)
        let via = request.viaLayout
        let isOneLine = !reason.utf8.span.hasLineEnd && toTag?.utf8.span.hasLineEnd != true
        guard !request.isFolded, via.isUsual, isOneLine else {
            var builder = MessageBuilder(response: status, reason: reason)
            builder.isCompact = isCompact
            builder.addLines(of: request, status: status, toTag: toTag, source: source)
            return builder
        }
        // What nearly every request is like, in one step.
        let count = request.bodyStart + 8 * request.headerCount + reason.utf8.count + (toTag?.utf8.count ?? 0)
            + 2 * SocketAddress.longestText + 64
        var builder = MessageBuilder(count: count) { lines in
            lines.append("SIP/2.0 ")
            lines.append(decimal: UInt32(status))
            lines.append(Octet.space)
            lines.append(copying: reason.utf8.span)
            let octets = request.octets.span
            var isTopVia = true
            for field in request.all(.via) {
                lines.append(isCompact ? "\r\nv: " : "\r\nVia: ")
                if isTopVia {
                    appendTopVia(octets, via, end: field.valueRange.upperBound, source: source, to: &lines)
                } else {
                    lines.append(copying: octets.extracting(field.valueRange))
                }
                isTopVia = false
            }
            if let field = request.first(.from) {
                lines.append(isCompact ? "\r\nf: " : "\r\nFrom: ")
                lines.append(copying: octets.extracting(field.valueRange))
            }
            if let field = request.first(.to) {
                lines.append(isCompact ? "\r\nt: " : "\r\nTo: ")
                lines.append(copying: octets.extracting(field.valueRange))
                if let toTag, request.toTag == nil {
                    lines.append(";tag=")
                    lines.append(copying: toTag.utf8.span)
                }
            }
            if let field = request.first(.callID) {
                lines.append(isCompact ? "\r\ni: " : "\r\nCall-ID: ")
                lines.append(copying: octets.extracting(field.valueRange))
            }
            if let field = request.first(.cseq) {
                lines.append("\r\nCSeq: ")
                lines.append(copying: octets.extracting(field.valueRange))
            }
            if status == 100, let field = request.first(.timestamp) {
                lines.append("\r\nTimestamp: ")
                lines.append(copying: octets.extracting(field.valueRange))
            }
            if takesRecordRoute(status, request) {
                for field in request.all(.recordRoute) {
                    lines.append("\r\nRecord-Route: ")
                    lines.append(copying: octets.extracting(field.valueRange))
                }
            }
            lines.append("\r\n")
        }
        builder.isCompact = isCompact
        return builder
    }

    /// Where a dialog may begin.
    private static func takesRecordRoute(_ status: Int, _ request: SIPMessage) -> Bool {
        guard (101...299).contains(status) else { return false }
        switch request.method {
        case .invite, .subscribe, .refer: return true
        default: return false
        }
    }

    /// The top Via as it came, with the port it came from behind `rport`, and with `received`.
    private static func appendTopVia(
        _ octets: Span<UInt8>, _ via: ViaLayout, end valueEnd: Int, source: SocketAddress, to line: inout OutputSpan<UInt8>
    ) {
        let start = via.headRange.lowerBound
        let end = via.parameterRange.upperBound
        if let rport = via.rportParameter {
            line.append(copying: octets.extracting(start..<rport.lowerBound + "rport".utf8.count))
            line.append(Octet.equals)
            line.append(decimal: UInt32(source.port))
            line.append(copying: octets.extracting(rport.upperBound..<end))
        } else {
            line.append(copying: octets.extracting(start..<end))
        }
        // RFC 3581 §4: with `rport` always, else when sent-by does not say it already.
        if via.hasRport || IPAddress(ascii: octets.extracting(via.hostPort.hostRange)) != source.ip {
            line.append(";received=")
            source.ip.append(to: &line)
        }
        line.append(copying: octets.extracting(end..<valueEnd))
    }

    /// What a response has of its request, line by line, in whatever way they are written.
    private mutating func addLines(of request: SIPMessage, status: Int, toTag: String?, source: SocketAddress) {
        var isTopVia = true
        for field in request.all(.via) {
            if isTopVia {
                addTopVia(field, of: request, source: source)
            } else {
                copy(field, from: request)
            }
            isTopVia = false
        }
        if let field = request.first(.from) { copy(field, from: request) }
        if let field = request.first(.to) {
            begin(.to)
            append(request.value(field).span, of: request)
            if request.toTag == nil, let toTag {
                octets.append(";tag=")
                Octet.appendUnfolded(toTag, to: &octets)
            }
            endLine()
        }
        if let field = request.first(.callID) { copy(field, from: request) }
        if let field = request.first(.cseq) { copy(field, from: request) }
        if status == 100, let field = request.first(.timestamp) { copy(field, from: request) }
        if Self.takesRecordRoute(status, request) {
            for field in request.all(.recordRoute) { copy(field, from: request) }
        }
    }

    package static func response(
        to request: SIPMessage, status: Int, reason: String? = nil, toTag: String?, source: Flow
    ) -> MessageBuilder {
        response(to: request, status: status, reason: reason, toTag: toTag, source: source.remote)
    }

    package mutating func add(_ name: HeaderName, _ value: String) { add(name, value.utf8.span) }
    package mutating func add(_ name: HeaderName, octets value: [UInt8]) { add(name, value.span) }
    package mutating func add(_ name: HeaderName, octets value: ArraySlice<UInt8>) { add(name, value.span) }

    private mutating func add(_ name: HeaderName, _ value: Span<UInt8>) {
        precondition(name != .other, "a header nobody knows has no spelling")
        addLine(name, value, mayBeFolded: true)
    }

    package mutating func add(_ name: HeaderName, number: Int) {
        addLine(name, capacity: 10) { $0.append(decimal: UInt32(clamping: number)) }
    }

    /// Why a request was sent, as the telephone network counts (RFC 3326).
    ///
    /// - Parameter text: without quotes.
    package mutating func addReason(q850 cause: Int, text: String) {
        let octets = text.utf8.span
        let unquotable = octets.firstIndex(in: octets.indices) {
            $0.below(Octet.space) .| $0.equal(Octet.quote) .| $0.equal(Octet.backslash)
        }
        guard unquotable == octets.count else {
            return addLine(.reason, capacity: 32) { $0.append("Q.850;cause="); $0.append(decimal: UInt32(clamping: cause)) }
        }
        addLine(.reason, capacity: 40 + text.utf8.count) { line in
            line.append("Q.850;cause=")
            line.append(decimal: UInt32(clamping: cause))
            line.append(";text=\"")
            line.append(copying: octets)
            line.append("\"")
        }
    }

    /// Where requests of a dialog are to go.
    package mutating func addContact(_ endpoint: LocalEndpoint, isSecure: Bool = false) {
        if isSecure { add(.contact, endpoint.contact(isSecure: true)) } else { add(lines: endpoint.contactLine) }
    }

    /// RFC 4028 §4.
    package mutating func addSessionExpires(_ interval: Duration, refresher: SessionTimer.Refresher?) {
        addLine(.sessionExpires, capacity: 32) { line in
            line.append(decimal: UInt32(clamping: interval.nanoseconds / 1_000_000_000))
            switch refresher {
            case .uac: line.append(";refresher=uac")
            case .uas: line.append(";refresher=uas")
            case nil: break
            }
        }
    }

    /// Whole lines, each with its end, that the program itself has made.
    package mutating func add(lines: [UInt8]) { octets.append(copying: lines.span) }

    package mutating func add(lines: StaticString) { octets.append(lines) }

    package mutating func add(name: String, _ value: String) {
        precondition(!name.isEmpty && name.utf8.allSatisfy(Octet.isToken), "a header name is a token")
        begin(name.utf8.span)
        Octet.appendUnfolded(value, to: &octets)
        endLine()
    }

    /// A known header gets its canonical name; any other keeps the name it has. The value is unfolded.
    package mutating func copy(_ field: HeaderField, from message: SIPMessage) {
        let span = message.octets.span
        guard field.name == .other else {
            return addLine(field.name, span.extracting(field.valueRange), mayBeFolded: message.isFolded)
        }
        begin(span.extracting(field.nameRange))
        append(span.extracting(field.valueRange), of: message)
        endLine()
    }

    /// The finished message. Content-Type and Content-Length are written here and must not have been added before.
    package consuming func finish(body: [UInt8], contentType: String?) -> [UInt8] {
        finish(body.span, contentType)
        return octets
    }

    package consuming func finish(body: ArraySlice<UInt8>, contentType: String?) -> [UInt8] {
        finish(body.span, contentType)
        return octets
    }

    package consuming func finish() -> [UInt8] { finish(body: [UInt8](), contentType: nil) }

    private mutating func finish(_ body: Span<UInt8>, _ contentType: String?) {
        guard !isCompact, contentType?.utf8.span.hasLineEnd != true else {
            if let contentType { add(.contentType, contentType) }
            add(.contentLength, number: body.count)
            return endLine(andAppending: body)
        }
        octets.append(addingCapacity: 64 + (contentType?.utf8.count ?? 0) + body.count) { lines in
            if let contentType {
                lines.append("Content-Type: ")
                lines.append(copying: contentType.utf8.span)
                lines.append("\r\n")
            }
            lines.append("Content-Length: ")
            lines.append(decimal: UInt32(clamping: body.count))
            lines.append("\r\n\r\n")
            lines.append(copying: body)
        }
    }

    private mutating func endLine(andAppending body: Span<UInt8>) {
        endLine()
        octets.append(copying: body)
    }

    /// Without a body and without Content-Length, which a datagram does not need (RFC 3261 §18.3).
    package consuming func finishDatagram() -> [UInt8] {
        endLine()
        return octets
    }

    /// Octets that a line of this header takes, by its full name.
    package static func lineCount(_ name: HeaderName, _ valueCount: Int) -> Int { name.text.utf8.count + valueCount + 4 }

    /// Octets of the message if it were finished now, without a body.
    package var finishedCount: Int { octets.count + Self.lineCount(.contentLength, 1) + 2 }

    // MARK: Helpers

    private mutating func append(_ text: String) { octets.append(copying: text.utf8.span) }

    private mutating func begin(_ name: HeaderName) {
        if isCompact, let letter = name.compactForm { return begin("\(letter)".utf8.span) }
        let table = HeaderNameTable.shared
        octets.append(copying: table.written(name))
    }

    /// A whole line, in one step where there is nothing special about it.
    private mutating func addLine(_ name: HeaderName, _ value: Span<UInt8>, mayBeFolded: Bool) {
        if isCompact || mayBeFolded && value.hasLineEnd {
            begin(name)
            Octet.appendUnfolded(value, to: &octets)
            return endLine()
        }
        let table = HeaderNameTable.shared
        let name = table.written(name)
        octets.append(addingCapacity: name.count + value.count + 2) { line in
            line.append(copying: name)
            line.append(copying: value)
            line.append(Octet.carriageReturn)
            line.append(Octet.lineFeed)
        }
    }

    /// A line whose value is written as it is made, `capacity` octets at most.
    @inline(__always)
    mutating func addLine(
        _ name: HeaderName, capacity: Int, _ writeValue: (inout OutputSpan<UInt8>) -> Void
    ) {
        begin(name)
        octets.append(addingCapacity: capacity + 2) { line in
            writeValue(&line)
            line.append("\r\n")
        }
    }

    /// A part of a header value.
    private mutating func append(_ value: Span<UInt8>, of message: SIPMessage) {
        if message.isFolded { Octet.appendUnfolded(value, to: &octets) } else { octets.append(copying: value) }
    }

    private mutating func begin(_ name: Span<UInt8>) {
        octets.append(copying: name)
        octets.append(": ")
    }

    private mutating func endLine() { octets.append("\r\n") }

    /// The top Via as written, but for `received` and `rport`: what the peer claimed there is replaced by what we saw.
    private mutating func addTopVia(_ field: HeaderField, of request: SIPMessage, source: SocketAddress) {
        let via = request.viaLayout
        guard via.isWellFormed else { return copy(field, from: request) }
        let span = request.octets.span
        begin(.via)
        append(span.extracting(via.headRange), of: request)
        var scanner = ParameterScanner(via.parameterRange)
        while let parameter = scanner.next(span) {
            if span.equals(parameter.nameRange, ignoringCase: "received") { continue }
            octets.append(Octet.semicolon)
            octets.append(copying: span.extracting(parameter.nameRange))
            if span.equals(parameter.nameRange, ignoringCase: "rport") {
                octets.append(Octet.equals)
                octets.append(decimal: UInt64(source.port))
            } else if let range = parameter.valueRange {
                octets.append(Octet.equals)
                append(span.extracting(range), of: request)
            }
        }
        // RFC 3581 §4: with `rport` always, else when sent-by does not say it already.
        if via.hasRport || request.topVia.hostAddress != source.ip {
            octets.append(";received=")
            source.ip.append(to: &octets)
        }
        let furtherValues = via.parameterRange.upperBound..<field.valueRange.upperBound
        append(span.extracting(furtherValues), of: request)
        endLine()
    }
}
