import Core

/// How one type of value is read from TOML, written back, and described to whoever got it wrong.
struct ValueFormat<Value: Sendable>: Sendable {
    /// Completes "expected …".
    let expected: String
    let parse: @Sendable (TOMLNode) throws(Refusal) -> Value
    /// For people.
    let text: @Sendable (Value) -> String
    /// As a TOML value.
    let literal: @Sendable (Value) -> String
}

/// What is wrong with a value, as a clause: `0 is out of range`.
struct Refusal: Error {
    let reason: String
}

extension ValueFormat {
    /// A value that is one TOML string.
    static func string(
        expected: String, text: @escaping @Sendable (Value) -> String, parse: @escaping @Sendable (String) -> Value?
    ) -> ValueFormat {
        ValueFormat(
            expected: expected,
            parse: { (node) throws(Refusal) in
                guard case .string(let string) = node else { throw Refusal(reason: node.summary) }
                guard let value = parse(string) else {
                    throw Refusal(reason: "\(string.quotedForTOML) is not valid")
                }
                return value
            },
            text: text,
            literal: { text($0).quotedForTOML })
    }

    /// The same format for a value that may be absent.
    var optional: ValueFormat<Value?> {
        ValueFormat<Value?>(
            expected: expected,
            parse: { (node) throws(Refusal) in try self.parse(node) },
            text: { $0.map(self.text) ?? "" },
            literal: { $0.map(self.literal) ?? "" })
    }

    /// A list of such values, each at most once.
    func list(_ expected: String) -> ValueFormat<[Value]> where Value: Hashable {
        ValueFormat<[Value]>(
            expected: expected,
            parse: { (node) throws(Refusal) in
                guard case .array(let elements) = node else { throw Refusal(reason: node.summary) }
                var values: [Value] = []
                for element in elements {
                    let value = try self.parse(element)
                    if values.contains(value) { throw Refusal(reason: "\(self.literal(value)) is there twice") }
                    values.append(value)
                }
                return values
            },
            text: { $0.map(self.text).joined(separator: ", ") },
            literal: { "[" + $0.map(self.literal).joined(separator: ", ") + "]" })
    }
}

extension ValueFormat where Value == Int {
    static func integer(_ range: ClosedRange<Int>, unit: String? = nil) -> ValueFormat {
        let counted = unit.map { " of \($0)" } ?? ""
        return ValueFormat(
            expected: "a whole number\(counted) from \(range.lowerBound) to \(range.upperBound)",
            parse: { (node) throws(Refusal) in
                guard case .integer(let value) = node else { throw Refusal(reason: node.summary) }
                guard range.contains(value) else { throw Refusal(reason: "\(value) is out of range") }
                return value
            },
            text: \.description, literal: \.description)
    }
}

extension ValueFormat where Value == Bool {
    static let boolean = ValueFormat(
        expected: "true or false",
        parse: { (node) throws(Refusal) in
            guard case .boolean(let value) = node else { throw Refusal(reason: node.summary) }
            return value
        },
        text: \.description, literal: \.description)
}

extension ValueFormat where Value == SocketAddress? {
    static let listenAddressOrNone = string(
        expected: "an address with a port, like \"127.0.0.1:8380\" or \"[::1]:8380\", or \"\" for none",
        text: { $0?.description ?? "" },
        parse: { string in
            if string.isEmpty { return .some(nil) }
            guard let address = SocketAddress(string), address.port != 0 else { return nil }
            return .some(address)
        })
}

extension ValueFormat where Value == UInt8 {
    static let octet = ValueFormat(
        expected: ValueFormat<Int>.integer(0...255).expected,
        parse: { (node) throws(Refusal) in UInt8(try ValueFormat<Int>.integer(0...255).parse(node)) },
        text: \.description, literal: \.description)
}

