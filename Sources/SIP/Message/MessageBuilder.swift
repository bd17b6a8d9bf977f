package import Core

/// Writes a message octet by octet. What is added comes out in that order; `finish` writes Content-Length and the body.
///
/// No value can break out of its header line: line ends in it become a space.
package struct MessageBuilder: Sendable {
    private var octets: [UInt8] = []
    /// One-letter names where there are (RFC 3261 §7.3.3).
    private var isCompact = false

    /// As much as nearly every header takes. What is kept for retransmission is kept for half a minute.
    private init() { octets.reserveCapacity(600) }

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
        var builder = MessageBuilder(response: status, reason: reason)
        builder.isCompact = isCompact
        var isTopVia = true
        for field in request.headers where field.name == .via {
            if isTopVia {
                builder.addTopVia(field, of: request, source: source)
            } else {
                builder.copy(field, from: request)
            }
            isTopVia = false
        }
        if let field = request.first(.from) { builder.copy(field, from: request) }
        if let field = request.first(.to) {
            builder.begin(.to)
            builder.append(request.value(field).span, of: request)
            if request.toTag == nil, let toTag {
                builder.octets.append(";tag=")
                Octet.appendUnfolded(toTag, to: &builder.octets)
            }
            builder.endLine()
        }
        if let field = request.first(.callID) { builder.copy(field, from: request) }
        if let field = request.first(.cseq) { builder.copy(field, from: request) }
        if status == 100, let field = request.first(.timestamp) { builder.copy(field, from: request) }
        if (101...299).contains(status), [.invite, .subscribe, .refer].contains(request.method) {
            for field in request.all(.recordRoute) { builder.copy(field, from: request) }
        }
        return builder
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

    package mutating func addCSeq(_ number: UInt32, _ method: Method) {
        let method = method.text
        addLine(.cseq, capacity: 11 + method.utf8.count) { line in
            line.append(decimal: number)
            line.append(Octet.space)
            line.append(copying: method.utf8.span)
        }
    }

    /// Our Via, as `LocalEndpoint.via` has it.
    package mutating func addVia(_ endpoint: LocalEndpoint, branch: String) {
        guard !branch.utf8.span.hasLineEnd else { return add(.via, endpoint.via(branch: branch)) }
        let transport = endpoint.transport.viaToken
        addLine(.via, capacity: SocketAddress.longestText + branch.utf8.count + 64) { line in
            line.append("SIP/2.0/")
            line.append(copying: transport.utf8.span)
            line.append(Octet.space)
            endpoint.address.append(to: &line)
            line.append(";branch=")
            line.append(copying: branch.utf8.span)
            line.append(endpoint.transport.isReliable ? ";rport;alias" : ";rport")
        }
    }

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
        if let contentType { add(.contentType, contentType) }
        add(.contentLength, number: body.count)
        endLine()
        octets.reserveCapacity(octets.count + body.count)
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
    private mutating func addLine(
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
