import Configuration
import Core
import Relay
import SIP

/// The media of a call beyond its main one: a relay session each, taken when a description asks for it and given back when one
/// ends it.
///
/// The main medium, the first audio that was agreed on, or without audio the first of any kind, lives as long as its call: its
/// session is what a call begins and ends with, and what the record tells of. The others come and go. A description that asks
/// for more than there are sessions or ports for is not refused: what cannot be had is declined.
extension CallControl {
    /// Of one call, the main medium included.
    static let maximumMedia = 8

    /// A session beside the main one of its call, until the worker has closed it.
    struct FurtherSession {
        let call: CallNumber
        let taken: MediaSessions.Taken
        /// It is to be closed as soon as it is open.
        var isAbandoned = false
    }

    // MARK: To open

    /// Takes a session for each medium of a description that is wanted and has none, besides the main one at `mainPlace`.
    mutating func openFurtherMedia(
        of description: SessionDescription, by leg: Leg, besides mainPlace: Int?, _ call: Call, _ number: CallNumber, now: Instant
    ) {
        guard description.media.count > 1, !call.isDirect else { return }
        let filters = Self.filters(of: call.callerTrunk, call.calleeTrunk)
        let family = call.main[leg].address?.ip.family
        for (place, medium) in description.media.enumerated()
        where place != mainPlace && medium.port != 0 && medium.isRelayable && medium.hasCodec(passing: filters) {
            let known = call.furtherNumbers.first { call[medium: $0].place == place }
            if let known, call[medium: known].taken != nil || call[medium: known].openAttempts >= Self.maximumOpenAttempts {
                continue
            }
            // The sockets of a leg are all of one family.
            let isReachable = medium.connection.map { $0.isUnspecified || $0.family == family ?? $0.family } ?? true
            guard isReachable, call.openMediaCount < Self.maximumMedia else {
                counters.add(to: .mediaDeclined)
                continue
            }
            if known == nil { call.further = call.further + [CallMedium(place: place)] }
            openFurther(known ?? call.further.count, of: call, number, now: now)
        }
    }

    private mutating func openFurther(_ medium: Int, of call: Call, _ number: CallNumber, now: Instant) {
        guard case .success(let taken) = takeSession(of: call, now: now) else { return counters.add(to: .mediaDeclined) }
        call[medium: medium].take(taken)
        furtherSessions[taken.session] = FurtherSession(call: number, taken: taken)
        openSession(taken, of: call)
    }

    mutating func takeSession(of call: Call, now: Instant) -> Result<MediaSessions.Taken, MediaSessions.Shortage> {
        media.take(caller: mediaAddresses(.caller, of: call).address, callee: mediaAddresses(.callee, of: call).address, now: now)
    }

    /// Asks a worker for the sockets.
    mutating func openSession(_ taken: MediaSessions.Taken, of call: Call) {
        let (caller, callee) = (mediaAddresses(.caller, of: call).address, mediaAddresses(.callee, of: call).address)
        output(
            .relay(
                .open(
                    taken.session, caller: SocketAddress(ip: caller, port: taken.callerPort),
                    callee: SocketAddress(ip: callee, port: taken.calleePort))))
    }

    // MARK: The relay's answers

    mutating func mediaOpened(_ session: SessionID, now: Instant) {
        if let number = callsBySession[session] {
            calls[number]?.main.isOpen = true
            return mediaReady(number, now: now)
        }
        guard let further = furtherSessions[session] else { return }
        guard !further.isAbandoned, let call = calls[further.call], let medium = call.medium(of: session) else {
            return output(.relay(.close(session)))
        }
        call[medium: medium].isOpen = true
        call[medium: medium].openAttempts = 0
        mediaReady(further.call, now: now)
    }

    /// True when the session was one beside the main one of a call.
    mutating func furtherOpenFailed(_ session: SessionID, now: Instant) -> Bool {
        guard let further = furtherSessions.removeValue(forKey: session) else { return false }
        media.giveBackRefused(further.taken, now: now)
        guard !further.isAbandoned, let call = calls[further.call], let medium = call.medium(of: session) else { return true }
        call[medium: medium].taken = nil
        if call[medium: medium].openAttempts < Self.maximumOpenAttempts {
            openFurther(medium, of: call, further.call, now: now)
        } else {
            counters.add(to: .mediaDeclined)
        }
        mediaReady(further.call, now: now)
        return true
    }