extension ValueFormat where Value == Duration {
    /// Whole seconds as an integer, or text with a unit. `granularity` is what the consumer can tell apart.
    static func duration(_ range: ClosedRange<Duration>, granularity: Duration = .seconds(1)) -> ValueFormat {
        let example = granularity < .seconds(1) ? "\"500ms\"" : "\"90s\""
        return ValueFormat(
            expected: "whole seconds or text like \(example) or \"2m\", from \(text(of: range.lowerBound)) to "
                + text(of: range.upperBound),
            parse: { (node) throws(Refusal) in
                let value: Duration
                switch node {
                case .integer(let seconds):
                    // Anything near the ends of Int is out of range, and must not overflow on the way to saying so.
                    value = .seconds(min(max(seconds, -1), Int(Int32.max)))
                    guard range.contains(value) else { throw Refusal(reason: "\(seconds) is out of range") }
                case .string(let string):
                    guard let duration = duration(from: string) else {
                        throw Refusal(reason: "\(string.quotedForTOML) is not a duration")
                    }
                    value = duration
                    guard range.contains(value) else { throw Refusal(reason: "\(string.quotedForTOML) is out of range") }
                default: throw Refusal(reason: node.summary)
                }
                guard value.milliseconds % granularity.milliseconds == 0 else {
                    throw Refusal(reason: "\(text(of: value).quotedForTOML) is not a multiple of \(text(of: granularity))")
                }
                return value
            },
            text: { text(of: $0) },
            literal: { $0.milliseconds % 1_000 == 0 ? "\($0.milliseconds / 1_000)" : text(of: $0).quotedForTOML })
    }

    /// A session interval of RFC 4028: off, or 90 s and more.
    static let sessionInterval = ValueFormat(
        expected: "0, or whole seconds or text like \"30m\", from 90s to 24h",
        parse: { (node) throws(Refusal) in
            let value = try duration(.zero ... .seconds(86_400)).parse(node)
            guard value == .zero || value >= .seconds(90) else { throw Refusal(reason: "\(text(of: value)) is out of range") }
            return value
        },
        text: { text(of: $0) }, literal: { duration(.zero ... .seconds(86_400)).literal($0) })

    private static let units: [(suffix: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000),
    ]

    private static func duration(from string: String) -> Duration? {
        for (suffix, milliseconds) in units where string.hasSuffix(suffix) {
            let digits = string.dropLast(suffix.count)
            // Nine digits: no unit overflows.
            guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), digits.utf8.count <= 9,
                let count = Int64(digits)
            else { continue }
            return .milliseconds(count * milliseconds)
        }
        return nil
    }

    private static func text(of duration: Duration) -> String {
        let milliseconds = duration.milliseconds
        return milliseconds % 1_000 == 0 ? "\(milliseconds / 1_000)s" : "\(milliseconds)ms"
    }
}

extension ValueFormat where Value == ClosedRange<UInt16> {
    /// `"10000-20000"`.
    static let ports = string(
        expected: "text like \"10000-20000\": the first port even and at least 1024, four ports or more",
        text: { "\($0.lowerBound)-\($0.upperBound)" },
        parse: { string in
            let parts = string.split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count == 2, let first = UInt16(parts[0]), let last = UInt16(parts[1]),
                first >= 1_024, first % 2 == 0, Int(last) - Int(first) >= 3
            else { return nil }
            return first...last
        })
}

extension ValueFormat where Value == IPAddress {
    static let bindAddress = string(
        expected: "a literal IPv4 or IPv6 address", text: \.description, parse: { IPAddress($0) })

    static let reachableAddress = string(
        expected: "a literal IPv4 or IPv6 address that peers can reach", text: \.description,
        parse: { IPAddress($0).flatMap { $0.isUnspecified ? nil : $0 } })
}

extension ValueFormat where Value == SocketAddress {
    static let listenAddress = string(
        expected: "an address with a port, like \"192.0.2.1:5060\" or \"[2001:db8::1]:5060\"", text: \.description,
        parse: { SocketAddress($0).flatMap { $0.port == 0 ? nil : $0 } })

}

extension ValueFormat where Value == TransportAddress {
    static let trunkAddress = string(
        expected: "a literal address, with a port when it is not 5060, like \"192.0.2.1\", \"[2001:db8::1]:5080\" or "
            + "\"tls:192.0.2.1:5061\"",
        text: \.description,
        parse: { TransportAddress($0).flatMap { $0.address.ip.isUnspecified ? nil : $0 } })
}

