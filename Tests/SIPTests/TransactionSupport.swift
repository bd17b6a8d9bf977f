import Core
import SIP

/// What the tests of the machines share: virtual time, and a common face so that one loop can drive each of them.
let clockStart = Instant(nanoseconds: 1_000_000_000_000)

func at(_ milliseconds: Int) -> Instant { clockStart + .milliseconds(milliseconds) }

protocol TimedMachine {
    associatedtype Effect: Equatable
    var deadline: Instant? { get }
    mutating func advance(to now: Instant, effects: inout [Effect])
}

extension InviteClientTransaction: TimedMachine {}
extension NonInviteClientTransaction: TimedMachine {}
extension InviteServerTransaction: TimedMachine {}
extension NonInviteServerTransaction: TimedMachine {}
extension SuccessRetransmission: TimedMachine {}

extension TimedMachine {
    /// Milliseconds from `clockStart` to the next deadline.
    var deadlineMilliseconds: Int? { deadline.map { Int(($0 - clockStart).milliseconds) } }

    /// Goes from deadline to deadline until none is left or `end` is reached, and tells when each effect came.
    mutating func run(until end: Instant = at(10_000_000)) -> [Timed<Effect>] {
        var log: [Timed<Effect>] = []
        while let due = deadline, due <= end {
            // Nothing may happen even a nanosecond early.
            var early: [Effect] = []
            advance(to: Instant(nanoseconds: due.nanoseconds - 1), effects: &early)
            var effects: [Effect] = []
            advance(to: due, effects: &effects)
            let milliseconds = Int((due - clockStart).milliseconds)
            log += early.map { Timed(milliseconds: -1, $0) } + effects.map { Timed(milliseconds: milliseconds, $0) }
        }
        return log
    }

    mutating func advanced(to now: Instant) -> [Effect] {
        var effects: [Effect] = []
        advance(to: now, effects: &effects)
        return effects
    }
}

struct Timed<Effect: Equatable>: Equatable {
    let milliseconds: Int
    let effect: Effect

    init(milliseconds: Int, _ effect: Effect) {
        self.milliseconds = milliseconds
        self.effect = effect
    }
}

extension Sequence where Element == Int {
    /// The same effect at each of these milliseconds.
    func each<Effect>(_ effect: Effect) -> [Timed<Effect>] { map { Timed(milliseconds: $0, effect) } }
}