    /// True when the session was one beside the main one of a call.
    mutating func furtherClosed(_ session: SessionID, now: Instant) -> Bool {
        guard let further = furtherSessions.removeValue(forKey: session) else { return false }
        media.giveBack(further.taken, now: now)
        return true
    }

    /// What waited for sockets goes on once all are there.
    private mutating func mediaReady(_ number: CallNumber, now: Instant) {
        guard let call = calls[number], !call.awaitsMedia else { return }
        if call.machine.media == .opening { return enqueue(.mediaOpened, for: number) }
        if !call.awaitsPRACK { takeDeferredAnswers(of: number, call, now: now) }
        resumeChange(number, now: now)
    }

    // MARK: To end

    /// Closes the sessions of media that one of the sides no longer has, after an agreement or when none was reached. Until the
    /// call is answered another branch may still take what the INVITE offers.
    mutating func endUnwantedMedia(of call: Call) {
        for number in call.furtherNumbers where call[medium: number].taken != nil {
            let place = call[medium: number].place
            func has(_ description: SessionDescription?) -> Bool {
                description.map { place < $0.media.count && $0.media[place].port != 0 } ?? false
            }
            let isAgreed = has(call[.caller].description) && has(call[.callee].description)
            if !isAgreed, call.machine.winner != nil || !has(call.offer) { closeFurther(number, of: call) }
        }
    }

    mutating func closeFurtherMedia(of call: Call) {
        for number in call.furtherNumbers where call[medium: number].taken != nil { closeFurther(number, of: call) }
    }

    private mutating func closeFurther(_ number: Int, of call: Call) {
        guard let session = call[medium: number].session else { return }
        if call[medium: number].isOpen {
            output(.relay(.close(session)))
        } else {
            furtherSessions[session]?.isAbandoned = true
        }
        call[medium: number].leave(media)
        for leg in Leg.allCases { call[medium: number][leg].forgetDescription() }
    }

    // MARK: The main one

    /// The medium at this place is the main one from now on: the callee has declined the one that was to be it.
    mutating func makeMain(_ place: Int, of call: Call, _ number: CallNumber) {
        guard place != call.main.place else { return }
        defer { call[.caller].mediumIndex = place }
        guard let other = call.furtherNumbers.first(where: { call[medium: $0].place == place }),
            let session = call[medium: other].session, let further = furtherSessions.removeValue(forKey: session)
        else {
            call.main.place = place
            return
        }
        if let former = call.main.taken {
            callsBySession[former.session] = nil
            furtherSessions[former.session] = FurtherSession(call: number, taken: former)
        }
        callsBySession[further.taken.session] = number
        var others = call.further
        others[other - 1] = call.main
        call.main = call[medium: other]
        call.further = others
    }

    /// Where the main medium is in an offer within the call. It goes to another `m=` line when its own one ends and that one has
    /// no session yet, as where fax takes the place of audio.
    func mainPlace(in offer: SessionDescription, of call: Call) -> Int? {
        let place = call.main.place
        let isThere = offer.media.indices.contains(place)
        if isThere, offer.media[place].port != 0, offer.media[place].isRelayable { return place }
        guard let leading = Self.relayedMedium(of: offer) else { return nil }
        if isThere, call.further.contains(where: { $0.place == leading && $0.taken != nil }) { return place }
        return leading
    }

    /// The `m=` line of an answer that is the call's main medium: as offered, else the first audio that is accepted, else
    /// whatever is.
    func acceptedMain(in answer: SessionDescription, of call: Call) -> Int {
        let place = call.main.place
        guard answer.media.indices.contains(place), answer.media[place].port == 0 else { return place }
        let accepted = answer.media.indices.filter { index in
            let medium = answer.media[index]
            return medium.isRelayable && medium.port != 0
                && (call.isDirect || call.further.contains { $0.place == index && $0.isOpen })
        }
        return accepted.first { answer.media[$0].isRTP && answer.media[$0].kind.lowercased() == "audio" } ?? accepted.first ?? place
    }
}

extension Call {
    func medium(of session: SessionID) -> Int? { mediumNumbers.first { self[medium: $0].session == session } }
}
