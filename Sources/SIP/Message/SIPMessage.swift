import Core

/// A SIP message: its octets, and where in them everything is (RFC 3261 §7).
///
/// A value of this type has passed `parse`, so what every message needs is there and well-formed. A message inside
/// `ParseOutcome.answerable` is the exception: it is good for `MessageBuilder.response`, `topVia`, `method` and the
/// trace; what was missing or broken in it reads as empty or zero.
package struct SIPMessage: Sendable {
    /// All of it. Out of line: transactions, calls and what passes between them hand messages on.
    private let stored: Stored

    private final class Stored: Sendable {
        let octets: [UInt8]
        let layout: MessageLayout
        let fields: [HeaderField]
        let index: HeaderIndex

        init(_ octets: [UInt8], _ layout: MessageLayout, _ headers: HeaderFields) {
            self.octets = octets
            self.layout = layout
            fields = headers.all
            index = headers.index
        }

        func first(_ name: HeaderName) -> Int? {
            guard index.names.contains(name) else { return nil }
            return index.first(name) ?? fields.firstIndex { $0.name == name }
        }

        func next(_ name: HeaderName, after place: Int) -> Int? {
            index.repeated.contains(name) ? fields[(place + 1)...].firstIndex { $0.name == name } : nil
        }
    }

    init(_ octets: [UInt8], _ layout: MessageLayout, _ headers: HeaderFields) { stored = Stored(octets, layout, headers) }

    /// The whole datagram.
    package var octets: [UInt8] { stored.octets }
    /// Cut to Content-Length: what follows in the datagram is not part of the message (RFC 3261 §18.3).
    package var bodyRange: Range<Int> { stored.layout.bodyRange }
    var startLine: MessageLayout.StartLine { stored.layout.startLine }
    /// A header value may hold line ends.
    var isFolded: Bool { stored.layout.isFolded }
    var viaLayout: ViaLayout { stored.layout.via }
    /// Behind the line end that ends the header.
    var bodyStart: Int { bodyRange.lowerBound }
    /// Of the top Via.
    var branchRange: Range<Int>? { stored.layout.via.branchRange }
    var cseqMethodRange: Range<Int> { stored.layout.cseq.methodRange }
    /// Of the first Contact of a request that is an address.
    var contactLayout: NameAddressLayout? { stored.layout.contact }
    /// The host of the top Via, where that is an address.
    var viaAddress: IPAddress? { IPAddress(ascii: octets.span.extracting(viaLayout.hostPort.hostRange)) }

    /// The header lines in their order.
    package var headers: [HeaderField] { stored.fields }
    var headerCount: Int { stored.index.count }

    /// The lines of one name in their order.
    package struct Fields: Sequence, IteratorProtocol, Sendable {
        private let message: SIPMessage
        private let name: HeaderName
        private var following: Int?

        fileprivate init(_ name: HeaderName, of message: SIPMessage) {
            self.message = message
            self.name = name
            following = message.stored.first(name)
        }

        package mutating func next() -> HeaderField? {
            guard let index = following else { return nil }
            following = message.stored.next(name, after: index)
            return message.stored.fields[index]
        }
    }

    /// Reads one datagram. Never fails to give an answer: see `ParseOutcome`.
    package static func parse(_ octets: [UInt8]) -> ParseOutcome {
        var parser = MessageParser()
        return parser.parse(octets)
    }

    // MARK: Start line

    package var isRequest: Bool { status == nil }
    /// Nil for a request.
    package var status: Int? {
        if case .response(let status, _) = startLine { status } else { nil }
    }
    package var reasonPhrase: String {
        if case .response(_, let range) = startLine { Octet.string(octets.span.extracting(range.range)) } else { "" }
    }
    /// Of the request line, or of CSeq for a response.
    package var method: Method {
        if case .request(let method, _, _) = startLine { method } else { stored.layout.cseq.method }
    }
    package var methodText: String {
        let method = method
        guard method == .unknown else { return method.text }
        if case .request(_, let range, _) = startLine { return String(decoding: octets[range.range], as: UTF8.self) }
        return String(decoding: octets[cseqMethodRange], as: UTF8.self)
    }
    /// As written; empty for a response.
    package var requestURI: ArraySlice<UInt8> {
        if case .request(_, _, let range) = startLine { octets[range.range] } else { [] }
    }
    /// The Request-URI, which is `sip`, `sips` or `tel`. Of scheme `other` and empty for a response.
    package var uri: SIPURI { SIPURI(octets: octets, layout: stored.layout.uri) }

    // MARK: What every message has

    package var callID: ArraySlice<UInt8> { octets[callIDRange] }
    var callIDRange: Range<Int> { stored.layout.callIDRange }
    package var cseq: CSeq {
        let layout = stored.layout.cseq
        return CSeq(
            number: layout.number, method: layout.method,
            methodText: layout.method == .unknown ? String(decoding: octets[layout.methodRange], as: UTF8.self) : nil)
    }
    package var topVia: Via { Via(octets: octets, layout: stored.layout.via) }
    package var from: NameAddress { NameAddress(octets: octets, layout: stored.layout.from) }
    package var to: NameAddress { NameAddress(octets: octets, layout: stored.layout.to) }
    package var fromTag: ArraySlice<UInt8>? { stored.layout.from.tagRange.map { octets[$0] } }
    package var toTag: ArraySlice<UInt8>? { stored.layout.to.tagRange.map { octets[$0] } }
    package var body: ArraySlice<UInt8> { octets[bodyRange] }

    // MARK: What some have

    /// 0–255; nil when the header is missing.
    package var maxForwards: Int? { stored.layout.maxForwards.map(Int.init) }
    /// The first Contact that is an address; nil also for `*`.
    package var contact: NameAddress? {
        if let layout = stored.layout.contact { return NameAddress(octets: octets, layout: layout) }
        let span = octets.span
        for field in all(.contact) {
            var scanner = ListScanner(field.valueRange)
            while let range = scanner.next(span) {
                if let layout = NameAddressLayout(span, range) { return NameAddress(octets: octets, layout: layout) }
            }
        }
        return nil
    }
    /// `Contact: *` (RFC 3261 §10.2.2).
    package var hasContactWildcard: Bool {
        all(.contact).contains { value($0).elementsEqual([Octet.asterisk]) }
    }
    /// Compares type and subtype, without parameters: `application/sdp`.
    package func hasContentType(_ type: String) -> Bool {
        guard let range = first(.contentType)?.valueRange else { return false }
        let span = octets.span
        var end = range.lowerBound
        while end < range.upperBound, span[end] != Octet.semicolon, !Octet.isWhiteSpace(span[end]) { end += 1 }
        return span.equals(range.lowerBound..<end, ignoringCaseOf: type)
    }
    /// Whether an answer may have this type: Accept names it, all of its kind or all, or is missing (RFC 3261 §20.1).
    package func accepts(_ type: String) -> Bool {
        guard first(.accept) != nil else { return true }
        let kind = type.prefix { $0 != "/" }
        return listValues(.accept).contains { value in
            let written = value.prefix { $0 != Octet.semicolon && !Octet.isWhiteSpace($0) }
            return [type, "\(kind)/*", "*/*"].contains { Octet.equal(written, $0) }
        }
    }
}

