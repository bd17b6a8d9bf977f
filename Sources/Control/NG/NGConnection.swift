package import Core
import NG

/// One connection over which a proxy drives relayd, without its socket: octets in, messages out; replies in, octets out.
package struct NGConnection {
    package struct Limits: Sendable {
        /// Unsent octets beyond which the connection is closed: its client reads no answers.
        package var outputOctets = 1 << 20
        /// A client that has taken nothing for so long, although something was there, is closed.
        package var stall = Duration.seconds(10)
        /// How long a client that has said all it will say gets the answers it still waits for.
        package var farewell = Duration.seconds(1)

        package init() {}
    }

    private let limits: Limits
    private var framer = NGStreamFramer()
    private var output = OutgoingLines()
    /// Out of step for good, or overrun.
    private var isBroken = false
    private var endedAt: Instant?
    /// Messages without an answer so far. Some never get one, a repetition of what is being carried out among them.
    private var unanswered = 0
    private var lastProgress = Instant(nanoseconds: 0)

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// Takes octets from the socket.
    ///
    /// - Returns: whole messages, in order. After a framing error there are no more, ever.
    package mutating func receive(_ octets: [UInt8], counters: CounterBlock) -> [[UInt8]] {
        guard !isBroken else { return [] }
        var messages: [[UInt8]] = []
        framer.append(octets)
        do {
            while let message = try framer.next() { messages.append(message) }
        } catch {
            counters.add(to: .ngMalformed)
            isBroken = true
        }
        unanswered += messages.count
        return messages
    }

    package mutating func send(_ reply: [UInt8], now: Instant) {
        unanswered = max(0, unanswered - 1)
        guard output.count + reply.count <= limits.outputOctets else {
            isBroken = true
            return
        }
        if output.isEmpty { lastProgress = now }
        output.append(reply)
    }

    package mutating func endInput(now: Instant) { endedAt = endedAt ?? now }

    package var hasInputEnded: Bool { endedAt != nil }

    package var hasOutput: Bool { !output.isEmpty }

    /// What to send next, as a copy; until `didSend` it comes again.
    package func nextOutput(atMost limit: Int = 65_536) -> [UInt8] { output.next(atMost: limit) }

    /// The kernel took the first `count` octets of `nextOutput`.
    package mutating func didSend(_ count: Int, now: Instant) {
        output.drop(count)
        if count > 0 { lastProgress = now }
    }

    /// Close the socket now; what is unsent is lost.
    package func isOver(at now: Instant) -> Bool {
        if isBroken { return true }
        if hasOutput { return now - lastProgress >= limits.stall }
        guard let endedAt else { return false }
        return unanswered == 0 || now - endedAt >= limits.farewell
    }
}

extension NGConnection: StreamConnection {}
