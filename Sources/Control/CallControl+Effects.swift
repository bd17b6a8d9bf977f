import Configuration
import ControlProtocol
package import Core
import Diagnosis
import Relay
import SIP

/// What a call's state machine wants done, its media session, and its end.
extension CallControl {
    mutating func carryOut(_ effect: BackToBackCall.Effect, for call: Call, now: Instant) {
        switch effect {
        case .inviteCallee: placeNextAttempt(of: call, now: now)
        case .attemptFailed(let id, let failure): attemptFailed(id, failure, of: call, now: now)
        case .cancelCallee(let id): cancelBranch(id, of: call, now: now)
        case .acknowledgeCallee(let id): acknowledgeBranch(id, of: call, now: now)
        case .hangUpBranch(let id): hangUpBranch(id, of: call, now: now)
        case .relayProvisional(let id, let status): relayProvisional(status, from: id, to: call, now: now)
        case .answerCaller: answerCaller(call, now: now)
        case .rejectCaller(let status): rejectCaller(status, call, now: now)
        case .sendBye(let leg): sendBye(leg, of: call, now: now)
        case .connected: callConnected(call, now: now)
        case .closeMedia:
            if let session = call.main.session { output(.relay(.close(session))) }
            closeFurtherMedia(of: call)
            if directCalls.remove(call.number) != nil { enqueue(.mediaClosed, for: call.number) }
        case .writeRecord: writeRecord(of: call, now: now)
        case .forget: forget(call, now: now)
        }
    }

    private mutating func callConnected(_ call: Call, now: Instant) {
        counters.add(to: .callsAnswered)
        call.answerAt = now
        if !call.isDirect { call.activity = MediaActivity(connectedAt: now) }
        monitored.insert(call.number)
        startTimers(of: call, now: now)
        listenForDigits(of: call)
        scheduleTimer(of: call)
        if nextSweep == nil { nextSweep = now + Self.sweepInterval }
        emit(.callAnswered, for: call, now: now)
    }

    private mutating func listenForDigits(of call: Call) {
        guard let session = call.main.session else { return }
        for leg in Leg.allCases {
            let trunk = leg == .caller ? call.callerTrunk : call.calleeTrunk
            if trunk?.inBandDTMF ?? configuration.media.inBandDTMF { output(.relay(.listen(session, leg, isOn: true))) }
        }
    }

    /// The first reason to end a call was found: its figures stop here.
    mutating func callReleased(_ call: Call, _ release: BackToBackCall.Release, now: Instant) {
        counters.add(to: .callsReleased)
        if release.cause == .noMedia { counters.add(to: .callsReleasedNoMedia) }
        monitored.remove(call.number)
        observe(call)
        call.activity?.account(until: now)
        call.releaseAt = now
        endMidDialog(of: call, now: now)
        for index in call.branches.indices { call.branches[index].setupTimer = nil }
        emit(
            .callReleased, for: call,
            [
                "cause": release.cause.rawValue, "status": "\(release.status)", "ended_by": release.party.rawValue,
                "duration_seconds": "\(call.answerAt.map { (now - $0).nanoseconds / 1_000_000_000 } ?? 0)",
            ], now: now)
    }

    // MARK: The relay's answers

    mutating func mediaOpenFailed(_ session: SessionID, errno: Int32, address: SocketAddress, now: Instant) {
        if furtherOpenFailed(session, now: now) { return }
        guard let number = callsBySession.removeValue(forKey: session), let call = calls[number] else { return }
        returnMedia(of: call, isRefused: true, now: now)
        if call.main.openAttempts < Self.maximumOpenAttempts, call.machine.release == nil {
            openMedia(of: call, now: now)
        } else if call.machine.release == nil {
            refuseMedia(of: call, .portsExhausted)
        } else {
            closeFurtherMedia(of: call)
            enqueue(.mediaClosed, for: number)
        }
    }

    mutating func mediaClosed(_ session: SessionID, now: Instant) {
        if furtherClosed(session, now: now) { return }
        guard let number = callsBySession.removeValue(forKey: session), let call = calls[number] else { return }
        for leg in Leg.allCases { call.main[leg].evidence = media.evidence(of: session, leg) }
        returnMedia(of: call, isRefused: false, now: now)
        enqueue(.mediaClosed, for: number)
    }

    private mutating func returnMedia(of call: Call, isRefused: Bool, now: Instant) {
        if let taken = call.main.taken {
            if isRefused { media.giveBackRefused(taken, now: now) } else { media.giveBack(taken, now: now) }
        }
        call.main.taken = nil
        call.main.isOpen = false
    }

