/// Recognises DTMF digits pressed as tones in G.711 audio (ITU-T Q.23), with the Goertzel algorithm.
///
/// It keeps to Q.24: a tone of 40 ms counts, one of 20 ms does not, and a pause of 40 ms parts two digits. Blocks of 102 samples
/// (12.75 ms) are looked at one by one, and two in a row that are filled with the same digit begin it. A block holds a digit when
/// - each of its two tones is at -36 dBm0 or more,
/// - neither is more than 8 dB stronger than the other (twist),
/// - each is 8 dB stronger than any other tone of its group,
/// - both together carry 74 % of all the energy there is, and 80 % over the two blocks: speech and music do not, which is what
///   keeps them from counting (talk-off).
///
/// A plain fixed layout of 112 octets that begins as zeros. One thread at a time.
@frozen
public struct ToneDetector: Sendable, BitwiseCopyable {
    /// The last two values of each filter: the four low tones, then the four high ones.
    private var rowLast = SIMD4<Float>()
    private var rowBefore = SIMD4<Float>()
    private var columnLast = SIMD4<Float>()
    private var columnBefore = SIMD4<Float>()
    /// Of the block under way: squares of its samples, and how many.
    private var energy: Float = 0
    private var sampleCount: UInt32 = 0
    /// The timestamp that goes on where the last packet ended.
    private var nextTimestamp: UInt32 = 0
    private var ssrc: UInt32 = 0
    /// Of the energy of the last block, what its digit carried.
    private var lastShare: Float = 0
    /// Digits that have begun.
    public private(set) var digits: UInt32 = 0
    /// A digit is `row * 4 + column + 1`; zero is none. What the last block held, and the digit that is on.
    private var candidate: UInt8 = 0
    private var current: UInt8 = 0
    private var quietBlocks: UInt8 = 0
    private var hasBegun = false
    private var last: UInt8 = 0

    public init() {}

    /// The newest digit; nil before the first.
    public var lastDigit: Character? {
        guard last > 0 else { return nil }
        let keys = "123A456B789C*0#D"
        return keys[keys.index(keys.startIndex, offsetBy: Int(last) - 1)]
    }

    /// Samples of a block. Its filters are 78 Hz wide, which bears the 1.5 % that a tone may be off.
    private static var blockLength: UInt32 { 102 }
    /// A step of the timestamps beyond this is a pause in which the digit ended; what is lost within it is bridged.
    private static var longestBridge: Int32 { 320 }

    /// Takes in one RTP packet of the source. Anything but G.711 (payload types 0 and 8) is left out, as are late packets.
    public mutating func receive(_ header: RTPHeader, in datagram: Span<UInt8>) {
        guard header.payloadType == 0 || header.payloadType == 8,
            header.payloadOffset + header.payloadCount <= datagram.count
        else { return }
        let step = Int32(bitPattern: header.timestamp &- nextTimestamp)
        let isSameRun = hasBegun && header.ssrc == ssrc && step > -8_000
        if isSameRun && step < 0 { return }
        if !isSameRun || step != 0 {
            startBlock()
            candidate = 0
            if !isSameRun || step > Self.longestBridge { current = 0 }
        }
        hasBegun = true
        ssrc = header.ssrc
        nextTimestamp = header.timestamp &+ UInt32(truncatingIfNeeded: header.payloadCount)
        let end = header.payloadOffset + header.payloadCount
        if header.payloadType == 0 {
            for index in header.payloadOffset..<end { take(Self.linear(muLaw: datagram[index])) }
        } else {
            for index in header.payloadOffset..<end { take(Self.linear(aLaw: datagram[index])) }
        }
    }

    // MARK: Samples

    /// 2 cos(2 pi f / 8000) of 697, 770, 852, 941 Hz, and of 1209, 1336, 1477, 1633 Hz.
    private static var rowFactors: SIMD4<Float> { SIMD4(1.7077378, 1.6452810, 1.5686870, 1.4782046) }
    private static var columnFactors: SIMD4<Float> { SIMD4(1.1641040, 0.99637021, 0.79861839, 0.56853271) }

