/// A digit in an INFO request, as `application/dtmf-relay` and `application/dtmf` carry it. Neither is in an RFC; this is
/// what gateways have sent since they began.
package struct INFODigit: Equatable, Sendable {
    /// As telephone-events count (RFC 4733 §3.2): 0 to 9, 10 `*`, 11 `#`, 12 to 15 `A` to `D`.
    package let code: UInt8
    /// Nil where the sender says nothing.
    package let milliseconds: Int?

    private static let keys = Array("0123456789*#ABCD".utf8)

    package init?(code: UInt8, milliseconds: Int? = nil) {
        guard code < Self.keys.count else { return nil }
        self.code = code
        self.milliseconds = milliseconds
    }

    /// Nil when the request is none, or carries what is no key of a telephone.
    package init?(_ request: SIPMessage) {
        guard request.method == .info else { return nil }
        if request.hasContentType("application/dtmf") {
            guard let code = Self.code(String(decoding: request.body, as: UTF8.self)) else { return nil }
            self.code = code
            milliseconds = nil
            return
        }
        guard request.hasContentType("application/dtmf-relay") else { return nil }
        var signal: UInt8?
        var duration: Int?
        for line in request.body.split(whereSeparator: { $0 == 0x0d || $0 == 0x0a }) {
            let parts = String(decoding: line, as: UTF8.self).split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { continue }
            switch parts[0].lowercased().filter({ $0 != " " }) {
            case "signal": signal = Self.code(String(parts[1]))
            case "duration": duration = Int(parts[1].filter { $0 != " " })
            default: break
            }
        }
        guard let signal else { return nil }
        code = signal
        milliseconds = duration
    }

    /// The key, or its number where that has two digits.
    private static func code(_ text: String) -> UInt8? {
        let text = text.filter { !$0.isWhitespace }.uppercased()
        if text.utf8.count == 1, let octet = text.utf8.first { return keys.firstIndex(of: octet).map { UInt8($0) } }
        return text.utf8.count == 2 ? UInt8(text).flatMap { $0 < keys.count ? $0 : nil } : nil
    }

    package var key: Character { Character(UnicodeScalar(Self.keys[Int(code)])) }

    /// The body of application/dtmf-relay.
    package var relayBody: [UInt8] { Array("Signal=\(key)\r\nDuration=\(milliseconds ?? 160)\r\n".utf8) }
}
