import Configuration
import Core
import RTP
import Relay
import SIP

/// Digits on their way from one leg to the other: by INFO where they came as telephone-event (RFC 4733), and the other way
/// round, as the trunks' `dtmf` says.
extension CallControl {
    /// What happens to the digits that one leg sends.
    struct DigitRoute: Equatable {
        /// INFO becomes this event; nil: INFO passes.
        var eventForInfo: SessionDescription.Payload?
        /// Telephone-events become INFO; else they pass.
        var sendsInfo = false
    }

    /// Digits that wait for an answer to the INFO before them, at most.
    private static let maximumWaitingDigits = 32
    /// A leg that was heard within this time has a stream that events can be put into.
    private static let streamLimit = Duration.milliseconds(500)
    /// Of an event made from INFO. Shorter ones are not heard by many a machine, longer ones are a mistake.
    private static let eventDuration = 80...2_000
    private static let usualEventDuration = 160

    func digitRoute(from leg: Leg, of call: Call) -> DigitRoute {
        let source = dtmfMode(of: leg, call)
        let target = dtmfMode(of: leg.other, call)
        if source == .passthrough, target == .passthrough { return DigitRoute() }
        let medium = call.main[leg.other].described
        let events = medium?.telephoneEvents ?? []
        var route = DigitRoute()
        if target == .telephoneEvent || (target == .passthrough && source == .info) {
            let rate = medium?.payloads.first { !$0.isTelephoneEvent && !$0.isComfortNoise }?.clockRate
            route.eventForInfo = events.first { $0.clockRate == rate } ?? events.first
        }
        route.sendsInfo = target == .info || (target == .passthrough && source == .telephoneEvent && medium != nil && events.isEmpty)
        return route
    }

    private func dtmfMode(of leg: Leg, _ call: Call) -> DTMFMode {
        (leg == .caller ? call.callerTrunk : call.calleeTrunk)?.dtmf ?? .passthrough
    }

    func convertsDigits(_ call: Call) -> Bool {
        dtmfMode(of: .caller, call) != .passthrough || dtmfMode(of: .callee, call) != .passthrough
    }

    /// Tells the relay whose telephone-events are to be reported and kept from the other side. After every description.
    mutating func treatDigits(of call: Call) {
        guard let session = call.main.session, convertsDigits(call) else { return }
        for leg in Leg.allCases {
            var treatment = MediaTreatment()
            if digitRoute(from: leg, of: call).sendsInfo {
                treatment.reportsDigits = true
                for event in call.main[leg].described?.telephoneEvents ?? [] { treatment.blockedPayloadTypes.insert(event.number) }
            }
            guard call.digits[leg, default: CallDigits()].treatment != treatment else { continue }
            call.digits[leg, default: CallDigits()].treatment = treatment
            output(.relay(.treat(session, leg, treatment)))
        }
    }

    // MARK: From INFO

    /// True when the digit of an INFO goes on as telephone-event; the INFO has its answer then.
    mutating func convertDigit(
        _ id: TransactionID, _ request: SIPMessage, from source: Flow, _ call: Call, _ leg: Leg, now: Instant
    ) -> Bool {
        guard let event = digitRoute(from: leg, of: call).eventForInfo, let digit = INFODigit(request),
            let session = call.main.session, let last = media.activity.last(session.index, leg), now - last < Self.streamLimit
        else { return false }
        let milliseconds = digit.milliseconds.map { min(max($0, Self.eventDuration.lowerBound), Self.eventDuration.upperBound) }
        let ticks = (milliseconds ?? Self.usualEventDuration) * (event.clockRate ?? 8_000) / 1_000
        output(
            .relay(
                .sendEvent(
                    session, leg,
                    TelephoneEventSender.Event(code: digit.code, payloadType: event.number, duration: UInt16(clamping: ticks)))))
        counters.add(to: .digitsFromInfo)
        call.digits[leg, default: CallDigits()].converted += 1
        respond(to: request, id, from: source, of: call, leg, status: 200, now: now)
        return true
    }

    // MARK: To INFO

    /// The relay has heard a whole key.
    mutating func digitHeard(_ session: SessionID, _ leg: Leg, code: UInt8, milliseconds: UInt16, now: Instant) {
        guard let number = callsBySession[session], let call = calls[number],
            let digit = INFODigit(code: code, milliseconds: Int(milliseconds))
        else { return }
        guard call.machine.isConnected, call.machine.release == nil,
            call.digits[leg, default: CallDigits()].waiting.count < Self.maximumWaitingDigits
        else { return counters.add(to: .digitsLost) }
        call.digits[leg, default: CallDigits()].waiting.append(digit)
        sendDigit(from: leg, of: number, call, now: now)
    }

    /// One INFO at a time: two under way could arrive the wrong way round, and digits make a number.
    private mutating func sendDigit(from leg: Leg, of number: CallNumber, _ call: Call, now: Instant) {
        guard var digits = call.digits[leg], digits.transaction == nil, !digits.waiting.isEmpty else { return }
        let digit = digits.waiting.removeFirst()
        digits.transaction = sendInDialog(
            .info, branch: newBranch(), of: number, leg.other, body: digit.relayBody, contentType: "application/dtmf-relay", now: now)
        digits.converted += 1
        counters.add(to: .digitsToInfo)
        call.digits[leg] = digits
    }

    /// True when this answers an INFO of ours; nil for no answer at all.
    mutating func digitAnswered(_ id: TransactionID, status: Int?, of number: CallNumber, now: Instant) -> Bool {
        guard let call = calls[number], !call.digits.isEmpty, let leg = Leg.allCases.first(where: { call.digits[$0]?.transaction == id }) else {
            return false
        }
        if let status, status < 200 { return true }
        call.digits[leg]?.transaction = nil
        switch status {
        case nil, 408, 481: peerLost(leg.other, number, now: now)
        case .some(let status):
            if status >= 300 { call.digits[leg]?.refused += 1 }
            sendDigit(from: leg, of: number, call, now: now)
        }
        return true
    }

    // MARK: Reports

    /// What `relayctl call` says of digits; nil where they pass as they come.
    func digitsText(of call: Call) -> String? {
        guard convertsDigits(call) else { return nil }
        let parts = Leg.allCases.map { leg -> String in
            let state = call.digits[leg] ?? CallDigits()
            let refused = state.refused > 0 ? ", \(state.refused) refused" : ""
            return "\(leg) \(dtmfMode(of: leg, call).rawValue), \(state.converted) converted\(refused)"
        }
        return parts.joined(separator: "; ")
    }
}

/// The digits one leg of a call sends, where they are converted.
struct CallDigits {
    /// What the relay was told.
    var treatment = MediaTreatment()
    /// To be sent to the other leg by INFO, once the one before has its answer.
    var waiting: [INFODigit] = []
    var transaction: TransactionID?
    var converted = 0
    var refused = 0
}
