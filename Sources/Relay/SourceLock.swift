internal import Core

/// How fast a source is believed.
public struct LockPolicy: Sendable, BitwiseCopyable {
    /// Consecutive packets an unannounced source must send.
    public var run: UInt32 = 6
    /// Nanoseconds an unannounced source must send for when no NAT was seen, and for which two sources that contend exclude
    /// each other.
    var holdOff: UInt64 = 1_000_000_000
    var silence: UInt64 = 2_000_000_000
    /// How long the old source must be silent before, after a new offer, one that is not the SDP address may replace it.
    var replacementQuiet: UInt64 = 200_000_000

    public init() {}

    public var learningHoldOff: Duration {
        get { .nanoseconds(Int64(clamping: holdOff)) }
        set { holdOff = UInt64(clamping: newValue.nanoseconds) }
    }

    /// A locked source this long silent may be followed to another port of its address.
    public var relockSilence: Duration {
        get { .nanoseconds(Int64(clamping: silence)) }
        set { silence = UInt64(clamping: newValue.nanoseconds) }
    }
}

/// Decides whose RTP a leg accepts, and so where the other side's media goes (latching, RFC 7362 §4, made strict).
///
/// 1. Before `expect` nothing is accepted: the endpoint has not been told our address, or we do not know its.
/// 2. The address of the SDP locks with its first packet, also against a source that was merely learnt.
/// 3. Another source is learnt only from the IP address of the SDP or of the signalling. It must send `run` consecutive
///    packets of one SSRC; and where those two IP addresses are equal, so that no NAT was seen, it must have been heard for
///    `learningHoldOff` while the SDP address was not.
/// 4. While two sources that could be learnt send, neither is: each that appears starts the other over and holds both off
///    for `learningHoldOff`. Whoever wants to take over the audio can thus delay it, but not have it.
/// 5. A locked source stays. Silent for `relockSilence`, another port of the same IP address may be learnt, by a run; the
///    old address is still accepted until then.
/// 6. A new SDP address leaves the old source accepted until rules 2 to 4 give another one; then only that one. By rules 3
///    and 4 it is replaced only once it has been silent for 200 ms: a peer that has moved sends from one place. The latest
///    SDP address counts, so of several answers to a forked request the last one.
/// 7. `SourceOptions` narrow or widen this as an operator says: no learning at all; media to the SDP address although the
///    peer sends from elsewhere; media to the SDP address before the lock where that is the signalling host itself.
/// 8. An SDP address of 0.0.0.0 (hold) names none: what was announced before stays.
///
/// Datagrams that are no RTP have neither sequence nor SSRC: for them a run is packets of one source with none of another
/// contender between.
///
/// What no relay can tell apart is a peer and an attacker at the peer's own IP address (or behind its NAT) that sends what
/// the peer would. If both send, a peer at its SDP address is heard and the attacker is not (2, 5); of two that would have
/// to be learnt neither is heard while both send (4): no media is bled or injected, but the call has none from that side. If
/// the attacker alone sends, before the peer has or after its silence, it passes for the peer until the peer is heard from
/// its SDP address (2), or a new offer names another one.
///
/// Everything not accepted is a stranger. Time is monotonic nanoseconds; no call allocates.
struct SourceLock: Sendable, BitwiseCopyable {
    enum Decision: UInt8, Sendable, BitwiseCopyable {
        case reject
        case accept
        /// Accepted, and `source` is another one than before.
        case lock
    }

    /// Where media comes from and goes to; meaningful while `isLocked`.
    var source = SourceLock.nowhere
    var isExpecting = false
    var isLocked = false
    /// True while a new SDP address waits for its first packet and the old source is still accepted.
    var isReplacing = false
    /// True when the socket may hear `source` alone: nobody else could still win. A source that was merely learnt must stay
    /// open to rule 2, unless the SDP address is a private one behind a public signalling address and can never reach us.
    var mayConnect = false
    /// The address of the SDP; meaningful while `isExpecting`.
    var announced = SourceLock.nowhere
    var options: SourceOptions = []
    /// Media may go to the SDP address before the lock: `opensAtOnce`, and both addresses are one host's.
    var isOpenToAnnounced = false
    /// Somebody wants the place: the candidate that every packet comes with says who.
    var hasCandidate = false
    var signalling = IPAddress(ipv4: 0)
    /// When the locked source was last heard.
    var lastHeard: UInt64 = 0
    /// No run counts before this time.
    var contestedUntil: UInt64 = 0

