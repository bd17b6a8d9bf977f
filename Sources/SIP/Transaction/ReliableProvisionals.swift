package import Core

/// Provisional responses to one INVITE that are repeated until their PRACK comes (RFC 3262 §3), the server's side.
///
/// One at a time is under way; what comes meanwhile waits. Holds no message: the owner keeps the octets of the one that is
/// sent. After each input, carry out every effect before giving the next input.
package struct ReliableProvisionals: Sendable {
    package enum Effect: Equatable, Sendable {
        /// Send the response that has this RSeq, for the first time or again.
        case send(UInt32)
        /// No PRACK in 64*T1: the INVITE is to be refused with a 5xx.
        case prackMissing
    }

    private let timers: TimerValues
    private var lastSequence: UInt32
    private var waiting: [UInt32] = []
    private var current: UInt32?
    private var timer: RetransmissionTimer?
    private var end: Instant?

    /// - Parameter first: RSeq of the first response, from 1 to 2³¹ − 1.
    package init(first: UInt32, timers: TimerValues = .standard) {
        lastSequence = first - 1
        self.timers = timers
    }

    /// A response was sent or waits, and has no PRACK yet.
    package var isPending: Bool { current != nil }

    package var deadline: Instant? {
        guard let end else { return nil }
        return timer.map { min($0.due, end) } ?? end
    }

    /// One more response: returns the RSeq it is to carry.
    package mutating func add(now: Instant, effects: inout [Effect]) -> UInt32 {
        lastSequence += 1
        if current == nil { start(lastSequence, now: now, &effects) } else { waiting.append(lastSequence) }
        return lastSequence
    }

    /// A PRACK. False when no response that is under way has this RSeq: it is answered 481.
    package mutating func acknowledge(_ sequence: UInt32, now: Instant, effects: inout [Effect]) -> Bool {
        guard sequence == current else { return false }
        stop()
        if !waiting.isEmpty { start(waiting.removeFirst(), now: now, &effects) }
        return true
    }

    /// The INVITE has its final response.
    package mutating func finish() {
        waiting = []
        stop()
    }

    package mutating func advance(to now: Instant, effects: inout [Effect]) {
        guard let current, let end else { return }
        if now >= end {
            finish()
            effects.append(.prackMissing)
        } else if timer?.fire(at: now) == true {
            effects.append(.send(current))
        }
    }

    private mutating func start(_ sequence: UInt32, now: Instant, _ effects: inout [Effect]) {
        current = sequence
        timer = RetransmissionTimer(startingAt: now, interval: timers.t1, cap: nil)
        end = now + timers.transactionTimeout
        effects.append(.send(sequence))
    }

    private mutating func stop() {
        current = nil
        timer = nil
        end = nil
    }
}

/// The value of RAck (RFC 3262 §7.2): which response to which request a PRACK acknowledges.
package struct RAck: Equatable, Sendable {
    package let responseSequence: UInt32
    package let sequence: UInt32
    package let method: String

    package init(responseSequence: UInt32, sequence: UInt32, method: String) {
        self.responseSequence = responseSequence
        self.sequence = sequence
        self.method = method
    }

    /// `776656 1 INVITE`; nil for anything else.
    package init?(_ text: String) {
        let fields = text.split { $0 == " " || $0 == "\t" }
        guard fields.count == 3, let response = UInt32(fields[0]), let sequence = UInt32(fields[1]) else { return nil }
        self.init(responseSequence: response, sequence: sequence, method: String(fields[2]))
    }

    package var text: String { "\(responseSequence) \(sequence) \(method)" }
}
