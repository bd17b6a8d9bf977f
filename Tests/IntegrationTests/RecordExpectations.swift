import ControlProtocol
import Core
import Harness
import Testing

extension Testbed {
    /// The only call so far was found to be this, in its record and by `relayctl why`.
    func expect(
        _ verdict: CallVerdict, cause: ReleaseCause? = nil, says words: [String] = [],
        location: SourceLocation = #_sourceLocation
    ) async throws {
        let record = try #require(try await daemon.records(count: 1).first, sourceLocation: location)
        #expect(record.verdict == verdict, "\(record.explanation ?? "")", sourceLocation: location)
        if let cause { #expect(record.cause == cause, sourceLocation: location) }
        for word in words { #expect(record.explanation?.contains(word) == true, "\(record.explanation ?? "")", sourceLocation: location) }
        #expect(try await why(record.id).verdict == verdict, sourceLocation: location)
    }
}

extension CallRecord {
    /// Everything about a record that holds for whatever call it is of.
    func expectConsistent(
        with bed: Testbed, callerCallID: String?, calleeCallID: String? = nil, location: SourceLocation = #_sourceLocation
    ) {
        #expect(self.callerCallID == callerCallID, sourceLocation: location)
        if let calleeCallID {
            #expect(self.calleeCallID == calleeCallID, sourceLocation: location)
            #expect(self.callerCallID != self.calleeCallID, "each leg has a Call-ID of its own", sourceLocation: location)
            #expect(calleeTrunk == "carrier", sourceLocation: location)
            #expect(calleeAddress == bed.carrier, sourceLocation: location)
        }
        #expect(callerNumber == "4420987654", sourceLocation: location)
        #expect(calledNumber == "4930123456", sourceLocation: location)
        #expect(callerAddress == bed.customer, sourceLocation: location)
        let times = [setupAt, ringAt, answerAt, releaseAt].compactMap(\.self)
        #expect(times == times.sorted(), "set-up, ring, answer and release in this order", sourceLocation: location)
        if let answerAt {
            let duration = releaseAt.milliseconds - answerAt.milliseconds
            #expect(abs(duration - durationMilliseconds) <= 2, sourceLocation: location)
            let seconds = Int(duration / 1_000)
            #expect(talkSeconds <= seconds + 1 && deadAirSeconds <= seconds + 1, sourceLocation: location)
        } else {
            #expect(durationMilliseconds == 0, sourceLocation: location)
            #expect(fromCaller.packets == 0 && fromCallee.packets == 0, sourceLocation: location)
        }
    }

    func expectOutcome(
        _ cause: ReleaseCause, sip: Int, q850: Int? = nil, by party: ReleaseParty,
        location: SourceLocation = #_sourceLocation
    ) {
        #expect(self.cause == cause, sourceLocation: location)
        #expect(sipCode == sip, sourceLocation: location)
        if let q850 { #expect(self.q850 == q850, sourceLocation: location) }
        #expect(endedBy == party, sourceLocation: location)
    }
}

extension TracedMessage {
    /// The cause value of a `Reason: Q.850;cause=16` header (RFC 3326); nil without one.
    var q850Cause: Int? {
        guard let reason = header("Reason"), reason.lowercased().hasPrefix("q.850") else { return nil }
        let parameters = reason.split(separator: ";").map { $0.drop { $0 == " " } }
        return parameters.first { $0.hasPrefix("cause=") }.flatMap { Int($0.dropFirst("cause=".count)) }
    }
}

extension SIPp {
    /// The Call-ID of the first message.
    var callID: String? { messages.first?.header("Call-ID") }
}