// MARK: - Header fields

extension SIPMessage {
    /// Whether there is a line of that name.
    package func has(_ name: HeaderName) -> Bool { stored.index.names.contains(name) }

    /// Whether there is a line of one of these names.
    package func hasAny(of names: HeaderNames) -> Bool { stored.index.names.intersects(names) }

    package func first(_ name: HeaderName) -> HeaderField? {
        stored.first(name).map { stored.fields[$0] }
    }

    package func all(_ name: HeaderName) -> Fields { Fields(name, of: self) }

    /// As written, folding included: for people and programs `text` is better.
    package func value(_ field: HeaderField) -> ArraySlice<UInt8> { octets[field.valueRange] }

    /// The name as written.
    package func nameText(_ field: HeaderField) -> String { String(decoding: octets[field.nameRange], as: UTF8.self) }

    package func text(_ field: HeaderField) -> String {
        isFolded ? Octet.text(value(field)) : String(decoding: value(field), as: UTF8.self)
    }

    /// The value of the first header line of that name, unfolded.
    package func text(_ name: HeaderName) -> String? { first(name).map(text) }

    /// The number the value begins with: `Expires`, `Session-Expires`, `Retry-After`, `RSeq`. Nil when there is none or
    /// it is 2³² or more.
    package func number(_ name: HeaderName) -> Int? {
        guard let range = first(name)?.valueRange else { return nil }
        let span = octets.span
        var end = range.lowerBound
        while end < range.upperBound, Octet.isDigit(span[end]) { end += 1 }
        return span.decimal(range.lowerBound..<end, limit: Int(UInt32.max))
    }

