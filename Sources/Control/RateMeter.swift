import Core

/// How often something happened in the last whole second.
struct RateMeter: Sendable {
    private var second: UInt64 = 0
    /// In `second`, and in the one before it.
    private var present = 0
    private var last = 0

    mutating func count(at now: Instant) {
        let number = Self.number(of: now)
        if number != second {
            last = number == second + 1 ? present : 0
            (second, present) = (number, 0)
        }
        present += 1
    }

    func rate(at now: Instant) -> Int {
        switch Self.number(of: now) {
        case second: last
        case second + 1: present
        default: 0
        }
    }

    private static func number(of now: Instant) -> UInt64 { now.nanoseconds / 1_000_000_000 }
}
