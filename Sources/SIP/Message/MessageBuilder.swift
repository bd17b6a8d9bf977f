package import Core

/// Writes a message octet by octet. What is added comes out in that order; `finish` writes Content-Length and the body.
///
/// No value can break out of its header line: line ends in it become a space.
package struct MessageBuilder: Sendable {
    private var octets: [UInt8] = []
    /// One-letter names where there are (RFC 3261 §7.3.3).
    private var isCompact = false

    private init(startLine: String) {
        // As much as nearly every header takes. What is kept for retransmission is kept for half a minute.
        octets.reserveCapacity(600)
        octets += startLine.utf8
    }

    /// - Parameter uri: octets that no URI may hold (white space and controls) are left out.
    package init(request method: String, uri: some Collection<UInt8>) {
        precondition(method.utf8.allSatisfy(Octet.isToken) && !method.isEmpty, "a method is a token")
        self.init(startLine: method)
        octets.append(Octet.space)
        for octet in uri where octet > 0x20 && octet != 0x7f { octets.append(octet) }
        append(" SIP/2.0\r\n")
    }

    package init(request method: Method, uri: some Collection<UInt8>) { self.init(request: method.text, uri: uri) }
    package init(request method: String, uri: String) { self.init(request: method, uri: uri.utf8) }
    package init(request method: Method, uri: String) { self.init(request: method.text, uri: uri.utf8) }

    /// - Parameter reason: nil for the registered phrase.
    package init(response status: Int, reason: String? = nil) {
        precondition((100...699).contains(status), "a status is 100 to 699")
        self.init(startLine: "SIP/2.0 ")
        octets.append(decimal: UInt64(status))
        octets.append(Octet.space)
        Octet.appendUnfolded((reason ?? StatusCode.reasonPhrase(status)).utf8, to: &octets)
        append("\r\n")
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
        to request: SIPMessage, status: Int, reason: String? = nil, toTag: String?, source: SocketAddress, isCompact: Bool = false
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
            Octet.appendUnfolded(request.value(field), to: &builder.octets)
            if request.toTag == nil, let toTag {
                builder.append(";tag=")
                Octet.appendUnfolded(toTag.utf8, to: &builder.octets)
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

    package mutating func add(_ name: HeaderName, _ value: String) { add(name, octets: value.utf8) }

    package mutating func add(_ name: HeaderName, octets value: some Collection<UInt8>) {
        precondition(name != .other, "a header nobody knows has no spelling")
        begin(name)
        Octet.appendUnfolded(value, to: &octets)
        endLine()
    }

    package mutating func add(_ name: HeaderName, number: Int) {
        begin(name)
        octets.append(decimal: UInt64(clamping: number))
        endLine()
    }

    package mutating func addCSeq(_ number: UInt32, _ method: Method) {
        begin(.cseq)
        octets.append(decimal: UInt64(number))
        octets.append(Octet.space)
        append(method.text)
        endLine()
    }

    /// Our Via, as `LocalEndpoint.via` has it.
    package mutating func addVia(_ endpoint: LocalEndpoint, branch: String) {
        begin(.via)
        append("SIP/2.0/")
        append(endpoint.transport.viaToken)
        octets.append(Octet.space)
        endpoint.address.append(to: &octets)
        append(";branch=")
        Octet.appendUnfolded(branch.utf8, to: &octets)
        append(endpoint.transport.isReliable ? ";rport;alias" : ";rport")
        endLine()
    }

    package mutating func add(name: String, _ value: String) {
        precondition(!name.isEmpty && name.utf8.allSatisfy(Octet.isToken), "a header name is a token")
        begin(name.utf8)
        Octet.appendUnfolded(value.utf8, to: &octets)
        endLine()
    }

    /// A known header gets its canonical name; any other keeps the name it has. The value is unfolded.
    package mutating func copy(_ field: HeaderField, from message: SIPMessage) {
        if field.name == .other { begin(message.octets[field.nameRange]) } else { begin(field.name) }
        Octet.appendUnfolded(message.value(field), to: &octets)
        endLine()
    }

    /// The finished message. Content-Type and Content-Length are written here and must not have been added before.
    package consuming func finish(body: some Collection<UInt8>, contentType: String?) -> [UInt8] {
        if let contentType { add(.contentType, contentType) }
        add(.contentLength, number: body.count)
        endLine()
        octets.reserveCapacity(octets.count + body.count)
        octets += body
        return octets
    }

    package consuming func finish() -> [UInt8] { finish(body: [], contentType: nil) }

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

    private mutating func append(_ text: String) { octets += text.utf8 }

    private mutating func begin(_ name: HeaderName) {
        if isCompact, let letter = name.compactForm { begin("\(letter)".utf8) } else { begin(name.text.utf8) }
    }

    private mutating func begin(_ name: some Collection<UInt8>) {
        octets += name
        octets.append(Octet.colon)
        octets.append(Octet.space)
    }

    private mutating func endLine() {
        octets.append(Octet.carriageReturn)
        octets.append(Octet.lineFeed)
    }

    /// The top Via as written, but for `received` and `rport`: what the peer claimed there is replaced by what we saw.
    private mutating func addTopVia(_ field: HeaderField, of request: SIPMessage, source: SocketAddress) {
        let via = request.essentials.via
        guard via.isWellFormed else { return copy(field, from: request) }
        let span = request.octets.span
        begin(.via)
        Octet.appendUnfolded(request.octets[via.headRange], to: &octets)
        var scanner = ParameterScanner(via.parameterRange)
        while let parameter = scanner.next(span) {
            if span.equals(parameter.nameRange, ignoringCase: "received") { continue }
            octets.append(Octet.semicolon)
            octets += request.octets[parameter.nameRange]
            if span.equals(parameter.nameRange, ignoringCase: "rport") {
                octets.append(Octet.equals)
                octets.append(decimal: UInt64(source.port))
            } else if let range = parameter.valueRange {
                octets.append(Octet.equals)
                Octet.appendUnfolded(request.octets[range], to: &octets)
            }
        }
        // RFC 3581 §4: with `rport` always, else when sent-by does not say it already.
        if via.hasRport || request.topVia.hostAddress != source.ip {
            append(";received=")
            source.ip.append(to: &octets)
        }
        let furtherValues = via.parameterRange.upperBound..<field.valueRange.upperBound
        Octet.appendUnfolded(request.octets[furtherValues], to: &octets)
        endLine()
    }
}
