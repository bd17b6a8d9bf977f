/// An IPv4 or IPv6 address without a port, as octets in network order.
///
/// An IPv4-mapped IPv6 address is another value than the IPv4 address it maps.
@frozen
public struct IPAddress: Hashable, Sendable, BitwiseCopyable {
    @frozen
    public enum Family: UInt8, Sendable, BitwiseCopyable {
        case ipv4 = 4
        case ipv6 = 6
    }

    /// The first eight octets of an IPv6 address; zero for IPv4.
    public let high: UInt64
    /// The last eight octets of an IPv6 address; the four octets of an IPv4 address in the low half.
    public let low: UInt64
    /// Last: a port has room behind it, so that a socket address takes 20 octets and not 26.
    public let family: Family

    @inlinable @inline(always)
    public init(ipv4 value: UInt32) {
        family = .ipv4
        high = 0
        low = UInt64(value)
    }

    @inlinable @inline(always)
    public init(ipv6High high: UInt64, low: UInt64) {
        family = .ipv6
        self.high = high
        self.low = low
    }

    public static let ipv4Loopback = IPAddress(ipv4: 0x7f00_0001)
    public static let ipv4Any = IPAddress(ipv4: 0)
    public static let ipv6Loopback = IPAddress(ipv6High: 0, low: 1)
    public static let ipv6Any = IPAddress(ipv6High: 0, low: 0)

    /// `0.0.0.0` or `::`: in SDP the old form of hold (RFC 3264 §8.4), never somewhere to send to.
    public var isUnspecified: Bool { high == 0 && low == 0 }

    /// 127.0.0.0/8 or ::1.
    public var isLoopback: Bool {
        family == .ipv4 ? (low >> 24) & 0xff == 127 : high == 0 && low == 1
    }

    /// Private, link-local, carrier-grade or loopback space (RFC 1918, 3927, 4193, 4291, 6598): not reachable from outside.
    public var isPrivate: Bool {
        switch family {
        case .ipv4:
            let value = UInt32(truncatingIfNeeded: low)
            return value >> 24 == 10 || value >> 20 == 0xac1 || value >> 16 == 0xc0a8 || value >> 16 == 0xa9fe
                || value >> 22 == 0x6440_0000 >> 22 || value >> 24 == 127
        case .ipv6:
            return high >> 57 == 0xfc >> 1 || high >> 54 == 0xfe80 >> 6 || (high == 0 && low == 1)
        }
    }
}

extension IPAddress: LosslessStringConvertible {
    /// `192.0.2.1` or, shortened as RFC 5952 asks, `2001:db8::1`. No brackets.
    public var description: String {
        var text = ShortText()
        write(to: &text)
        return text.string
    }

    /// Writes what `description` says to the end of a message.
    public func append(to octets: inout [UInt8]) {
        var text = ShortText()
        write(to: &text)
        text.append(to: &octets)
    }

    /// The same where at most `SocketAddress.longestText` octets have room.
    public func append(to output: inout OutputSpan<UInt8>) {
        guard family == .ipv4 else {
            var text = ShortText()
            write(to: &text)
            return text.append(to: &output)
        }
        for part in 0..<4 {
            if part > 0 { output.append(UInt8(ascii: ".")) }
            let number = UInt8(truncatingIfNeeded: low >> UInt64(24 - 8 * part))
            if number >= 100 { output.append(UInt8(ascii: "0") + number / 100) }
            if number >= 10 { output.append(UInt8(ascii: "0") + number / 10 % 10) }
            output.append(UInt8(ascii: "0") + number % 10)
        }
    }

    fileprivate func write(to text: inout ShortText) {
        switch family {
        case .ipv4:
            for part in 0..<4 {
                if part > 0 { text.append(UInt8(ascii: ".")) }
                text.append(decimal: UInt16(low >> UInt64(24 - 8 * part) & 0xff))
            }
        case .ipv6:
            let gap = longestGap
            for index in 0..<8 {
                if gap.contains(index) {
                    if index == gap.lowerBound { text.append(UInt8(ascii: ":")) }
                    if index == gap.upperBound - 1 && index == 7 { text.append(UInt8(ascii: ":")) }
                    continue
                }
                if index > 0 { text.append(UInt8(ascii: ":")) }
                text.append(hexadecimal: group(index))
            }
        }
    }

