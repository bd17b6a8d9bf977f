import Core
import RTP
import Relay
import SIP

/// One medium of a call that is relayed: an `m=` line, its relay session, and what both sides say of it. A reference, as `Call`
/// is; its call holds it.
final class CallMedium {
    /// Of one side.
    final class Party {
        /// What its latest description says of this medium.
        private(set) var described: SessionDescription.Media?
        /// By `described` it has the other side on hold.
        private(set) var isHold = false
        /// What the payload types of `described` stand for.
        private(set) var formats: PayloadFormats?
        /// Where it wants its media.
        var address: SocketAddress?
        /// Where its media comes from.
        var lockedSource: SocketAddress?
        /// When its source was locked first.
        var firstAt: Instant?
        /// What the relay has measured, once the session is closed.
        var evidence: MediaEvidence?

        /// Of which `formats` was made.
        private var payloads: [SessionDescription.Payload] = []

        func describe(_ media: SessionDescription.Media) {
            // One description is taken in several times.
            if media === described { return }
            if formats == nil || media.payloads != payloads { (formats, payloads) = (PayloadFormats(media), media.payloads) }
            isHold = media.isHold
            described = media
        }

        func forgetDescription() { (described, formats, isHold) = (nil, nil, false) }
    }

    /// Which `m=` line it is in every description of the call (RFC 3264 §8).
    var place: Int
    var taken: MediaSessions.Taken?
    /// The worker has its sockets.
    var isOpen = false
    /// Since it was open last.
    var openAttempts = 0
    /// relayd's RTP ports, known also after the session was closed.
    private(set) var ports: (caller: UInt16, callee: UInt16) = (0, 0)
    /// Offer and answer agreed on RTCP on the RTP port (RFC 5761 §5.1.1).
    var isRTCPMuxed = false
    private let caller = Party()
    private let callee = Party()

    init(place: Int) { self.place = place }

    subscript(leg: Leg) -> Party { leg == .caller ? caller : callee }

    var session: SessionID? { taken?.session }

    /// Its session waits for its sockets.
    var isOpening: Bool { taken != nil && !isOpen }

    /// relayd's RTP port towards `leg`.
    func port(of leg: Leg) -> UInt16 { leg == .caller ? ports.caller : ports.callee }

    func take(_ taken: MediaSessions.Taken) {
        self.taken = taken
        ports = (taken.callerPort, taken.calleePort)
        isOpen = false
        openAttempts += 1
    }

    /// It was open, and is no longer.
    func leave(_ media: MediaSessions) {
        if let session {
            for leg in Leg.allCases {
                self[leg].evidence = media.evidence(of: session, leg)
                self[leg].lockedSource = nil
            }
        }
        taken = nil
        isOpen = false
        openAttempts = 0
    }
}

extension Call {
    /// By number: 0 is the main medium, the others are `further`. A medium keeps its number.
    subscript(medium number: Int) -> CallMedium { number == 0 ? main : further[number - 1] }

    var mediumNumbers: Range<Int> { 0..<1 + further.count }

    /// Those beside the main one.
    var furtherNumbers: Range<Int> { 1..<1 + further.count }

    /// Which `m=` line the medium of that number is where the main one is at `mainPlace`.
    func place(of number: Int, main mainPlace: Int?) -> Int? { number == 0 ? mainPlace : further[number - 1].place }

    /// Some medium waits for its sockets.
    var awaitsMedia: Bool { main.isOpening || further.contains(where: \.isOpening) }

    var openMediaCount: Int { mediumNumbers.count { self[medium: $0].taken != nil } }

    /// Takes in what one side says of a medium, now and whenever it says so anew.
    func describe(_ media: SessionDescription.Media, _ number: Int, by leg: Leg) {
        let party = self[medium: number][leg]
        // Of several media any change may be one of hold.
        let mayChangeHold = party.isHold != media.isHold || !further.isEmpty
        let wasHeld = mayChangeHold && isHeld
        party.describe(media)
        if mayChangeHold, isHeld != wasHeld { hasHoldChanged = true }
    }

    /// One of the sides has the call on hold.
    var isHeld: Bool { isHeld(by: .caller) || isHeld(by: .callee) }

    /// All its audio is on hold; of a side without audio, all there is. A camera that is off holds nobody.
    func isHeld(by leg: Leg) -> Bool {
        guard !further.isEmpty else { return main[leg].isHold }
        let active = mediumNumbers.compactMap { self[medium: $0][leg].described }.filter { $0.port != 0 }
        let audio = active.filter { $0.kind.lowercased() == "audio" }
        let decisive = audio.isEmpty ? active : audio
        return !decisive.isEmpty && decisive.allSatisfy(\.isHold)
    }
}
