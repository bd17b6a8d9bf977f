import Configuration
package import Core
import SIP

/// A request on its way from the network to its transaction.
extension CallControl {
    mutating func takeRequest(_ request: SIPMessage, from source: Flow, now: Instant) {
        noteAlias(request, from: source)
        let isNewRegister = request.method == .register && request.toTag == nil && phones != nil
        let key = TransactionKey(request: request)
        // What belongs to a present call or transaction comes first, wherever it comes from.
        if request.method == .ack || transactions.isKnown(request, key) || (!isNewRegister && isInDialog(request)) {
            return receiveAdmitted(request, key, from: source, now: now)
        }
        if request.method == .invite, refuseReturned(request, from: source, now: now) { return }
        if isScanner(request), !isTrunk(source), !isFromDoctor(source.remote, now: now) {
            return counters.add(to: .sipScannersDropped)
        }
        if isStrangers(request, from: source, now: now) { return refuseStranger(request, from: source, now: now) }
        // REGISTERs have a queue of their own. Most get no transaction, and those that do look for themselves.
        if isNewRegister {
            guard !wasRefusedForLoad(request) else { return refuseForLoad(request, from: source) }
            if admit(request, key, from: source, now: now) { serveRegister(request, key, from: source, now: now) }
            return
        }
        let rank = rank(of: source, now: now)
        guard !admission.add(AdmissionQueue.Entry(request: request, key: key, source: source), rank: rank) else { return }
        counters.add(to: .sipQueueFull)
        // Whoever has proven nothing sends it again, and may be heard then.
        if rank != .other, request.method == .invite, request.toTag == nil { refuseForLoad(request, from: source) }
    }

    /// True for an INVITE that relayd has sent to itself: its only Via, which nobody else could have made up, is relayd's own.
    ///
    /// Its call has failed then, and is the one there is a record of. With another number too: rewriting that adds a digit in each
    /// round would go on until Max-Forwards is used up.
    private mutating func refuseReturned(_ invite: SIPMessage, from source: Flow, now: Instant) -> Bool {
        guard endpoints.contains(invite.topVia), let branch = invite.topVia.branch.flatMap({ ViaBranch($0) }),
            let sent = transactions.openRequest(branch: branch, method: .invite)
        else { return false }
        if let use = transactionUses[sent], let call = calls[use.call], let place = call.branch(of: sent) {
            call.note(received: invite, leg: use.leg, isRetransmission: false, at: now)
            enqueue(.calleeUnreachable(place, .loopDetected, status: 482), for: use.call)
        }
        answerStateless(invite, status: 482, from: source)
        return true
    }

    private mutating func rank(of source: Flow, now: Instant) -> AdmissionQueue.Rank {
        if isTrunk(source) || isFromDoctor(source.remote, now: now) { return .trunk }
        return isRegistered(source) ? .phone : .other
    }

    // MARK: New requests that wait

    /// Whether `serveWaiting` has something to do.
    package var isAnyoneWaiting: Bool { !admission.isEmpty }
    package var waitingCount: Int { admission.count }

    /// Serves new requests, each source in its turn. After each `receive`, and until nobody waits, but in between take what has
    /// come meanwhile: what belongs to present calls is to come first.
    package mutating func serveWaiting(atMost limit: Int, now: Instant) {
        for _ in 0..<limit {
            guard let entry = admission.takeNext() else { return }
            admitAndServe(entry, now: now)
            drain(now)
        }
    }

    /// Serves what one source has waiting, out of turn.
    mutating func serveWaiting(of source: Flow, now: Instant) {
        for entry in admission.takeAll(of: source) { admitAndServe(entry, now: now) }
        drain(now)
    }

    private mutating func admitAndServe(_ entry: AdmissionQueue.Entry, now: Instant) {
        let (request, source) = (entry.request, entry.source)
        // It may have come twice, and been served meanwhile.
        if transactions.isKnown(request, entry.key) { return receiveAdmitted(request, entry.key, from: source, now: now) }
        guard !wasRefusedForLoad(request) else { return refuseForLoad(request, from: source) }
        guard !isFull else {
            counters.add(to: .sipRefusedOverload)
            return refuseForLoad(request, from: source)
        }
        guard admit(request, entry.key, from: source, now: now) else { return }
        guard request.method != .invite || request.toTag != nil || callRate.take(from: StrangerTable.source(of: source.ip), now: now) else {
            phones?.admitted = nil
            counters.add(to: .callsRefusedRate)
            return refuseForLoad(request, from: source)
        }
        receiveAdmitted(request, entry.key, from: source, now: now)
    }

    /// 503 without a transaction, which is all there is no room for. It is remembered for a while, so that a copy of the request
    /// that was on its way is not served after its sender was told to give up.
    mutating func refuseForLoad(_ request: SIPMessage, from source: Flow) {
        let fingerprint = TransactionKey(request: request).number
        refusedForLoad[Int(fingerprint % UInt64(refusedForLoad.count))] = fingerprint
        hasRefusedForLoad = true
        answerStateless(request, status: 503, [retryAfter], from: source)
    }

    private mutating func wasRefusedForLoad(_ request: SIPMessage) -> Bool {
        guard hasRefusedForLoad else { return false }
        let fingerprint = TransactionKey(request: request).number
        return refusedForLoad[Int(fingerprint % UInt64(refusedForLoad.count))] == fingerprint
    }

    /// What was too broken for a transaction, and yet says where to answer.
    mutating func answerMalformed(_ request: SIPMessage, status: Int, reason: String, from source: Flow, now: Instant) {
        guard request.isRequest, request.method != .ack else { return }
        guard isKnown(source) || noteStranger(request, status: status, from: source, now: now) else { return }
        answerStateless(request, status: status, reason: reason, from: source)
    }

    var retryAfter: (HeaderName, String) { (.retryAfter, "\(configuration.limits.retryAfter.components.seconds)") }
}