    static let nowhere = SocketAddress(ip: IPAddress(ipv4: 0), port: 0)

    init() {}

    /// True when media is sent to the address its SDP announced.
    var isLockedToAnnounced: Bool { isLocked && isSame(source, announced) }

    /// Where media is sent; meaningful while `isLocked` or `isOpenToAnnounced`.
    var destination: SocketAddress { isLocked && !options.contains(.asymmetric) ? source : announced }

    /// Learns what SDP and signalling say.
    ///
    /// - Returns: true when strangers to the present source must be heard again, so it must not stay connected.
    mutating func expect(rtp offered: SocketAddress, signalling: IPAddress, options: SourceOptions = []) -> Bool {
        self.options = options
        defer { isOpenToAnnounced = options.contains(.opensAtOnce) && isSame(announced.ip, signalling) && announced.port != 0 }
        let rtp = isExpecting && offered.ip.isUnspecified ? announced : offered
        let isChanged = !isExpecting || !isSame(rtp, announced) || !isSame(signalling, self.signalling)
        isExpecting = true
        guard isChanged else { return false }
        announced = rtp
        self.signalling = signalling
        hasCandidate = false
        contestedUntil = 0
        isReplacing = isLocked && !isSame(source, rtp)
        mayConnect = isLocked && !isReplacing && !options.contains(.asymmetric)
        return isReplacing
    }

    /// One well-formed RTP packet that came from `from`.
    ///
    /// - Parameter candidate: the leg's, the same with each packet; looked at, and written, only where another source than the
    ///   locked one may become it.
    @inline(always)
    mutating func receive(
        from: SocketAddress, sequenceNumber: UInt16, ssrc: UInt32, now: UInt64, policy: LockPolicy,
        candidate: inout SourceCandidate
    ) -> Decision {
        if isLocked && isSame(from, source) {
            lastHeard = now
            return .accept
        }
        return decide(from: from, sequenceNumber: sequenceNumber, ssrc: ssrc, now: now, policy: policy, candidate: &candidate)
    }

    /// One datagram that is no RTP: it counts as the next of its source's run.
    mutating func receiveDatagram(
        from: SocketAddress, now: UInt64, policy: LockPolicy, candidate: inout SourceCandidate
    ) -> Decision {
        receive(
            from: from, sequenceNumber: hasCandidate ? candidate.next : 0, ssrc: hasCandidate ? candidate.ssrc : 0, now: now,
            policy: policy, candidate: &candidate)
    }

    /// One packet of media on a socket that hears the locked source alone.
    @inline(always)
    mutating func receiveConnected(now: UInt64) { lastHeard = now }

    /// The locked source was heard then, too, by somebody else.
    mutating func heard(at time: UInt64) { lastHeard = max(lastHeard, time) }

    @inline(never)
    mutating func decide(
        from: SocketAddress, sequenceNumber: UInt16, ssrc: UInt32, now: UInt64, policy: LockPolicy,
        candidate: inout SourceCandidate
    ) -> Decision {
        guard isExpecting else { return .reject }
        if isSame(from, announced) { return lock(to: from, now: now) }
        guard !options.contains(.announcedOnly) else { return .reject }

        let isFollowing = isLocked && !isReplacing
        if isFollowing {
            guard isSilent(now: now, policy: policy), isSame(from.ip, source.ip) else { return .reject }
        } else {
            guard isSame(from.ip, announced.ip) || isSame(from.ip, signalling) else { return .reject }
        }

        if hasCandidate && !isSame(from, candidate.source) {
            // Two want the place. A candidate that fell silent long ago contests nothing.
            if now &- candidate.last < policy.holdOff { contestedUntil = now &+ policy.holdOff }
            candidate = SourceCandidate(from, ssrc: ssrc, now: now)
        } else if hasCandidate && ssrc == candidate.ssrc && sequenceNumber == candidate.next {
            candidate.run &+= 1
        } else if hasCandidate && ssrc == candidate.ssrc {
            candidate.run = 1  // a gap: the run starts over, the time it has been heard goes on
        } else {
            candidate = SourceCandidate(from, ssrc: ssrc, now: now)
            hasCandidate = true
        }
        candidate.next = sequenceNumber &+ 1
        candidate.last = now
        if now < contestedUntil {
            // What is heard while contested counts for nobody.
            candidate.run = 1
            candidate.since = now
            return .reject
        }

        let needsHoldOff = !isFollowing && isSame(announced.ip, signalling)
        guard candidate.run >= policy.run, !needsHoldOff || now &- candidate.since >= policy.holdOff else { return .reject }
        // The old source still speaks: the peer has not moved.
        if isReplacing && now &- lastHeard < policy.replacementQuiet { return .reject }
        return lock(to: from, now: now)
    }

