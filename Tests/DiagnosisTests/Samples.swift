import Core
import Diagnosis

/// Calls as plain values, each good until a test spoils it.
enum Samples {
    static let relayd = SocketAddress("192.0.2.1:5060")!
    static let callerAddress = SocketAddress("198.51.100.10:5060")!
    static let calleeAddress = SocketAddress("203.0.113.20:5060")!
    static let pcma = MediaFacts.Format(8, "PCMA")
    static let event = MediaFacts.Format(101, "telephone-event")

    static func media(_ ip: String, _ formats: [MediaFacts.Format] = [pcma, event]) -> MediaFacts {
        MediaFacts(connection: IPAddress(ip)!, port: 40_000, formats: formats)
    }

    /// Rings after 0.5 s, is answered after 2 s, and talks.
    static func connected(for talk: Duration = .seconds(60), end: CallFacts.End? = nil) -> Case {
        let answer = Duration.seconds(2)
        let age = answer + talk
        var facts = Case(CallFacts(age: age, caller: PartyFacts(name: "customers", address: callerAddress), ownContact: relayd))
        facts.callerNumber = "4420123"
        facts.calledNumber = "4930456"
        facts.caller.contact = callerAddress
        facts.caller.target = callerAddress
        facts.caller.media = media("198.51.100.11")
        var callee = PartyFacts(name: "carrier", address: calleeAddress)
        callee.contact = calleeAddress
        callee.target = calleeAddress
        callee.media = media("203.0.113.21")
        facts.callee = callee
        facts.rangAt = .milliseconds(500)
        facts.answeredAt = answer
        facts.noMediaTimeout = .seconds(60)
        facts.messages = dialogue(answer: answer)
        facts.fromCaller = stream(from: answer, to: age)
        facts.fromCallee = stream(from: answer, to: age)
        facts.end = end ?? CallFacts.End(.normal, status: 200, by: .caller, at: age)
        return facts
    }

    static func dialogue(answer: Duration) -> [MessageFact] {
        [
            MessageFact(at: .zero, .caller, received: true, "INVITE"), MessageFact(at: .zero, .caller, received: false, "INVITE", 100),
            MessageFact(at: .milliseconds(1), .callee, received: false, "INVITE"),
            MessageFact(at: .milliseconds(20), .callee, received: true, "INVITE", 100),
            MessageFact(at: .milliseconds(500), .callee, received: true, "INVITE", 180),
            MessageFact(at: .milliseconds(501), .caller, received: false, "INVITE", 180),
            MessageFact(at: answer, .callee, received: true, "INVITE", 200), MessageFact(at: answer, .callee, received: false, "ACK"),
            MessageFact(at: answer, .caller, received: false, "INVITE", 200),
            MessageFact(at: answer + .milliseconds(20), .caller, received: true, "ACK"),
        ]
    }

    static func stream(from start: Duration, to end: Duration) -> StreamFacts {
        var stream = StreamFacts()
        stream.packets = UInt64(max(1, (end - start) / .milliseconds(20)))
        stream.firstAt = start + .milliseconds(60)
        stream.lastAt = end - .milliseconds(15)
        stream.highestJitter = .milliseconds(3)
        stream.longestGap = .milliseconds(40)
        stream.payloadType = 8
        stream.sent = stream.packets
        return stream
    }

    static func silent() -> StreamFacts { StreamFacts() }

    /// An attempt without an answer.
    static func attempt(_ cause: ReleaseCause, _ status: Int, by party: ReleaseParty = .relayd, after age: Duration = .seconds(10)) -> Case {
        var facts = connected(for: age - .seconds(2), end: CallFacts.End(cause, status: status, by: party, at: age))
        facts.answeredAt = nil
        facts.rangAt = nil
        facts.fromCaller = silent()
        facts.fromCallee = silent()
        facts.callee?.media = nil
        facts.messages = Array(dialogue(answer: .seconds(2)).prefix(4))
        return facts
    }

    /// The same, and nothing was heard of the callee's side.
    static func unheard(_ cause: ReleaseCause, _ status: Int, by party: ReleaseParty = .relayd, after age: Duration = .seconds(10)) -> Case {
        var facts = attempt(cause, status, by: party, after: age)
        facts.messages = Array(facts.messages.prefix(3))
        for seconds in [500, 1_500, 3_500] {
            facts.messages.append(MessageFact(at: .milliseconds(seconds), .callee, received: false, "INVITE", again: true))
        }
        return facts
    }
}

/// A call as a diagnosis is asked about it.
@dynamicMemberLookup
struct Case: Equatable {
    var facts: CallFacts
    var messages: [MessageFact] = []

    init(_ facts: CallFacts) { self.facts = facts }

    subscript<Value>(dynamicMember path: WritableKeyPath<CallFacts, Value>) -> Value {
        get { facts[keyPath: path] }
        set { facts[keyPath: path] = newValue }
    }
}

extension Diagnosis {
    static func of(_ sample: Case) -> Diagnosis { of(Boxed(sample.facts), messages: sample.messages) }
}

extension Case {
    func with(_ change: (inout Case) -> Void) -> Case {
        var facts = self
        change(&facts)
        return facts
    }

    mutating func ended(_ cause: ReleaseCause, _ status: Int = 200, by party: ReleaseParty = .relayd) {
        facts.end = CallFacts.End(cause, status: status, by: party, at: facts.age)
    }
}
