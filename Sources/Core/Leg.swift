/// The two legs of a call: towards the caller, whom relayd serves, and towards the callee, whom relayd calls.
@frozen
public enum Leg: UInt8, CaseIterable, Sendable, BitwiseCopyable, Codable {
    case caller = 0
    case callee = 1

    @inlinable @inline(always)
    public var other: Leg { self == .caller ? .callee : .caller }
}