    /// True when the locked source has been silent so long that another port may follow it.
    func isSilent(now: UInt64, policy: LockPolicy) -> Bool {
        isLocked && now > lastHeard && now &- lastHeard >= policy.silence
    }

    private mutating func lock(to address: SocketAddress, now: UInt64) -> Decision {
        source = address
        isLocked = true
        isReplacing = false
        mayConnect =
            isSame(address, announced) || (announced.ip.isPrivate && !signalling.isPrivate && !options.contains(.asymmetric))
        lastHeard = now
        hasCandidate = false
        return .lock
    }
}

/// A source that is none yet and may become a leg's. Apart from the lock, since most legs never have one.
struct SourceCandidate: Sendable, BitwiseCopyable {
    var source: SocketAddress
    /// Packets in a row.
    var run: UInt32 = 1
    var ssrc: UInt32
    /// The sequence number that its run goes on with.
    var next: UInt16 = 0
    /// Since when it has been heard, and when last.
    var since: UInt64
    var last: UInt64

    init(_ source: SocketAddress = SourceLock.nowhere, ssrc: UInt32 = 0, now: UInt64 = 0) {
        self.source = source
        self.ssrc = ssrc
        since = now
        last = now
    }
}

/// Decides whose RTCP a leg accepts, and where the other side's RTCP goes.
///
/// 1. The RTCP address of the SDP is accepted once it is expected.
/// 2. Once RTP is locked to another source than its SDP's, that is behind NAT, its IP address is accepted from any port when
///    the sender's SSRC is the one RTP is heard with. Such a source stays until RTP moves or the SDP address is heard.
/// 3. RTCP is sent to the source so locked; or, when RTP is locked to its SDP address, to the RTCP address of that SDP,
///    because both are the same peer.
///
/// Who shares the NAT of a peer and knows its SSRC can so take the place of its reports, never of its media.
struct ControlSourceLock: Sendable, BitwiseCopyable {
    var source = SourceLock.nowhere
    var isLocked = false
    var announced = SourceLock.nowhere

    init() {}

    mutating func expect(_ rtcp: SocketAddress) {
        if !rtcp.ip.isUnspecified { announced = rtcp }
    }

    /// RTP is locked to another source than before: a learnt RTCP source went with the old one.
    mutating func mediaMoved() {
        if isLocked && !isSame(source, announced) { isLocked = false }
    }

    /// One well-formed RTCP packet from `from`; `mediaSSRC` is what the leg's RTP was last heard with.
    mutating func receive(
        from: SocketAddress, senderSSRC: UInt32, media: SourceLock, mediaSSRC: UInt32?
    ) -> Bool {
        guard media.isExpecting else { return false }
        if isLocked && isSame(from, source) { return true }
        let isAnnounced = isSame(from, announced)
        let isMediaPeer =
            !isLocked && media.isLocked && !media.isLockedToAnnounced && isSame(from.ip, media.source.ip)
            && senderSSRC == mediaSSRC
        guard isAnnounced || isMediaPeer else { return false }
        source = from
        isLocked = true
        return true
    }

    /// Where to send; nil when nobody may be sent to.
    func destination(media: SourceLock) -> SocketAddress? {
        if isLocked { return source }
        return media.isLockedToAnnounced ? announced : nil
    }
}

/// Equality that is compiled in place: the synthesised one of another module is a call.
@inline(always)
func isSame(_ left: SocketAddress, _ right: SocketAddress) -> Bool { left.port == right.port && isSame(left.ip, right.ip) }

@inline(always)
func isSame(_ left: IPAddress, _ right: IPAddress) -> Bool {
    guard left.low == right.low, left.high == right.high else { return false }
    switch (left.family, right.family) {
    case (.ipv4, .ipv4), (.ipv6, .ipv6): return true
    default: return false
    }
}
