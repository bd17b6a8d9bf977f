import Core

/// Octets written one after the other, into memory that is kept for the next ones. It grows as needed.
@safe struct OctetBuffer: ~Copyable {
    private(set) var count = 0
    private var capacity: Int
    private var base: UnsafeMutablePointer<UInt8>
    /// The day of the last time that was written, since 1970, and its text: `2026-11-23T`.
    private var day: Int64 = 0
    private var dayText: [UInt8] = Array("1970-01-01T".utf8)

    init(capacity: Int) {
        self.capacity = capacity
        unsafe base = .allocate(capacity: capacity)
    }

    deinit { unsafe base.deallocate() }

    /// Good until the next change.
    var octets: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: count) }

    /// A copy.
    var array: [UInt8] { unsafe [UInt8](octets) }

    mutating func removeAll() { count = 0 }

    /// Makes room for `more` octets: until they are there, nothing moves.
    @inline(__always)
    mutating func reserve(_ more: Int) {
        if capacity - count < more { grow(more) }
    }

    private mutating func grow(_ more: Int) {
        let larger = max(2 * capacity, count + more)
        // SAFETY: the first `count` octets are initialized, in both places while both are there.
        let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        unsafe copy.initialize(from: base, count: count)
        unsafe base.deallocate()
        unsafe base = copy
        capacity = larger
    }

    /// SAFETY of those below: room for what is written is made first.

    @inline(__always)
    mutating func append(_ octet: UInt8) {
        reserve(1)
        unsafe base[count] = octet
        count += 1
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        precondition(text.hasPointerRepresentation)
        unsafe append(copying: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(_ text: String) {
        unsafe text.utf8Span.span.withUnsafeBufferPointer { unsafe append(copying: $0) }
    }

    @inline(__always)
    mutating func append(copying octets: UnsafeBufferPointer<UInt8>) {
        guard let from = octets.baseAddress else { return }
        reserve(octets.count)
        unsafe (base + count).initialize(from: from, count: octets.count)
        count += octets.count
    }

    /// The lowest octet first.
    mutating func append(littleEndian number: UInt32) {
        reserve(4)
        unsafe UnsafeMutableRawPointer(base + count).storeBytes(of: number.littleEndian, as: UInt32.self)
        count += 4
    }
}

/// Texts of values.
extension OctetBuffer {
    mutating func append(decimal number: Int64) {
        if number < 0 { append(UInt8(ascii: "-")) }
        append(decimal: number.magnitude)
    }

    mutating func append(decimal number: UInt64) {
        var digits = 1
        var power: UInt64 = 10
        while digits < 20, number >= power {
            digits += 1
            power &*= 10
        }
        append(decimal: number, digits: digits)
    }

    /// The last so many digits.
    @inline(__always)
    private mutating func append(decimal number: UInt64, digits: Int) {
        reserve(digits)
        var rest = number
        for index in stride(from: count + digits - 1, through: count, by: -1) {
            unsafe base[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count += digits
    }

    /// As `Double.description` has it, without a `.0` at the end.
    mutating func append(_ number: Double) {
        let thousandths = (number.magnitude * 1_000).rounded()
        // Two texts of at most fifteen digits are never of the same number: this one is the shortest for it.
        guard thousandths < 1e15, thousandths / 1_000 == number.magnitude else {
            let text = number.description
            return append(text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
        }
        if number.sign == .minus { append(UInt8(ascii: "-")) }
        let (whole, fraction) = UInt64(thousandths).quotientAndRemainder(dividingBy: 1_000)
        append(decimal: whole)
        guard fraction > 0 else { return }
        append(UInt8(ascii: "."))
        append(decimal: fraction, digits: 3)
        while unsafe base[count - 1] == UInt8(ascii: "0") { count -= 1 }
    }

    /// As its `description`.
    mutating func append(_ time: WallTime) {
        let dayLength: Int64 = 86_400_000
        if time.milliseconds / dayLength != day || time.milliseconds < 0 {
            var text: [UInt8] = []
            time.append(to: &text)
            if time.milliseconds >= 0 {
                day = time.milliseconds / dayLength
                dayText = text.dropLast("HH:MM:SS.mmmZ".utf8.count)
            }
            return unsafe text.withUnsafeBufferPointer { unsafe append(copying: $0) }
        }
        let rest = UInt64(time.milliseconds - day * dayLength)
        unsafe dayText.withUnsafeBufferPointer { unsafe append(copying: $0) }
        append(decimal: rest / 3_600_000, digits: 2)
        append(UInt8(ascii: ":"))
        append(decimal: rest / 60_000 % 60, digits: 2)
        append(UInt8(ascii: ":"))
        append(decimal: rest / 1_000 % 60, digits: 2)
        append(UInt8(ascii: "."))
        append(decimal: rest % 1_000, digits: 3)
        append(UInt8(ascii: "Z"))
    }

    /// As its `description`.
    mutating func append(_ address: SocketAddress) {
        reserve(SocketAddress.longestText)
        let room = unsafe UnsafeMutableBufferPointer(start: base + count, count: SocketAddress.longestText)
        var output = unsafe OutputSpan(buffer: room, initializedCount: 0)
        address.append(to: &output)
        count += unsafe output.finalize(for: room)
    }
}