    /// One of the eight of an IPv6 address.
    private func group(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index % 4)))
    }

    /// The first of the longest runs of two groups of zeros or more: what `::` stands for (RFC 5952 §4.2).
    private var longestGap: Range<Int> {
        var longest = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, group(end) == 0 { end += 1 }
            if end - index > max(1, longest.count) { longest = index..<end }
            index = max(end, index + 1)
        }
        return longest
    }

    /// Reads a literal address; nil for anything else, host names included. Brackets and zones are not accepted.
    public init?(_ description: String) { self.init(ascii: Array(description.utf8).span) }

    /// The same from octets of a message.
    public init?(ascii octets: ArraySlice<UInt8>) { self.init(ascii: octets.span) }

    /// The same from octets of a message.
    public init?(ascii octets: Span<UInt8>) {
        if let value = Self.ipv4Value(octets, 0..<octets.count) {
            self.init(ipv4: value)
        } else if let value = Self.ipv6Value(octets) {
            self.init(ipv6High: UInt64(value >> 64), low: UInt64(truncatingIfNeeded: value))
        } else {
            return nil
        }
    }

    private static func ipv4Value(_ octets: Span<UInt8>, _ range: Range<Int>) -> UInt32? {
        let octets = octets.extracting(range)
        guard octets.count >= 7, octets.count <= 15 else { return nil }
        var value: UInt32 = 0
        var index = 0
        for part in 0..<4 {
            // One to three digits, and a dot between two parts.
            if part > 0 {
                guard index < octets.count, octets[index] == UInt8(ascii: ".") else { return nil }
                index &+= 1
            }
            let start = index
            var number: UInt32 = 0
            while index < octets.count {
                let digit = octets[index] &- 0x30
                guard digit < 10 else { break }
                number = number &* 10 &+ UInt32(digit)
                index &+= 1
            }
            guard index > start, index &- start <= 3, number <= 255 else { return nil }
            value = value << 8 | number
        }
        return index == octets.count ? value : nil
    }

    /// Eight groups of hexadecimal digits, of which `::` leaves out some and the last two may be an IPv4 address
    /// (RFC 4291 §2.2).
    private static func ipv6Value(_ octets: Span<UInt8>) -> UInt128? {
        var value: UInt128 = 0
        var count = 0
        /// How many groups stand before `::`.
        var gap: Int?
        var index = 0
        guard octets.count > 0 else { return nil }
        if octets[0] == UInt8(ascii: ":") {
            guard octets.count >= 2, octets[1] == UInt8(ascii: ":") else { return nil }
            gap = 0
            index = 2
        }
        while index < octets.count {
            let start = index
            while index < octets.count, octets[index] != UInt8(ascii: ":"), octets[index] != UInt8(ascii: ".") { index += 1 }
            if index < octets.count, octets[index] == UInt8(ascii: ".") {
                guard count <= 6, let last = ipv4Value(octets, start..<octets.count) else { return nil }
                value = value << 32 | UInt128(last)
                count += 2
                break
            }
            guard count < 8, let group = hexadecimal(octets, start..<index) else { return nil }
            value = value << 16 | UInt128(group)
            count += 1
            guard index < octets.count else { break }
            index += 1
            guard index < octets.count else { return nil }  // one colon at the end
            if octets[index] == UInt8(ascii: ":") {
                guard gap == nil else { return nil }
                gap = count
                index += 1
            }
        }
        guard let gap else { return count == 8 ? value : nil }
        guard count < 8 else { return nil }
        let tailBits = UInt128(16 * (count - gap))
        return (value >> tailBits) << UInt128(16 * (8 - gap)) | value & (1 << tailBits - 1)
    }

    /// One to four digits.
    private static func hexadecimal(_ octets: Span<UInt8>, _ range: Range<Int>) -> UInt16? {
        guard (1...4).contains(range.count) else { return nil }
        var value: UInt16 = 0
        for index in range {
            let octet = octets[index]
            let letter = octet | 0x20
            if (0x30...0x39).contains(octet) {
                value = value << 4 | UInt16(octet - 0x30)
            } else if (0x61...0x66).contains(letter) {
                value = value << 4 | UInt16(letter - 0x61 + 10)
            } else {
                return nil
            }
        }
        return value
    }
}

