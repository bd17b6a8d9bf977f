import ControlProtocol
package import Core
import Diagnosis
import SIP

/// ICMP errors about SIP datagrams (RFC 3261 §18.4): who cannot be reached is not waited for.
///
/// Anybody can send one. So it counts only against a request that is open and unheard, that it names by its branch; see
/// `TransactionLayer.unheard`. Nothing that is said of a call which is up ends it.
extension CallControl {
    /// ICMP said this of a datagram that was sent.
    package mutating func networkRefused(_ error: DatagramError, now: Instant) {
        if phones != nil, let id = phones!.registrar.table.binding(from: error.destination) {
            phones!.keepAlives.failed(id, errno: error.errno, now: now)
            counters.add(to: .keepAliveErrors)
        }
        guard let meaning = error.icmp.meaning, let id = refusedTransaction(error, now: now), mayFail(id, meaning) else {
            return counters.add(to: .sipIcmpIgnored)
        }
        counters.add(to: .sipPeersUnreachable)
        currentError = (id, error, meaning)
        if let sent = transactions.sentRequest(id) {
            let head = "\(errorText), about this request to \(error.destination):\r\n"
            output(.unreachable(head.utf8 + sent.octets, error.destination))
            noteUnreachable(id, MessageTitle(sent.octets).text(in: sent.octets), error, meaning, now: now)
        }
        var results = resultList()
        transactions.transportFailed(id, now: now, outputs: &results)
        enqueue(&results)
        drain(now)
        currentError = nil
    }

    /// `ICMP port unreachable`, with who says so where that is not the destination.
    var errorText: String {
        guard let (_, error, meaning) = currentError else { return "" }
        guard let reporter = error.reporter, reporter != error.destination.ip else { return "ICMP \(meaning)" }
        return "ICMP \(meaning) from \(reporter)"
    }

    private mutating func refusedTransaction(_ error: DatagramError, now: Instant) -> TransactionID? {
        if let id = transactions.unheard(quoted: error.quoted, sentTo: error.destination) { return id }
        guard TransactionLayer.isShort(error.quoted), shortQuotes.take(now: now) else { return nil }
        return transactions.unheard(beginningWith: error.quoted, sentTo: error.destination, now: now)
    }

    /// An INVITE of a call to be, a BYE, and what serves a trunk or a test may fail. Other requests belong to calls that are up:
    /// their timers decide.
    private func mayFail(_ id: TransactionID, _ meaning: ICMPMessage.Meaning) -> Bool {
        if trunkTransactions[id] != nil || testTransactions[id] != nil { return true }
        guard let use = transactionUses[id] else { return false }
        // A BYE that a flapping route keeps back for a second has to arrive all the same.
        if openByes.contains(id) { return meaning.isFinal }
        return calls[use.call]?.branch(of: id) != nil
    }

    private mutating func noteUnreachable(
        _ id: TransactionID, _ method: String, _ error: DatagramError, _ meaning: ICMPMessage.Meaning, now: Instant
    ) {
        guard let use = transactionUses[id] else { return }
        let fact = CallFacts.Unreachable(method, to: error.destination, by: error.reporter, meaning)
        let isBye = openByes.contains(id)
        guard let call = calls[use.call] else {
            return endedCalls.changeNewest(where: { $0.number == use.call }) { ended in
                ended.changeFacts { $0.add(fact, isBye ? use.leg : nil) }
            }
        }
        call.note(networkError: "ICMP \(meaning)", leg: use.leg, at: now)
        call.unreachable.append(fact)
        if isBye { call.unansweredBye.insert(use.leg) }
        if let branch = call.branch(of: id) { call.branches[branch.rawValue].unreachable = meaning }
        guard var facts = call.finalFacts?.value else { return }
        facts.add(fact, isBye ? use.leg : nil)
        call.finalFacts = Boxed(facts)
    }
}

extension CallFacts {
    fileprivate mutating func add(_ fact: Unreachable, _ byeTo: Leg?) {
        unreachable.append(fact)
        if let byeTo { unansweredBye.insert(byeTo) }
    }
}