    @inline(__always)
    private mutating func take(_ sample: Float) {
        energy += sample * sample
        let row = Self.rowFactors * rowLast - rowBefore + sample
        rowBefore = rowLast
        rowLast = row
        let column = Self.columnFactors * columnLast - columnBefore + sample
        columnBefore = columnLast
        columnLast = column
        sampleCount &+= 1
        if sampleCount == Self.blockLength { endBlock() }
    }

    private mutating func startBlock() {
        rowLast = SIMD4()
        rowBefore = SIMD4()
        columnLast = SIMD4()
        columnBefore = SIMD4()
        energy = 0
        sampleCount = 0
    }

    private mutating func endBlock() {
        let (digit, share) = digitOfBlock
        startBlock()
        if digit != 0, digit == current {
            quietBlocks = 0
        } else if digit != 0, digit == candidate, share + lastShare >= 2 * Self.leastMeanShare {
            current = digit
            last = digit
            digits &+= 1
            quietBlocks = 0
        } else {
            quietBlocks = min(quietBlocks + 1, 2)
            if quietBlocks == 2 { current = 0 }
        }
        candidate = digit
        lastShare = share
    }

    /// 8 dB, as a ratio of power.
    private static var eightDecibels: Float { 6.3095734 }
    /// Of all energy, that both tones carry at least, in one block and in the first two. A tone 1.5 % off its frequency loses up
    /// to 1.5 dB in its filter; one of 20 ms fills 78 % of two blocks.
    private static var leastShare: Float { 0.74 }
    private static var leastMeanShare: Float { 0.80 }
    /// The power of a filter for a tone of -36 dBm0: half the block times its amplitude of 354.6, squared.
    private static var leastPower: Float { 3.27e8 }

    /// What the whole block holds, and what part of its energy that carries.
    private var digitOfBlock: (digit: UInt8, share: Float) {
        let rows = rowLast * rowLast + rowBefore * rowBefore - Self.rowFactors * rowLast * rowBefore
        let columns = columnLast * columnLast + columnBefore * columnBefore - Self.columnFactors * columnLast * columnBefore
        let (row, rowPower, otherRow) = Self.strongest(rows)
        let (column, columnPower, otherColumn) = Self.strongest(columns)
        guard rowPower >= Self.leastPower, columnPower >= Self.leastPower else { return (0, 0) }
        guard rowPower <= columnPower * Self.eightDecibels, columnPower <= rowPower * Self.eightDecibels else { return (0, 0) }
        guard rowPower >= otherRow * Self.eightDecibels, columnPower >= otherColumn * Self.eightDecibels else { return (0, 0) }
        // Two pure tones make half the block's length times its energy.
        let share = (rowPower + columnPower) / (Float(Self.blockLength / 2) * energy)
        guard share >= Self.leastShare else { return (0, 0) }
        return (UInt8(truncatingIfNeeded: row * 4 + column + 1), share)
    }

    /// The index of the greatest of four, its value, and the second greatest.
    private static func strongest(_ powers: SIMD4<Float>) -> (index: Int, power: Float, second: Float) {
        var index = 0
        var second: Float = 0
        for candidate in 1..<4 {
            if powers[candidate] > powers[index] {
                second = powers[index]
                index = candidate
            } else {
                second = max(second, powers[candidate])
            }
        }
        return (index, powers[index], second)
    }

    // MARK: G.711

    /// 16-bit scale.
    @inline(__always)
    private static func linear(muLaw octet: UInt8) -> Float {
        let value = ~octet
        let magnitude = ((Int32(value & 0x0f) << 3) + 0x84) << Int32(value >> 4 & 7) - 0x84
        return Float(value & 0x80 == 0 ? magnitude : -magnitude)
    }

    @inline(__always)
    private static func linear(aLaw octet: UInt8) -> Float {
        let value = octet ^ 0x55
        let segment = Int32(value >> 4 & 7)
        let mantissa = Int32(value & 0x0f) << 4
        let magnitude = segment == 0 ? mantissa + 8 : (mantissa + 0x108) << (segment - 1)
        return Float(value & 0x80 != 0 ? magnitude : -magnitude)
    }
}
