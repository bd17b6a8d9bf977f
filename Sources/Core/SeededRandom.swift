/// A fast, seeded generator (xoshiro256**). The same seed gives the same run, which is what simulation needs.
///
/// Not for secrets by itself: the daemon seeds it from the system's generator, and tags, branches and port choices drawn
/// from it need to be hard to guess only for someone who sees none of them.
public struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    public init(seed: UInt64) {
        // splitmix64 spreads a small seed over the whole state.
        var value = seed
        func next() -> UInt64 {
            value &+= 0x9e37_79b9_7f4a_7c15
            var mixed = value
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
        state = (next(), next(), next(), next())
    }

    public mutating func next() -> UInt64 {
        let product = state.1 &* 5
        let result = (product << 7 | product >> 57) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = state.3 << 45 | state.3 >> 19
        return result
    }

    /// `count` characters of `0-9a-v`, 5 bits each: tags, branches, Call-IDs (RFC 3261 §19.3 wants 32 bits).
    ///
    /// - Precondition: 64 at most.
    public mutating func token(count: Int) -> String {
        precondition(count <= 64, "a token has 64 characters at most")
        return unsafe String(unsafeUninitializedCapacity: count) { text in
            var place = 0
            // SAFETY: there is room for `count` octets, and all of it is written.
            appendToken(count: count) { unsafe text[place] = $0; place += 1 }
            return count
        }
    }

    /// The same to the end of `octets`.
    public mutating func appendToken(count: Int, to octets: inout [UInt8]) {
        octets.append(addingCapacity: count) { output in appendToken(count: count) { output.append($0) } }
    }

    @inline(__always)
    private mutating func appendToken(count: Int, _ append: (UInt8) -> Void) {
        var word: UInt64 = 0
        for index in 0..<count {
            if index & 7 == 0 { word = tokenWord() }
            append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
    }

    /// Eight characters of a token, the first one in the lowest octet.
    public mutating func tokenWord() -> UInt64 { Self.tokenWord(of: next() >> 24) }

    /// The same of the lowest 40 bits of a number.
    public static func tokenWord(of bits: UInt64) -> UInt64 {
        var word: UInt64 = 0
        for index in 0..<8 as Range<UInt64> { word |= (bits >> (5 * index) & 31) << (8 * index) }
        // Ten and more are letters: in each octet, 118 brings these to its highest bit.
        let letters = (word &+ 118 &* eachOctet) >> 7 & eachOctet
        return word &+ UInt64(UInt8(ascii: "0")) &* eachOctet &+ letters &* 39
    }

    private static let eachOctet: UInt64 = 0x0101_0101_0101_0101
}