    /// The value of a parameter behind the first `;` of a header: `parameter("refresher", of: .sessionExpires)`.
    /// Empty for a parameter without a value, nil when it is not there.
    package func parameter(_ parameter: String, of name: HeaderName) -> String? {
        guard let range = first(name)?.valueRange,
            let start = octets.span.firstIndex(of: Octet.semicolon, in: range)
        else { return nil }
        return Parameters.value(parameter, in: octets, start..<range.upperBound)
    }

    /// The comma-separated values over all header lines of that name, in order.
    ///
    /// Not for headers whose values hold bare commas: Date, and the challenges and credentials of authentication.
    package func listValues(_ name: HeaderName) -> [ArraySlice<UInt8>] {
        guard has(name) else { return [] }
        let span = octets.span
        var values: [ArraySlice<UInt8>] = []
        for field in all(name) {
            var scanner = ListScanner(field.valueRange)
            while let range = scanner.next(span) { values.append(octets[range]) }
        }
        return values
    }

    /// Exactly one value of Via, over all lines.
    package var hasOneVia: Bool {
        guard let field = first(.via), !stored.index.repeated.contains(.via) else { return false }
        // The first one was read as far as it goes.
        let end = viaLayout.parameterRange.upperBound
        guard end < field.valueRange.upperBound else { return true }
        var further = ListScanner(end..<field.valueRange.upperBound)
        return further.next(octets.span) == nil
    }

    /// The addresses of a list header (Contact, Route, Record-Route, Path, Diversion, P-Asserted-Identity …); values
    /// that are none are left out.
    package func nameAddresses(in name: HeaderName) -> [NameAddress] {
        guard has(name) else { return [] }
        let span = octets.span
        var addresses: [NameAddress] = []
        for field in all(name) {
            var scanner = ListScanner(field.valueRange)
            while let range = scanner.next(span) {
                guard let layout = NameAddressLayout(span, range) else { continue }
                addresses.append(NameAddress(octets: octets, layout: layout))
            }
        }
        return addresses
    }

    /// Whether an option tag (or another token) is in the list, without regard to case:
    /// `hasToken("timer", in: .supported)`.
    package func hasToken(_ token: String, in name: HeaderName) -> Bool {
        guard has(name) else { return false }
        let span = octets.span
        for field in all(name) {
            var scanner = ListScanner(field.valueRange)
            while let range = scanner.next(span) {
                if span.equals(range, ignoringCaseOf: token) { return true }
            }
        }
        return false
    }
}

/// What a datagram turned out to be.
package enum ParseOutcome: Sendable {
    // What seldom comes is out of line: this way it is one word that is handed on.
    case message(SIPMessage)
    /// A request that is broken, or that no element of this kind can serve, but that tells where to answer. It is
    /// answered statelessly and never touches a transaction. Never an ACK.
    indirect case answerable(SIPMessage, status: Int, reason: String)
    /// Line ends only (RFC 5626 §3.5.1), nothing at all, or up to four NUL octets.
    case keepAlive
    /// Not SIP, a broken response, or a request that does not say where to answer.
    indirect case discard(reason: String)
}