    mutating func sourceLocked(_ session: SessionID, _ leg: Leg, _ source: SocketAddress, now: Instant) {
        guard let number = callsBySession[session] ?? furtherSessions[session]?.call, let call = calls[number],
            let medium = call.medium(of: session)
        else { return }
        call[medium: medium][leg].lockedSource = source
        call[medium: medium][leg].firstAt = call[medium: medium][leg].firstAt ?? now
        var fields: EventFields = [
            "leg": "\(leg)", "source": source.description, "sdp": call[medium: medium][leg].address?.description ?? "",
        ]
        if medium > 0 { fields["medium"] = mediumName(medium, of: call) }
        emit(.mediaLocked, for: call, fields, now: now)
    }

    // MARK: Silence

    /// Takes in when each leg was last heard.
    private mutating func observe(_ call: Call) {
        guard let session = call.main.session else { return }
        call.activity?.observe(
            caller: media.activity.last(session.index, .caller), callee: media.activity.last(session.index, .callee))
        // A party is heard as long as one of its media is.
        for medium in call.furtherNumbers {
            call.activity?.observe(
                caller: lastHeard(.caller, call[medium: medium]), callee: lastHeard(.callee, call[medium: medium]))
        }
    }

    mutating func lastHeard(_ leg: Leg, _ medium: CallMedium) -> Instant? {
        medium.session.flatMap { media.activity.last($0.index, leg) }
    }

    /// Looks at every connected call: those that have been silent for their own timeout are released.
    mutating func sweep(now: Instant) {
        var silent: [CallNumber] = []
        for number in monitored {
            guard let call = calls[number], call.hasHoldChanged || call.activityDue <= now else { continue }
            observe(call)
            if call.hasHoldChanged {
                call.hasHoldChanged = false
                call.activity?.restart(at: now)
            }
            guard var activity = call.activity else { continue }
            if now - activity.accountedUntil >= MediaActivity.accountInterval { activity.account(until: now) }
            call.activity = activity
            if isSilent(call, activity, at: now) { silent.append(number) }
            // In between, a call can neither have been silent for long enough nor have something to account.
            let account = activity.accountedUntil + MediaActivity.accountInterval
            call.activityDue = min(account, activity.earliestEnd(call.noMedia) ?? account)
        }
        // In the order they came: a set has none, and one seed has to give one run.
        for number in silent.sorted(by: { $0.rawValue < $1.rawValue }) {
            guard let call = calls[number], let activity = call.activity else { continue }
            emit(
                .mediaSilent, for: call,
                [
                    "caller_silence_seconds": "\(activity.silence(of: .caller, at: now).components.seconds)",
                    "callee_silence_seconds": "\(activity.silence(of: .callee, at: now).components.seconds)",
                ], now: now)
            enqueue(.release(cause: .noMedia, status: 200, party: .relayd), for: number)
        }
    }

    private mutating func isSilent(_ call: Call, _ activity: MediaActivity, at now: Instant) -> Bool {
        // Ahead for nearly every call in every sweep: then nothing else has to be looked at.
        guard let earliest = activity.earliestEnd(call.noMedia), earliest <= now else { return false }
        var rule = call.noMedia
        // While a fax sends a page the other machine listens, for minutes if need be.
        if rule.mode != .off, call.main[.caller].described?.isRTP == false { rule.mode = .both }
        let end = activity.silenceEnds(
            rule, caller: mediaState(.caller, of: call), callee: mediaState(.callee, of: call))
        return end.map { $0 <= now } ?? false
    }

    /// What `leg` said last about its media, and whether its silence is meant.
    func mediaState(_ leg: Leg, of call: Call) -> LegMediaState {
        guard let session = call.main.session else { return LegMediaState() }
        let holds = call.isHeld(by: leg)
        if media.statistics.isInComfortNoise(session.index, leg) { return LegMediaState(holds: holds, mayBeSilent: true) }
        guard let offer = call.main[.caller].described, let answer = call.main[.callee].described else {
            return LegMediaState(holds: holds)
        }
        let payloadType = media.statistics[session.index, leg].payloadType
        return LegMediaState(
            holds: holds,
            mayBeSilent: SilenceSuppression.isNegotiated(offer: offer, answer: answer, payloadType: payloadType))
    }

