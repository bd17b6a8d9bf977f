/// A point on the monotonic clock, in nanoseconds since the machine started.
///
/// Zero never occurs on a running clock; tables use it for "never".
@frozen
public struct Instant: Hashable, Comparable, Sendable, BitwiseCopyable {
    public var nanoseconds: UInt64

    @inlinable @inline(always)
    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    @inlinable @inline(always)
    public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

    @inlinable
    public static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(nanoseconds: UInt64(clamping: Int64(clamping: instant.nanoseconds) + duration.nanoseconds))
    }

    @inlinable
    public static func += (instant: inout Instant, duration: Duration) { instant = instant + duration }

    /// The time from `right` to `left`; negative when `left` came first.
    @inlinable
    public static func - (left: Instant, right: Instant) -> Duration {
        Duration(attoseconds: Int128(Int64(clamping: left.nanoseconds) - Int64(clamping: right.nanoseconds)) * 1_000_000_000)
    }
}

extension Duration {
    /// Whole nanoseconds, the fraction cut off. Good for ± 292 years.
    @inlinable
    public var nanoseconds: Int64 {
        // A division of 128 bits is slow. 10^9 is 2^9 * 5^9, and without the 9 bits two hours and a half fit in 64.
        let upper = UInt64(truncatingIfNeeded: attoseconds >> 9)
        if attoseconds >> 9 == Int128(upper) { return Int64(upper / 1_953_125) }
        let (seconds, rest) = components
        return seconds * 1_000_000_000 + rest / 1_000_000_000
    }

    /// Whole milliseconds, the fraction cut off.
    @inlinable
    public var milliseconds: Int64 { nanoseconds / 1_000_000 }

    /// Seconds as a fraction, for output.
    @inlinable
    public var inSeconds: Double { Double(nanoseconds) / 1e9 }
}

extension Instant {
    /// The earlier of two that there may be.
    @inlinable
    public static func earliest(_ one: Instant?, _ other: Instant?) -> Instant? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }
}

/// A point on the wall clock: milliseconds since 1970 in UTC. Records and events carry it; nothing is timed by it.
public struct WallTime: Hashable, Comparable, Sendable, BitwiseCopyable, Codable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    public static func < (left: WallTime, right: WallTime) -> Bool { left.milliseconds < right.milliseconds }

    public static func + (time: WallTime, duration: Duration) -> WallTime {
        WallTime(milliseconds: time.milliseconds + duration.milliseconds)
    }

    /// The time from `right` to `left`; negative when `left` came first.
    public static func - (left: WallTime, right: WallTime) -> Duration {
        .milliseconds(left.milliseconds - right.milliseconds)
    }

    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let time = WallTime(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not a UTC time with milliseconds: \(text)"))
        }
        self = time
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension WallTime: LosslessStringConvertible {
    /// RFC 3339 in UTC with milliseconds: `2026-11-23T20:15:04.123Z`.
    public var description: String {
        var octets: [UInt8] = []
        append(to: &octets)
        return String(decoding: octets, as: UTF8.self)
    }

    /// Writes what `description` says to the end of a message.
    public func append(to octets: inout [UInt8]) {
        let dayLength: Int64 = 86_400_000
        let day = milliseconds.flooredDivision(by: dayLength)
        let rest = milliseconds - day * dayLength
        let (year, month, dayOfMonth) = Self.civilDate(daysSince1970: day)
        octets.reserveCapacity(octets.count + 24)
        octets.append(decimal: UInt64(clamping: year), width: 4)
        octets.append(UInt8(ascii: "-"))
        octets.append(decimal: UInt64(month), width: 2)
        octets.append(UInt8(ascii: "-"))
        octets.append(decimal: UInt64(dayOfMonth), width: 2)
        octets.append(UInt8(ascii: "T"))
        octets.append(decimal: UInt64(rest / 3_600_000), width: 2)
        octets.append(UInt8(ascii: ":"))
        octets.append(decimal: UInt64(rest / 60_000 % 60), width: 2)
        octets.append(UInt8(ascii: ":"))
        octets.append(decimal: UInt64(rest / 1_000 % 60), width: 2)
        octets.append(UInt8(ascii: "."))
        octets.append(decimal: UInt64(rest % 1_000), width: 3)
        octets.append(UInt8(ascii: "Z"))
    }

    /// Reads exactly what `description` writes; nil for anything else.
    public init?(_ description: String) {
        let octets = Array(description.utf8)
        guard octets.count == 24, octets[23] == UInt8(ascii: "Z") else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for octet in octets[range] {
                guard (0x30...0x39).contains(octet) else { return nil }
                value = value * 10 + Int64(octet - 0x30)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            let millisecond = number(20..<23), (1...12).contains(month), (1...31).contains(day),
            hour < 24, minute < 60, second < 61
        else { return nil }
        let days = Self.daysSince1970(year: year, month: month, day: day)
        milliseconds = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + millisecond
    }

    /// The proleptic Gregorian calendar in eras of 400 years, March first, so that leap days come last.
    private static func civilDate(daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = daysSince1970 + 719_468
        let era = shifted.flooredDivision(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear.flooredDivision(by: 400)
        let yearOfEra = shiftedYear - era * 400
        let shiftedMonth = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * shiftedMonth + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

extension Int64 {
    fileprivate func flooredDivision(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
