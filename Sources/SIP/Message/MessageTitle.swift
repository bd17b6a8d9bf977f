/// What a message is in a word or two, whatever it is else: its method, or status and reason phrase.
package struct MessageTitle: Sendable {
    /// Nil for a request.
    package let status: Int?
    /// Of a request; `unknown` for a response.
    package let method: Method
    /// Where it stands in the message.
    private let range: Range<Int>

    package init(_ message: [UInt8]) {
        let octets = message.span
        let end = min(octets.count, 256)
        // A method has no slash, and a response begins with `SIP/2.0`.
        if end > 8, octets[3] == Octet.slash {
            let stop = octets.firstIndex(below: Octet.space, in: 8..<end)
            range = 8..<min(stop, 8 + Self.longest)
            status = octets.decimal(8..<min(11, range.upperBound), limit: 999) ?? 0
            method = .unknown
        } else {
            let stop = octets.firstIndex(below: Octet.space + 1, in: 0..<end)
            range = 0..<min(stop, Self.longest)
            status = nil
            method = Method(octets, range)
        }
    }

    /// The same of a message that was read.
    package init(_ message: SIPMessage) {
        switch message.startLine {
        case .request(let method, let methodRange, _):
            (status, self.method, range) = (nil, method, methodRange.range.prefix(Self.longest))
        case .response(let status, let reasonRange):
            (self.status, method) = (status, .unknown)
            let reason = reasonRange.range
            // Behind the status there may be no space when there is no reason.
            let hasSpace = message.octets.span[reason.lowerBound - 1] == Octet.space
            let start = reason.lowerBound - (hasSpace ? 4 : 3)
            range = start..<min(reason.upperBound, start + Self.longest)
        }
    }

    private static let longest = 48

    package func text(in message: [UInt8]) -> String { Octet.string(message.span.extracting(range)) }

    /// Whether it says no more than its status or method does: the registered reason phrase, a known method.
    package func isUsual(in message: [UInt8]) -> Bool {
        guard let status else { return method != .unknown }
        guard range.count > 4 else { return false }
        return message.span.extracting(range.lowerBound + 4..<range.upperBound)
            .isEqual(to: StatusCode.reasonPhrase(status).utf8.span)
    }
}