    /// Ends one call for an operator; false when there is no such call, or it has ended already.
    package mutating func hangUp(_ id: String, now: Instant) -> Bool {
        guard let number = ShortID(asked: id).flatMap({ callsByID[$0] }), calls[number]?.machine.release == nil else {
            return false
        }
        enqueue(.release(cause: .operatorHangup, status: 480, party: .operator), for: number)
        drain(now)
        return true
    }

    // MARK: The end

    private mutating func writeRecord(of call: Call, now: Instant) {
        guard let release = call.machine.release else { return }
        vacateTrunks(of: call)
        vacateSource(of: call)
        if let answerAt = call.answerAt { call.chosenBranch?.target.state?.countEnd(after: (call.releaseAt ?? now) - answerAt) }
        let releaseAt = call.releaseAt ?? now
        let facts = Boxed(facts(of: call, now: now))
        call.finalFacts = facts
        let callIDs = (caller: call.caller.callID, callee: call.calleeCallID)
        call.recordedCallIDs = callIDs
        let (verdict, explanation) = Diagnosis.ofRecord(facts, messages: call.ladder.messages)
        // In one step, as its facts.
        let record = CallRecord(
            id: call.recordID, callerCallID: callIDs.caller, calleeCallID: callIDs.callee,
            callerTrunk: call.callerTrunk?.name, calleeTrunk: call.calleeTrunk?.name,
            callerNumber: call.callerNumber, calledNumber: call.calledNumber, callerAddress: call.source.remote,
            calleeAddress: call.calleeAddress?.remote, setupAt: wallTime(call.setupAt),
            ringAt: call.ringAt.map(wallTime), answerAt: call.answerAt.map(wallTime), releaseAt: wallTime(releaseAt),
            durationMilliseconds: call.answerAt.map { (releaseAt - $0).milliseconds } ?? 0,
            talkSeconds: Self.roundedSeconds(call.activity?.talk), deadAirSeconds: Self.roundedSeconds(call.activity?.deadAir),
            fromCaller: direction(.caller, of: call), fromCallee: direction(.callee, of: call), cause: release.cause,
            sipCode: release.status, q850: q850(of: call, release), endedBy: release.party,
            noMediaTimeoutSeconds: call.noMedia.isOff ? 0 : Int(call.noMedia.timeout.nanoseconds / 1_000_000_000),
            verdict: verdict, explanation: explanation)
        if configuration.hep.address != nil { rtpReports += makeRTPReports(of: call, now: now) }
        output(.record(record))
        call.shed()
    }

    private mutating func direction(_ leg: Leg, of call: Call) -> CallRecord.Direction {
        var direction = CallRecord.Direction()
        var digits = CallRecord.Digits(info: call[leg].dtmfRequests)
        if let evidence = call.main[leg].evidence {
            direction = CallRecord.Direction(
                packets: evidence.statistics.packets, octets: evidence.statistics.octets, lost: evidence.statistics.lost,
                lastMediaAt: evidence.statistics.lastPacket.map(wallTime))
            direction.add(evidence.statistics)
            digits.events = Int(evidence.statistics.telephoneEvents)
            digits.tones = Int(evidence.statistics.inBandDigits)
        }
        if digits.count > 0 { direction.digits = digits }
        return direction
    }

    private static func roundedSeconds(_ duration: Duration?) -> Int { Int(((duration ?? .zero).inSeconds).rounded()) }

    /// The other side's own Q.850 cause when it named one in a Reason header.
    private func q850(of call: Call, _ release: BackToBackCall.Release) -> Int {
        var reasons: [String] = []
        if let reason = call.receivedReason { reasons.append(reason) }
        if release.cause == .rejected, let reason = call.calleeResponse?.text(.reason) { reasons.append(reason) }
        for reason in reasons where reason.lowercased().hasPrefix("q.850") {
            for parameter in reason.split(separator: ";") {
                let parts = parameter.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " } }
                if parts.count == 2, parts[0].lowercased() == "cause", let value = Int(parts[1]), (1...127).contains(value) {
                    return value
                }
            }
        }
        return release.cause.q850(status: release.status)
    }

    mutating func forget(_ call: Call, now: Instant) {
        guard call.abandonedChanges.isEmpty else { return call.isForgetDue = true }
        guard calls.removeValue(forKey: call.number) != nil else { return }
        giveBackPlace(of: call)
        endedCalls.add(evidence(of: call, now: call.releaseAt ?? call.setupAt))
        callsByID[ShortID(call.id)] = nil
        for key in call.dialogKeys { callsByDialog[key] = nil }
    }
}
