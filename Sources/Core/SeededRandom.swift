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

    /// `count` characters of `0-9a-z`, about 5 bits each: tags, branches, Call-IDs (RFC 3261 §19.3 wants 32 bits).
    ///
    /// - Precondition: 64 at most.
    public mutating func token(count: Int) -> String {
        var text = ShortText()
        for _ in 0..<count {
            let digit = UInt8(truncatingIfNeeded: next() >> 32 % 36)
            text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
        return text.string
    }
}