/// An IP address with a UDP or TCP port.
@frozen
public struct SocketAddress: Hashable, Sendable, BitwiseCopyable {
    public var ip: IPAddress
    public var port: UInt16

    @inlinable @inline(always)
    public init(ip: IPAddress, port: UInt16) {
        self.ip = ip
        self.port = port
    }
}

extension SocketAddress: LosslessStringConvertible {
    /// `192.0.2.1:5060` or `[2001:db8::1]:5060`.
    public var description: String {
        var text = ShortText()
        write(to: &text)
        return text.string
    }

    /// Writes what `description` says to the end of a message.
    public func append(to octets: inout [UInt8]) {
        var text = ShortText()
        write(to: &text)
        text.append(to: &octets)
    }

    /// The same where at most `longestText` octets have room.
    public func append(to output: inout OutputSpan<UInt8>) {
        var text = ShortText()
        if ip.family == .ipv4 {
            ip.append(to: &output)
            text.append(UInt8(ascii: ":"))
            text.append(decimal: port)
        } else {
            write(to: &text)
        }
        text.append(to: &output)
    }

    public static var longestText: Int { 64 }

    private func write(to text: inout ShortText) {
        if ip.family == .ipv6 { text.append(UInt8(ascii: "[")) }
        ip.write(to: &text)
        if ip.family == .ipv6 { text.append(UInt8(ascii: "]")) }
        text.append(UInt8(ascii: ":"))
        text.append(decimal: port)
    }

    /// Reads a literal address with a port; nil when either is missing.
    public init?(_ description: String) {
        self.init(description, defaultPort: nil)
    }

    /// Reads a literal address; a missing port becomes `defaultPort`, or nil comes back when that is nil too.
    public init?(_ description: String, defaultPort: UInt16?) {
        var host = Substring(description)
        var portText: Substring?
        if host.first == "[" {
            guard let close = host.firstIndex(of: "]") else { return nil }
            let rest = host[host.index(after: close)...]
            guard rest.isEmpty || rest.first == ":" else { return nil }
            if !rest.isEmpty { portText = rest.dropFirst() }
            host = host[host.index(after: host.startIndex)..<close]
            guard host.contains(":") else { return nil }
        } else if host.count(where: { $0 == ":" }) == 1, let colon = host.firstIndex(of: ":") {
            portText = host[host.index(after: colon)...]
            host = host[..<colon]
        }
        guard let ip = IPAddress(String(host)) else { return nil }
        if let portText {
            guard let port = UInt16(portText), portText.first != "+" else { return nil }
            self.init(ip: ip, port: port)
        } else {
            guard let defaultPort else { return nil }
            self.init(ip: ip, port: defaultPort)
        }
    }
}

extension IPAddress: Codable {
    public init(from decoder: any Decoder) throws { self = try decoder.decodeLossless() }
    public func encode(to encoder: any Encoder) throws { try encoder.encodeLossless(self) }
}

extension SocketAddress: Codable {
    public init(from decoder: any Decoder) throws { self = try decoder.decodeLossless() }
    public func encode(to encoder: any Encoder) throws { try encoder.encodeLossless(self) }
}

extension Decoder {
    fileprivate func decodeLossless<Value: LosslessStringConvertible>() throws -> Value {
        let text = try singleValueContainer().decode(String.self)
        guard let value = Value(text) else {
            throw DecodingError.dataCorrupted(.init(codingPath: codingPath, debugDescription: "not an address: \(text)"))
        }
        return value
    }
}

extension Encoder {
    fileprivate func encodeLossless(_ value: some CustomStringConvertible) throws {
        var container = singleValueContainer()
        try container.encode(value.description)
    }
}
