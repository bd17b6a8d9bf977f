import Core
import SIP

/// What a stranger asked for, in the words of its request, each cut to a length that memory is set aside for.
struct StrangerRequest: Sendable {
    let at: Instant
    let source: SocketAddress
    let transport: Transport
    let method: String
    let callID: String
    let caller: String
    let called: String
    let userAgent: String
    /// Of the answer; nil when there was none.
    let status: Int?
}

/// Sources of requests that are no trunk and no phone: how often they came, and what they wanted. Its size is fixed.
///
/// A source is an address, for IPv6 the /64 it is in: whoever has one address there has all of them. Each may have so many
/// answers a second, and all together so many more; what is above is dropped. Nobody is shut out for longer than that.
struct StrangerTable: Sendable {
    struct Entry: Sendable {
        let source: IPAddress
        let firstSeen: Instant
        /// What is wrong with its address, as far as can be told.
        let hint: String
        /// It is close to a trunk: more likely a slip in the configuration than somebody trying.
        let isSlip: Bool
        fileprivate(set) var lastSeen: Instant
        fileprivate(set) var requests: UInt64 = 0
        fileprivate(set) var answers: UInt64 = 0
        /// The last one that was answered, or would have been.
        fileprivate(set) var last: StrangerRequest
        fileprivate var bucket: TokenBucket
        fileprivate var toldAt: Instant?
    }

    /// Whether a request may be answered, and whether the operator is to hear of its source.
    struct Verdict {
        var isInRate = false
        var isToBeTold = false
    }

    /// Answers a second, to one source and to all.
    static let answersPerSource = 10
    static let answers = 1_000
    /// A source is mentioned again after this time, and another one not before `tellingPause`.
    private static let tellingPeriod = Duration.seconds(600)
    private static let tellingPause = Duration.seconds(5)
    /// A source that was silent for so long makes room before any other.
    private static let forgottenAfter = Duration.seconds(3_600)
    /// A source has its place in one of four slots, by its hash: finding it looks at no more.
    private static let ways = 4
    private static let capacity = 1_024
    private static let recentLimit = 256

    private var slots: [Entry?] = Array(repeating: nil, count: Self.capacity)
    private var bucket: TokenBucket
    private var nextTelling: Instant
    /// The last requests that were in rate, the oldest overwritten first.
    private var recent: [StrangerRequest] = []
    private var oldestRecent = 0

    init(now: Instant) {
        bucket = TokenBucket(rate: Self.answers, now: now)
        nextTelling = now
    }

    /// A request has come from `address`.
    ///
    /// - Parameters:
    ///   - hint: asked for once a source, with whether an operator should hear of it at once: a slip in the configuration.
    ///   - describe: asked for only as often as answers are given.
    mutating func note(
        _ address: SocketAddress, now: Instant, hint: () -> (text: String, isUrgent: Bool), describe: () -> StrangerRequest
    ) -> Verdict {
        let source = Self.source(of: address.ip)
        var isUrgent = false
        let index: Int
        if let known = find(source) {
            index = known
        } else {
            index = slotToReplace(for: source, now: now)
            let (text, isSlip) = hint()
            isUrgent = isSlip
            slots[index] = Entry(
                source: source, firstSeen: now, hint: text, isSlip: isSlip, lastSeen: now, last: describe(),
                bucket: TokenBucket(rate: Self.answersPerSource, now: now))
        }
        slots[index]!.requests += 1
        slots[index]!.lastSeen = now
        var verdict = Verdict()
        guard slots[index]!.bucket.take(now: now), bucket.take(now: now) else { return verdict }
        verdict.isInRate = true
        let request = describe()
        slots[index]!.last = request
        if request.status != nil { slots[index]!.answers += 1 }
        keep(request)
        if slots[index]!.toldAt.map({ now - $0 >= Self.tellingPeriod }) ?? true, isUrgent || now >= nextTelling {
            verdict.isToBeTold = true
            slots[index]!.toldAt = now
            nextTelling = now + Self.tellingPause
        }
        return verdict
    }

    func entry(of ip: IPAddress) -> Entry? { find(Self.source(of: ip)).flatMap { slots[$0] } }

    /// The busiest first.
    func busiest(_ limit: Int) -> [Entry] {
        let entries = slots.compactMap(\.self).sorted { ($0.requests, $0.lastSeen) > ($1.requests, $1.lastSeen) }
        return Array(entries.prefix(limit))
    }

    /// Sources of the last hour that a trunk was probably meant to be, the busiest first.
    func slips(now: Instant) -> [Entry] {
        slots.compactMap(\.self).filter { $0.isSlip && now - $0.lastSeen < Self.forgottenAfter }.sorted { $0.requests > $1.requests }
    }

    var count: Int { slots.count { $0 != nil } }

    /// The newest of the last requests that fits.
    func newest(where condition: (StrangerRequest) -> Bool) -> StrangerRequest? {
        (recent[oldestRecent...] + recent[..<oldestRecent]).last(where: condition)
    }

    /// What an address counts as.
    static func source(of ip: IPAddress) -> IPAddress {
        ip.family == .ipv4 ? ip : IPAddress(ipv6High: ip.high, low: 0)
    }

    private func places(of source: IPAddress) -> Range<Int> {
        var hasher = Hasher()  // its key is drawn anew in each process: nobody can choose addresses that share their slots
        hasher.combine(source)
        let first = Int(UInt(bitPattern: hasher.finalize()) % UInt(Self.capacity / Self.ways)) * Self.ways
        return first..<first + Self.ways
    }

    private func find(_ source: IPAddress) -> Int? { places(of: source).first { slots[$0]?.source == source } }

    /// An empty one, else one that has been silent for long, else the one with the fewest requests: a flood from countless
    /// addresses does not push out a source that keeps asking.
    private func slotToReplace(for source: IPAddress, now: Instant) -> Int {
        let places = places(of: source)
        return places.first { slots[$0].map { now - $0.lastSeen >= Self.forgottenAfter } ?? true }
            ?? places.min { slots[$0]!.requests < slots[$1]!.requests }!
    }

    private mutating func keep(_ request: StrangerRequest) {
        if recent.count < Self.recentLimit {
            recent.append(request)
        } else {
            recent[oldestRecent] = request
            oldestRecent = (oldestRecent + 1) % Self.recentLimit
        }
    }
}
