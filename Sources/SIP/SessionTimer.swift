package import Core

/// The session timer of one dialog (RFC 4028): who refreshes, when, and when the session has ended for want of it.
///
/// Holds no message and no clock. Each side of a dialog runs one; a back-to-back user agent has two, independent ones. The
/// peer's support decides what may be asked of it: one that knows no session timers never refreshes and is never dropped
/// for it.
package struct SessionTimer: Sendable {
    /// Whom the operator would rather have refresh, in terms of the transaction that sets the timer (§4).
    package enum Refresher: String, Sendable, CaseIterable { case uac, uas }

    package struct Policy: Sendable, Equatable {
        /// What we ask for; zero: no session timers.
        package var interval: Duration
        /// The least we accept; never under 90 s (§4).
        package var minimum: Duration
        package var refresher: Refresher

        package init(
            interval: Duration = .seconds(1800), minimum: Duration = SessionTimer.leastInterval, refresher: Refresher = .uac
        ) {
            self.interval = interval == .zero ? Duration.zero : max(interval, minimum, SessionTimer.leastInterval)
            self.minimum = max(minimum, SessionTimer.leastInterval)
            self.refresher = refresher
        }

        package var isOff: Bool { interval == .zero }
    }

    /// What a request or response says of session timers.
    package struct Terms: Sendable, Equatable {
        /// Session-Expires.
        package var interval: Duration?
        package var refresher: Refresher?
        /// Min-SE.
        package var minimum: Duration?
        /// `timer` in Supported.
        package var isSupported: Bool

        package init(interval: Duration? = nil, refresher: Refresher? = nil, minimum: Duration? = nil, isSupported: Bool = false) {
            self.interval = interval
            self.refresher = refresher
            self.minimum = minimum
            self.isSupported = isSupported
        }

        package init(_ message: SIPMessage) {
            interval = message.number(.sessionExpires).map { .seconds($0) }
            refresher = message.parameter("refresher", of: .sessionExpires).flatMap { Refresher(rawValue: $0.lowercased()) }
            minimum = message.number(.minSE).map { .seconds($0) }
            isSupported = message.hasToken("timer", in: .supported) || message.hasToken("timer", in: .require)
        }
    }

    /// What a 2xx of ours says.
    package struct Answer: Sendable, Equatable {
        package let interval: Duration
        package let refresher: Refresher
        /// `Require: timer` (§9): the peer has to do its part.
        package let isRequired: Bool

        package init(interval: Duration, refresher: Refresher, isRequired: Bool) {
            self.interval = interval
            self.refresher = refresher
            self.isRequired = isRequired
        }
    }

    package enum Action: Sendable, Equatable {
        /// Send a refresh request now.
        case refresh
        /// No refresh came in time: end the session with BYE (§10).
        case expired
    }

    /// RFC 4028 §4.
    package static let leastInterval = Duration.seconds(90)
    /// So often a request is tried again with what its 422 asked for. A peer that then wants still more never has enough.
    package static let maximumRetries = 2

    package let policy: Policy
    /// The interval agreed on; nil while there is no timer.
    package private(set) var interval: Duration?
    package private(set) var isOurs = false
    /// The peer knows session timers: without refresh the session expires.
    package private(set) var isPeerSupporting = false
    /// The least interval heard from this peer's side, in Min-SE (§7.4).
    package private(set) var peerMinimum: Duration
    /// 422 in a row, to requests of ours.
    private var refusals = 0
    /// When we refresh next; nil: not at present.
    package private(set) var refreshAt: Instant?
    /// When the session ends unless it is refreshed; nil: never.
    package private(set) var expiresAt: Instant?

    package init(policy: Policy) {
        self.policy = policy
        peerMinimum = policy.minimum
    }

    /// When `advance(to:)` is due next.
    package var deadline: Instant? {
        guard let refreshAt else { return expiresAt }
        return expiresAt.map { min($0, refreshAt) } ?? refreshAt
    }

    /// Without a refresh the session ends.
    package var expires: Bool { expiresAt != nil }

    /// What is done now: once for each time it is due.
    package mutating func advance(to now: Instant) -> Action? {
        if let due = expiresAt, now >= due {
            stop()
            return .expired
        }
        if let due = refreshAt, now >= due {
            refreshAt = nil
            return .refresh
        }
        return nil
    }

    package mutating func stop() {
        refreshAt = nil
        expiresAt = nil
    }

    // MARK: Requests that we send

    /// Session-Expires and Min-SE of a request of ours; nil: it says nothing (§7.1). Inside a dialog the present refresher
    /// keeps its part (§7.4), named as the roles of this transaction have it.
    package var offered: (interval: Duration, refresher: Refresher?, minimum: Duration?)? {
        guard !policy.isOff else { return nil }
        let wanted = max(interval ?? policy.interval, peerMinimum)
        let role: Refresher? = interval == nil ? policy.refresher : isOurs ? .uac : .uas
        return (wanted, role, peerMinimum > Self.leastInterval ? peerMinimum : nil)
    }

    /// A 422 to a request of ours. True when it is worth trying again, with what `offered` says now (§7.3).
    package mutating func refused(_ terms: Terms) -> Bool {
        guard !policy.isOff, let minimum = terms.minimum, minimum > max(interval ?? policy.interval, peerMinimum),
            refusals < Self.maximumRetries
        else { return false }
        refusals += 1
        peerMinimum = minimum
        return true
    }

    /// A 2xx to a request of ours (§7.2).
    package mutating func accepted(_ terms: Terms, now: Instant) {
        guard !policy.isOff else { return }
        refusals = 0
        guard let granted = terms.interval else {
            // It does not know session timers, or wants none. We refresh, and thereby see whether it is still there.
            isPeerSupporting = false
            return start(max(interval ?? policy.interval, peerMinimum), isOurs: true, expires: false, now: now)
        }
        isPeerSupporting = true
        start(max(granted, Self.leastInterval), isOurs: terms.refresher != .uas, expires: true, now: now)
    }

    // MARK: Requests that we answer

    /// The Min-SE of the 422 that a request deserves; nil when its interval is acceptable (§9). Only a peer that knows
    /// session timers can make sense of 422.
    package func refusal(of terms: Terms) -> Duration? {
        guard !policy.isOff, terms.isSupported, let asked = terms.interval, asked < policy.minimum else { return nil }
        return policy.minimum
    }

    /// What our 2xx to a request says (§9, table 2), and what we do from now on; nil: nothing about session timers.
    package mutating func answer(_ terms: Terms, now: Instant) -> Answer? {
        guard !policy.isOff else { return nil }
        if let minimum = terms.minimum { peerMinimum = max(peerMinimum, minimum) }
        var granted = min(terms.interval ?? policy.interval, policy.interval)
        granted = max(granted, terms.minimum ?? .zero, policy.minimum)
        // A proxy may have asked for an interval on behalf of a peer that knows nothing of it; it must not grow (§9).
        if let asked = terms.interval { granted = min(granted, max(asked, Self.leastInterval)) }
        isPeerSupporting = terms.isSupported
        let refresher: Refresher
        switch (terms.isSupported, terms.refresher) {
        case (false, _): refresher = .uas
        case (true, let asked?): refresher = asked
        case (true, nil): refresher = interval == nil ? policy.refresher : isOurs ? .uas : .uac
        }
        start(granted, isOurs: refresher == .uas, expires: terms.isSupported, now: now)
        return Answer(interval: granted, refresher: refresher, isRequired: terms.isSupported)
    }

    /// A refresh of ours failed, with the session still there: once more after `delay`. A peer without support for session
    /// timers is left alone, unless it only asked for patience.
    package mutating func refreshFailed(status: Int, retryAfter delay: Duration, now: Instant) {
        refreshAt = isPeerSupporting || status == 491 ? now + delay : nil
    }

    private mutating func start(_ agreed: Duration, isOurs: Bool, expires: Bool, now: Instant) {
        interval = agreed
        self.isOurs = isOurs
        let nanoseconds = agreed.nanoseconds  // dividing a duration takes ten times as long
        refreshAt = isOurs ? now + .nanoseconds(nanoseconds / 2) : nil
        // §10: BYE before the session expires, by a third of the interval or 32 s, whichever is less.
        expiresAt = expires ? now + (agreed - min(.seconds(32), .nanoseconds(nanoseconds / 3))) : nil
    }
}
