/// A name-addr or addr-spec with parameters: From, To, Contact, Route and their like (RFC 3261 §20.10).
package struct NameAddress: Sendable {
    private let octets: [UInt8]
    private let layout: NameAddressLayout

    init(octets: [UInt8], layout: NameAddressLayout) {
        self.octets = octets
        self.layout = layout
    }

    /// Reads one value, as `listValues` gives them; nil when it is none, which `*` is not either.
    package init?(_ octets: some Collection<UInt8>) {
        let octets = Array(octets)
        guard octets.count <= OctetRange.maximumOctets,
            let layout = NameAddressLayout(octets.span, octets.span.trimmingWhiteSpace(0..<octets.count))
        else { return nil }
        self.init(octets: octets, layout: layout)
    }

    package init?(_ text: String) { self.init(text.utf8) }

    package var uri: SIPURI { SIPURI(octets: octets, layout: layout.uri) }
    /// The URI as written, without angle brackets.
    package var uriOctets: ArraySlice<UInt8> { octets[layout.uri.range] }
    /// Offsets into the message (or into the octets this was read from), quotes included.
    package var displayNameRange: Range<Int>? { layout.displayNameRange }
    package var uriRange: Range<Int> { layout.uri.range }
    /// As written, with its quotes.
    package var displayNameOctets: ArraySlice<UInt8>? { layout.displayNameRange.map { octets[$0] } }
    /// Without quotes and escapes.
    package var displayName: String? { layout.displayNameRange.map { Parameters.unquoted(octets[$0]) } }
    package var tag: ArraySlice<UInt8>? { layout.tagRange.map { octets[$0] } }
    /// The header parameters as written: `;tag=x;y`, or empty.
    package var parameters: String { Octet.text(octets[layout.parameterRange]) }

    /// The value of a header parameter; empty for one without a value, nil when it is not there.
    package func parameter(_ name: String) -> String? { Parameters.value(name, in: octets, layout.parameterRange) }
}

/// Where the parts of a name-addr stand.
struct NameAddressLayout: Sendable {
    @CompactOptional var displayNameRange: Range<Int>? = nil
    var uri = URILayout()
    @Compact var parameterRange = 0..<0
    @CompactOptional var tagRange: Range<Int>? = nil

    init() {}

    init?(_ octets: Span<UInt8>, _ range: Range<Int>) {
        guard read(octets, range) else { return nil }
    }

    /// Reads one value without surrounding white space in place of nothing; false when it is none, and the layout is of no use.
    mutating func read(_ octets: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard let uriRange = readAddress(octets, range), uri.read(octets, uriRange) else { return false }
        var scanner = ParameterScanner(parameterRange)
        while let parameter = scanner.next(octets) {
            guard tagRange == nil, octets.equals(parameter.nameRange, ignoringCase: "tag") else { continue }
            if let value = parameter.valueRange, !value.isEmpty { tagRange = value }
        }
        return !scanner.isMalformed
    }

    /// Finds display name and parameters and returns where the URI is.
    private mutating func readAddress(_ octets: Span<UInt8>, _ range: Range<Int>) -> Range<Int>? {
        var open = range.lowerBound
        if open < range.upperBound, octets[open] == Octet.quote {
            guard let end = octets.endOfQuotedString(from: open, to: range.upperBound) else { return nil }
            displayNameRange = open..<end
            open = octets.skippingWhiteSpace(from: end, to: range.upperBound)
            guard open < range.upperBound, octets[open] == Octet.less else { return nil }
        } else {
            open = octets.firstIndex(in: range) {
                $0.equal(Octet.less) .| $0.equal(Octet.semicolon) .| $0.equal(Octet.quote) .| $0.equal(Octet.comma)
            }
            guard open < range.upperBound, octets[open] != Octet.semicolon else {
                return readAddrSpec(octets, range, parametersStart: open)
            }
            // Two values, or a quote in the middle of nowhere: but both may stand in the parameters of an addr-spec.
            guard octets[open] == Octet.less else { return nil }
            let name = octets.trimmingWhiteSpace(range.lowerBound..<open)
            if !name.isEmpty { displayNameRange = name }
        }
        guard let close = octets.firstIndex(of: Octet.greater, in: open..<range.upperBound) else { return nil }
        parameterRange = close + 1..<range.upperBound
        return octets.trimmingWhiteSpace(open + 1..<close)
    }

    /// Without angle brackets a semicolon starts header parameters, and `?` must not appear (RFC 3261 §20.10).
    private mutating func readAddrSpec(_ octets: Span<UInt8>, _ range: Range<Int>, parametersStart: Int) -> Range<Int>?
    {
        parameterRange = parametersStart..<range.upperBound
        let uri = octets.trimmingWhiteSpace(range.lowerBound..<parametersStart)
        return octets.firstIndex(of: Octet.question, in: uri) == nil ? uri : nil
    }
}
