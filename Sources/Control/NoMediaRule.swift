package import Configuration
package import Core

/// Which silence ends a call, as it was decided when the call began: a changed configuration changes no present call.
package struct NoMediaRule: Equatable, Sendable {
    /// Without RTP for so long; zero is off.
    package var timeout: Duration
    package var mode: NoMediaMode
    /// In place of `timeout` while a side has the call on hold; zero: a held call is never ended for silence.
    package var holdTimeout: Duration
    /// In place of `timeout` for a leg that is silent on purpose; zero: never.
    package var vadTimeout: Duration
    /// What decided, in the words of the configuration: `media`, `trunk carrier`, `prefix 49`, `emergency number`.
    package var origin: String

    package init(
        timeout: Duration, mode: NoMediaMode = .both, holdTimeout: Duration = .zero, vadTimeout: Duration = .zero,
        origin: String = "media"
    ) {
        self.timeout = timeout
        self.mode = mode
        self.holdTimeout = holdTimeout
        self.vadTimeout = vadTimeout
        self.origin = origin
    }

    package var isEmergency: Bool { origin == Self.emergencyOrigin }
    private static var emergencyOrigin: String { "emergency number" }

    /// Silence never ends the call.
    package var isOff: Bool { timeout <= .zero || mode == .off }
}

extension NoMediaRule {
    /// For a call between trunks. An emergency number first, then the longest prefix of the called number, then the trunks
    /// (where both have a setting the callee's, where the money goes), then `media`.
    package init(calling number: String, from caller: SharedTrunk?, to callee: SharedTrunk?, _ media: Configuration.Media) {
        self.init(
            timeout: media.noMediaTimeout, mode: media.noMediaMode, holdTimeout: media.holdTimeout,
            vadTimeout: media.vadTimeout)
        if let caller { take(caller.value) }
        if let callee { take(callee.value) }
        if !media.noMediaPrefixes.isEmpty {
            let matches = media.noMediaPrefixes.filter { number.hasPrefix($0.prefix) }
            if let match = matches.max(by: { $0.prefix.utf8.count < $1.prefix.utf8.count }) {
                timeout = match.timeout ?? timeout
                mode = match.mode ?? mode
                origin = "prefix \(match.prefix)"
            }
        }
        if media.emergencyNumbers.contains(where: { number == $0 || (number.utf8.first == UInt8(ascii: "+") && number.dropFirst() == $0) }) {
            mode = .off
            origin = Self.emergencyOrigin
        }
    }

    private mutating func take(_ trunk: Trunk) {
        guard trunk.noMediaTimeout != nil || trunk.noMediaMode != nil else { return }
        timeout = trunk.noMediaTimeout ?? timeout
        mode = trunk.noMediaMode ?? mode
        origin = "trunk \(trunk.name)"
    }
}

extension NoMediaRule {
    /// For a call that a proxy drives: all proxies' calls are alike.
    init(_ configuration: Configuration) {
        self.init(
            timeout: configuration.ng.timeout, mode: configuration.ng.noMediaMode ?? configuration.media.noMediaMode,
            holdTimeout: configuration.ng.silentTimeout, vadTimeout: configuration.media.vadTimeout, origin: "ng")
    }
}

/// What is known of one party's media beside its packets.
package struct LegMediaState: Equatable, Sendable {
    /// Its description asks for less than media both ways: `sendonly`, `recvonly`, `inactive`, or `c=0.0.0.0`.
    package var holds = false
    /// Its last packet was comfort noise, or both sides agreed on silence suppression: silence is no sign of anything.
    package var mayBeSilent = false

    package init(holds: Bool = false, mayBeSilent: Bool = false) {
        self.holds = holds
        self.mayBeSilent = mayBeSilent
    }
}

extension MediaActivity {
    /// What governs how long a leg may be silent.
    package enum Allowance: Equatable, Sendable { case media, silenceSuppression, hold }

    package static func allowance(of leg: Leg, caller: LegMediaState, callee: LegMediaState) -> Allowance {
        if caller.holds || callee.holds { return .hold }
        return (leg == .caller ? caller : callee).mayBeSilent ? .silenceSuppression : .media
    }

    /// When the call is to be released if nothing more is heard and nothing changes; nil: never.
    ///
    /// Whoever holds a call, it is on hold for both: many phones neither send nor get music meanwhile.
    package func silenceEnds(_ rule: NoMediaRule, caller: LegMediaState, callee: LegMediaState) -> Instant? {
        guard !rule.isOff else { return nil }
        func end(_ leg: Leg) -> Instant? {
            let time =
                switch Self.allowance(of: leg, caller: caller, callee: callee) {
                case .media: rule.timeout
                // Not less than for a leg that says nothing: it was meant to be more patient.
                case .silenceSuppression: rule.vadTimeout > .zero ? max(rule.vadTimeout, rule.timeout) : .zero
                case .hold: rule.holdTimeout > .zero ? max(rule.holdTimeout, rule.timeout) : .zero
                }
            return time > .zero ? lastHeard(leg) + time : nil
        }
        switch rule.mode {
        case .off: return nil
        case .caller: return end(.caller)
        case .callee: return end(.callee)
        case .any: return [end(.caller), end(.callee)].compactMap(\.self).min()
        case .both:
            guard let first = end(.caller), let second = end(.callee) else { return nil }
            return max(first, second)
        }
    }

    /// The earliest `silenceEnds` could be, whatever the state of the legs: as long as that is ahead nothing more has to be
    /// looked at.
    package func earliestEnd(_ rule: NoMediaRule) -> Instant? { silenceEnds(rule, caller: LegMediaState(), callee: LegMediaState()) }
}
