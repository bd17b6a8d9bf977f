internal import Glibc

/// Finds the digits that are pressed as tones in the audio itself (DTMF of ITU-T Q.23), in G.711.
///
/// For looking into a call that is in question; it is no part of the packet path. A digit counts when its two tones, and little
/// else, are there for 40 ms, after something that was not that digit.
package struct ToneDigits: Sendable {
    package enum Law: Sendable {
        /// PCMU, payload type 0.
        case mu
        /// PCMA, payload type 8.
        case a
    }

    package private(set) var digits = ""

    private let law: Law
    private var samples: [Float] = []
    private var previous: Character?
    /// The digit that is being held, and was counted.
    private var counted: Character?

    /// At 8000 Hz the tones then fall close to the middle of a bin; 25.6 ms.
    private static let blockLength = 205
    private static let rows: [Float] = [697, 770, 852, 941]
    private static let columns: [Float] = [1209, 1336, 1477, 1633]
    private static let keys: [[Character]] = [["1", "2", "3", "A"], ["4", "5", "6", "B"], ["7", "8", "9", "C"], ["*", "0", "#", "D"]]
    /// Of the block's energy, what the two tones must have together.
    private static let leastShare: Float = 0.75
    /// How much the row may be stronger than the column and the other way round: 8 dB and 4 dB (Q.24), a little widened.
    private static let rowTwist: Float = 8
    private static let columnTwist: Float = 4
    /// Mean square of a tone of about -36 dBm0.
    private static let leastPower: Float = 40_000

    package init(_ law: Law) {
        self.law = law
        samples.reserveCapacity(Self.blockLength)
    }

    /// Takes the payload of the next packet. Lost ones need no mention: a digit of two blocks is short enough to lose.
    package mutating func receive(_ payload: some Sequence<UInt8>) {
        for octet in payload {
            samples.append(law == .mu ? Self.muTable[Int(octet)] : Self.aTable[Int(octet)])
            guard samples.count == Self.blockLength else { continue }
            finishBlock(Self.key(in: samples))
            samples.removeAll(keepingCapacity: true)
        }
    }

    private mutating func finishBlock(_ key: Character?) {
        defer { previous = key }
        if key == nil, previous == nil { counted = nil }
        guard let key, key == previous, key != counted else { return }
        digits.append(key)
        counted = key
    }

    private static func key(in block: [Float]) -> Character? {
        let energy = block.reduce(0) { $0 + $1 * $1 }
        guard energy / Float(block.count) >= leastPower else { return nil }
        let low = rows.map { share(of: $0, in: block, energy: energy) }
        let high = columns.map { share(of: $0, in: block, energy: energy) }
        guard let row = low.indices.max(by: { low[$0] < low[$1] }), let column = high.indices.max(by: { high[$0] < high[$1] }) else { return nil }
        let (rowShare, columnShare) = (low[row], high[column])
        guard rowShare + columnShare >= leastShare, rowShare <= columnShare * rowTwist, columnShare <= rowShare * columnTwist * 2,
            low.indices.allSatisfy({ $0 == row || low[$0] * 6 < rowShare }), high.indices.allSatisfy({ $0 == column || high[$0] * 6 < columnShare })
        else { return nil }
        return keys[row][column]
    }

    /// How much of the block's energy is at this frequency, by Goertzel's algorithm.
    private static func share(of frequency: Float, in block: [Float], energy: Float) -> Float {
        let coefficient = 2 * cosf(2 * .pi * frequency / 8_000)
        var (first, second): (Float, Float) = (0, 0)
        for sample in block { (first, second) = (sample + coefficient * first - second, first) }
        let power = first * first + second * second - coefficient * first * second
        return 2 * power / (Float(block.count) * energy)
    }

    // G.711, to 16-bit linear.

    private static let muTable: [Float] = (0..<256).map { octet in
        let bits = ~octet & 0xff
        let magnitude = ((bits & 0x0f) << 3 + 0x84) << ((bits >> 4) & 7) - 0x84
        return Float(bits & 0x80 != 0 ? -magnitude : magnitude)
    }

    private static let aTable: [Float] = (0..<256).map { octet in
        let bits = octet ^ 0x55
        let exponent = (bits >> 4) & 7
        let mantissa = (bits & 0x0f) << 4 + 8
        let magnitude = exponent == 0 ? mantissa : (mantissa + 0x100) << (exponent - 1)
        return Float(bits & 0x80 != 0 ? magnitude : -magnitude)
    }
}
