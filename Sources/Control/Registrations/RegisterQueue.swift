import Core
import SIP

/// REGISTERs that wait for their turn: after an outage all phones come at once, and each address is to get its share.
///
/// Within the limits nothing waits. Beyond them each address has a queue of its own, served in turns, so that one with a
/// thousand phones does not keep out one with a single phone. Nobody is banned; what finds its queue full is sent again by the
/// phone itself.
struct RegisterQueue {
    struct Entry {
        let message: SIPMessage
        let key: TransactionKey
        let source: Flow
    }

    private struct Line {
        var entries: [Entry] = []
        var head = 0
        /// REGISTERs this address may send now, in thousandths.
        var tokens: Int64
        var refilledAt: Instant
        var isWaiting = false

        var count: Int { entries.count - head }
    }

    /// One REGISTER, in the unit of the buckets.
    private static let whole: Int64 = 1_000_000
    private static let turn = Duration.milliseconds(5)
    /// Waiting in all, and of one address.
    private static let limit = 16_384
    private static let limitPerSource = 2_048
    /// Addresses remembered: a bucket that has not been used for so long is full again.
    private static let memory = Duration.seconds(10)
    private static let sourceLimit = 65_536

    private let ratePerSource: Int64
    private let rate: Int64
    private var tokens: Int64
    private var refilledAt: Instant
    private var lines: [IPAddress: Line] = [:]
    /// Addresses with something waiting, the next to be served first.
    private var ring: [IPAddress] = []
    private var ringHead = 0
    private(set) var count = 0
    private var forgottenAt: Instant
    private(set) var nextTurn: Instant?

    /// - Parameters: REGISTERs a second in the long run, of one address and in all; zero is without limit. For a moment four
    ///   times as many of one address pass, and a fifth of a second's of all.
    init(ratePerSource: Int, rate: Int, now: Instant) {
        self.ratePerSource = Int64(ratePerSource)
        self.rate = Int64(rate)
        tokens = Self.whole * max(1, Int64(rate) / 5)
        refilledAt = now
        forgottenAt = now
    }

    enum Decision { case serve, wait, drop }

    /// What to do with a REGISTER. What is to wait has been taken in.
    mutating func decide(_ message: SIPMessage, _ key: TransactionKey, from source: Flow, now: Instant) -> Decision {
        guard ratePerSource > 0 || rate > 0 else { return .serve }
        refill(now: now)
        forget(now: now)
        var line = lines[source.ip] ?? Line(tokens: burstPerSource, refilledAt: now)
        refill(&line, now: now)
        defer { lines[source.ip] = line }
        if line.count == 0, hasTokens(line) {
            spend(&line)
            return .serve
        }
        guard count < Self.limit, line.count < Self.limitPerSource else { return .drop }
        line.entries.append(Entry(message: message, key: key, source: source))
        count += 1
        if !line.isWaiting {
            line.isWaiting = true
            ring.append(source.ip)
        }
        if nextTurn == nil { nextTurn = now + Self.turn }
        return .wait
    }

    /// What is to be served now, each address in its turn.
    mutating func takeDue(now: Instant) -> [Entry] {
        guard let due = nextTurn, due <= now else { return [] }
        refill(now: now)
        var served: [Entry] = []
        var idle = 0
        while ring.count > ringHead, idle < ring.count - ringHead, rate == 0 || tokens >= Self.whole {
            let ip = ring[ringHead]
            ringHead += 1
            guard var line = lines[ip] else { continue }
            guard line.count > 0 else {
                lines[ip]?.isWaiting = false
                continue
            }
            refill(&line, now: now)
            if hasTokens(line) {
                spend(&line)
                served.append(line.entries[line.head])
                line.head += 1
                count -= 1
                idle = 0
            } else {
                idle += 1
            }
            if line.count > 0 {
                ring.append(ip)
            } else {
                line.entries = []
                line.head = 0
                line.isWaiting = false
            }
            lines[ip] = line
        }
        if ringHead > 1_024, 2 * ringHead > ring.count {
            ring.removeFirst(ringHead)
            ringHead = 0
        }
        nextTurn = count > 0 ? now + Self.turn : nil
        return served
    }

    /// Takes out what came by a connection that is gone: nobody is there to be answered.
    mutating func drop(_ connection: UInt32, of ip: IPAddress) {
        guard count > 0, var line = lines[ip], line.count > 0 else { return }
        let waiting = line.entries[line.head...]
        let left = waiting.filter { $0.source.connection != connection }
        count -= waiting.count - left.count
        line.entries = left
        line.head = 0
        lines[ip] = line
    }

    private var burstPerSource: Int64 { Self.whole * 4 * max(1, ratePerSource) }

    private func hasTokens(_ line: Line) -> Bool {
        (ratePerSource == 0 || line.tokens >= Self.whole) && (rate == 0 || tokens >= Self.whole)
    }

    private mutating func spend(_ line: inout Line) {
        line.tokens -= Self.whole
        tokens -= Self.whole
    }

    private mutating func refill(now: Instant) {
        let elapsed = min((now - refilledAt).nanoseconds / 1_000, 10_000_000)
        tokens = min(Self.whole * max(1, rate / 5), tokens + elapsed * rate)
        refilledAt = now
    }

    private func refill(_ line: inout Line, now: Instant) {
        let elapsed = min((now - line.refilledAt).nanoseconds / 1_000, 10_000_000)
        line.tokens = min(burstPerSource, line.tokens + elapsed * ratePerSource)
        line.refilledAt = now
    }

    private mutating func forget(now: Instant) {
        guard now >= forgottenAt + Self.memory || lines.count >= Self.sourceLimit else { return }
        forgottenAt = now
        lines = lines.filter { $0.value.isWaiting || $0.value.refilledAt + Self.memory > now }
        // More addresses than that at once are no phones: those that do not wait begin anew.
        if lines.count >= Self.sourceLimit { lines = lines.filter(\.value.isWaiting) }
    }
}