extension ValueFormat where Value == SocketAddress {
    /// Where REGISTER goes, by the transport of its trunk.
    static let registrarAddress = string(
        expected: "a literal address, with a port when it is not 5060, like \"192.0.2.1\" or \"[2001:db8::1]:5080\"",
        text: \.description,
        parse: { TransportAddress($0).flatMap { $0.transport != nil || $0.address.ip.isUnspecified ? nil : $0.address } })
}

extension ValueFormat where Value == [SIPListener] {
    static let listeners = ValueFormat<SIPListener>.string(
        expected: "", text: \.description, parse: { SIPListener($0) }
    ).list("a list of text like \"tcp:192.0.2.1:5060\" or \"tls:[2001:db8::1]:5061\"")
}

extension ValueFormat where Value == TrunkSource {
    static let source = string(
        expected: "an address, an address with a port, or a network", text: \.description, parse: { TrunkSource($0) })
}

extension ValueFormat where Value == CallbackURL {
    static let callbackURL = string(
        expected: "text like \"http://%%:8080/RPC2\" or \"http://192.0.2.1:8080/RPC2\", without a host name",
        text: \.description, parse: { CallbackURL($0) })
}

extension ValueFormat where Value == String {
    /// Up to `limit` octets of printable ASCII, at least one.
    static func line(limit: Int) -> ValueFormat {
        string(
            expected: "1 to \(limit) printable ASCII characters", text: { $0 },
            parse: { $0.utf8.allSatisfy { (0x20...0x7e).contains($0) } && (1...limit).contains($0.utf8.count) ? $0 : nil })
    }

    static func path(limit: Int) -> ValueFormat {
        string(
            expected: "an absolute path of at most \(limit) octets", text: { $0 },
            parse: { $0.hasPrefix("/") && $0.utf8.count <= limit && !$0.utf8.contains(0) ? $0 : nil })
    }

    static let name = string(
        expected: "1 to 64 of the characters A-Z a-z 0-9 _ . -", text: { $0 },
        parse: { name in
            let isAllowed = name.utf8.allSatisfy { octet in
                UInt8(ascii: "a")...UInt8(ascii: "z") ~= octet | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= octet
                    || "_.-".utf8.contains(octet)
            }
            return isAllowed && (1...64).contains(name.utf8.count) ? name : nil
        })

    static let prefix = string(
        expected: "digits, with a + in front if the numbers have one; \"\" is the default route", text: { $0 },
        parse: { prefix in
            let digits = prefix.utf8.first == UInt8(ascii: "+") ? prefix.dropFirst() : prefix[...]
            return digits.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 } && prefix.utf8.count <= 32
                ? prefix : nil
        })
}

extension ValueFormat where Value == [String] {
    /// As `a=rtpmap` names it, with a clock rate if need be.
    static let codecs = ValueFormat<String>.string(
        expected: "", text: { $0 },
        parse: { codec in
            let parts = codec.split(separator: "/", omittingEmptySubsequences: false)
            let isNamed = parts[0].utf8.allSatisfy { octet in
                UInt8(ascii: "a")...UInt8(ascii: "z") ~= octet | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= octet
                    || "_.-+".utf8.contains(octet)
            }
            let hasRate = parts.count == 1 || (parts.count == 2 && Int(parts[1]).map { $0 > 0 } ?? false)
            return isNamed && hasRate && (1...32).contains(parts[0].utf8.count) ? codec : nil
        }
    ).list("a list of codec names, each text of its own, like [\"PCMA\", \"telephone-event\", \"L16/16000\"]")
}

extension ValueFormat where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    static var oneOf: ValueFormat {
        string(
            expected: "one of " + Value.allCases.map(\.rawValue.quotedForTOML).joined(separator: ", "),
            text: \.rawValue, parse: { Value(rawValue: $0) })
    }
}

extension ValueFormat where Value == [MediaInterface] {
    static let mediaInterfaces = ValueFormat<MediaInterface>.string(
        expected: "", text: \.description, parse: { MediaInterface($0) }
    ).list("a list of text like \"internal/10.0.0.1\" or \"external/10.0.0.2!192.0.2.1\"")
}
