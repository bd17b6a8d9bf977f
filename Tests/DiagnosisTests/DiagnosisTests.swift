import Core
import Testing

@testable import Diagnosis

@Suite("Why a call went as it did")
struct DiagnosisTests {
    private func expect(
        _ facts: Case, _ verdict: CallVerdict, says words: [String] = [], location: SourceLocation = #_sourceLocation
    ) {
        let diagnosis = Diagnosis.of(facts)
        #expect(diagnosis.verdict == verdict, "\(diagnosis.sentence)", sourceLocation: location)
        let all = ([diagnosis.sentence, diagnosis.advice ?? ""] + diagnosis.evidence).joined(separator: "\n")
        for word in words { #expect(all.contains(word), "\(all)", sourceLocation: location) }
        #expect(diagnosis.sentence.hasSuffix("."), sourceLocation: location)
        #expect(!diagnosis.sentence.contains("Optional("), sourceLocation: location)
        if verdict.isTrouble { #expect(!diagnosis.sentence.isEmpty, sourceLocation: location) }
    }

    // MARK: Nothing wrong

    @Test("a call that both ended and heard is normal, whoever hung up, however short")
    func normal() {
        for party in [ReleaseParty.caller, .callee] {
            for seconds in [1, 2, 3, 10, 600] {
                var facts = Samples.connected(for: .seconds(seconds))
                facts.ended(.normal, by: party)
                expect(facts, .normal, says: [party.rawValue])
            }
        }
        expect(Samples.connected(for: .milliseconds(300)).with { $0.fromCaller = Samples.silent() }, .normal)
    }

    @Test("a present call without a fault is in progress")
    func inProgress() {
        expect(Samples.connected().with { $0.end = nil }, .inProgress, says: ["connected"])
        expect(Samples.attempt(.normal, 0, after: .seconds(3)).with { $0.end = nil }, .inProgress)
    }

    @Test("a thousand clean calls of all kinds give no false alarm, and no lint")
    func noFalseAlarms() {
        var random = SeededRandom(seed: 2_026)
        for _ in 0..<1_000 {
            var facts = Samples.connected(for: .milliseconds(Int.random(in: 100...3_600_000, using: &random)))
            facts.ended([.normal, .normal, .operatorHangup, .shutdown].randomElement(using: &random)!, by: Bool.random(using: &random) ? .caller : .callee)
            for leg in Leg.allCases {
                var stream = facts.facts.stream(from: leg)
                stream.lost = UInt64(Double(stream.packets) * Double.random(in: 0...0.01, using: &random))
                stream.highestJitter = .milliseconds(Int.random(in: 0...30, using: &random))
                stream.longestGap = .milliseconds(Int.random(in: 20...700, using: &random))
                stream.lastAt = stream.lastAt! - .milliseconds(Int.random(in: 0...2_000, using: &random))
                stream.telephoneEvents = Int.random(in: 0...6, using: &random)
                if Int.random(in: 0..<8, using: &random) == 0 {
                    stream.isInComfortNoise = true
                    stream.lastAt = max(.seconds(2), stream.lastAt! - .seconds(20))
                }
                if leg == .caller { facts.fromCaller = stream } else { facts.fromCallee = stream }
            }
            let diagnosis = Diagnosis.of(facts)
            #expect(!diagnosis.verdict.isTrouble, "\(diagnosis)")
            #expect(diagnosis.lints.isEmpty, "\(diagnosis.lints)")
        }
    }

    @Test("busy, declined, not answered, given up, unknown number, unavailable")
    func ordinaryFailures() {
        expect(Samples.attempt(.rejected, 486, by: .callee), .busy)
        expect(Samples.attempt(.rejected, 603, by: .callee), .declined)
        expect(Samples.attempt(.rejected, 404, by: .callee), .numberUnknown, says: ["4930456"])
        expect(Samples.attempt(.rejected, 480, by: .callee), .calleeUnavailable)
        expect(Samples.attempt(.rejected, 500, by: .callee), .rejectedByRoute, says: ["500", "carrier"])
        expect(Samples.attempt(.ringingTimeout, 480, after: .seconds(62)).with { $0.rangAt = .seconds(2) }, .noAnswer, says: ["60 s"])
        expect(Samples.attempt(.callerCancelled, 487, by: .caller).with { $0.rangAt = .seconds(1) }, .callerGaveUp, says: ["rung for 9 s"])
        expect(Samples.attempt(.callerCancelled, 487, by: .caller), .callerGaveUp, says: ["before it rang"])
        expect(Samples.attempt(.operatorHangup, 480, by: .operator), .operatorHangup)
        expect(Samples.attempt(.shutdown, 503), .shutdown)
    }

    // MARK: Routes and who may call

    @Test("no route, limits, strangers, bad requests")
    func routing() {
        expect(Samples.attempt(.noRoute, 404), .noRoute, says: ["4930456", "prefix"])
        expect(Samples.attempt(.capacity, 503), .capacityLimit, says: ["capacity"])
        expect(Samples.attempt(.portsExhausted, 503), .capacityLimit, says: ["media.ports"])
        expect(Samples.attempt(.unknownSource, 403), .unknownSource, says: ["198.51.100.10", "sources"])
        expect(Samples.attempt(.tooManyHops, 483), .badRequest, says: ["loop"])
        expect(Samples.unheard(.transportFailed, 503), .networkRefused, says: ["203.0.113.20"])
        let meanings: [(ICMPMessage.Meaning, String)] = [
            (.portUnreachable, "is the port right"), (.protocolUnreachable, "is the port right"), (.hostUnreachable, "ip route get"),
            (.networkUnreachable, "ip route get"), (.prohibited, "192.0.2.1:5060"), (.parameterProblem, "tunnels"),
        ]
        for (meaning, advice) in meanings {
            let facts = Samples.unheard(.peerUnreachable, 503).with {
                $0.unreachable = [.init("INVITE", to: Samples.calleeAddress, by: Samples.calleeAddress.ip, meaning)]
            }
            expect(facts, .peerUnreachable, says: ["carrier (203.0.113.20:5060)", "ICMP \(meaning)"])
            #expect(Diagnosis.of(facts).advice?.contains(advice) == true)
        }
    }

    @Test("of a fax call nobody is told about RTP")
    func fax() {
        let facts = Samples.connected().with {
            $0.caller.media?.isRTP = false
            $0.callee?.media?.isRTP = false
            $0.fromCallee = StreamFacts()
        }
        expect(facts, .oneWayFromStart, says: ["No fax ever came from the callee"])
        #expect(!Diagnosis.of(facts).sentence.contains("RTP"))
    }

    @Test("an answered call tells of a route before that could not be reached, and of a BYE that found nobody")
    func unreachableBefore() {
        let facts = Samples.connected().with {
            $0.unreachable = [
                .init("INVITE", to: SocketAddress("198.51.100.7:5060")!, by: IPAddress("198.51.100.1"), .hostUnreachable),
                .init("BYE", to: Samples.calleeAddress, by: nil, .portUnreachable),
            ]
        }
        let diagnosis = Diagnosis.of(facts)
        #expect(diagnosis.verdict == .normal)
        #expect(
            diagnosis.evidence.suffix(2) == [
                "198.51.100.1 answered for 198.51.100.7:5060 with ICMP host unreachable",
                "203.0.113.20:5060 answered to BYE with ICMP port unreachable",
            ])
    }

    @Test("a route that says nothing is named with its address and the number of INVITEs, also when the caller did not wait")
    func noResponse() {
        expect(Samples.unheard(.inviteTimeout, 408), .noResponse, says: ["carrier (203.0.113.20:5060)", "4 times"])
        expect(Samples.unheard(.callerCancelled, 487, by: .caller, after: .seconds(8)), .noResponse, says: ["gave up"])
        expect(Samples.unheard(.normal, 0).with { $0.end = nil }, .noResponse)
        #expect(Diagnosis.of(Samples.unheard(.inviteTimeout, 408)).missing?.leg == .callee)
        // A caller who changes its mind at once has seen no fault.
        expect(Samples.unheard(.callerCancelled, 487, by: .caller, after: .seconds(1)), .callerGaveUp)
    }

    @Test("all routes busy lists what each of them said")
    func allRoutesBusy() {
        let attempts = [CallFacts.Attempt("berlin", .status(503)), .init("london", .noResponse), .init("rome", .full)]
        for cause in [ReleaseCause.rejected, .capacity] {
            expect(
                Samples.attempt(cause, 503).with { $0.attempts = attempts }, .allRoutesBusy,
                says: ["3 routes", "berlin said 503", "london did not respond", "rome is at its limit"])
        }
        expect(Samples.unheard(.inviteTimeout, 408).with { $0.attempts = attempts }, .allRoutesBusy)
        expect(Samples.attempt(.rejected, 486).with { $0.attempts = attempts }, .busy)
    }

    @Test("credentials: asked for and not there, not accepted, forbidden")
    func authentication() {
        expect(Samples.attempt(.rejected, 407), .authenticationFailed, says: ["there are none"])
        expect(Samples.attempt(.rejected, 403), .authenticationFailed, says: ["forbids"])
        let again = Samples.attempt(.rejected, 401).with {
            $0.messages.append(MessageFact(at: .seconds(1), .callee, received: false, "INVITE"))
        }
        expect(again, .authenticationFailed, says: ["did not accept"])
    }

    @Test("users that are not registered, whose registration expired, whose NAT closed")
    func registrations() {
        let expired = RegistrationFacts(user: "alice", state: .expired(ago: .seconds(300)))
        expect(Samples.attempt(.noRoute, 480).with { $0.registration = expired }, .registrationExpired, says: ["alice", "5 min before"])
        expect(Samples.attempt(.noRoute, 480).with { $0.registration = RegistrationFacts(user: "bob", state: .never) }, .registrationExpired, says: ["bob"])
        var present = RegistrationFacts(user: "carol", state: .present)
        present.isBehindNAT = true
        present.lastHeardAgo = .seconds(95)
        expect(Samples.unheard(.inviteTimeout, 408).with { $0.registration = present }, .natPinholeLost, says: ["carol", "95 s before"])
        present.unansweredKeepAlives = 4
        let lost = Diagnosis.of(Samples.unheard(.inviteTimeout, 408).with { $0.registration = present })
        #expect(lost.evidence.contains("it has not answered the last 4 keep-alives"))
        let gone = RegistrationFacts(user: "dora", state: .unregistered(ago: .seconds(20)))
        expect(Samples.attempt(.notRegistered, 480).with { $0.registration = gone }, .registrationExpired, says: ["dora took", "20 s before"])
        present.isBehindNAT = false
        expect(Samples.unheard(.inviteTimeout, 408).with { $0.registration = present }, .noResponse)
        let closed = RegistrationFacts(user: "emil", state: .cutOff(.tls, ago: .seconds(20)))
        expect(Samples.attempt(.notRegistered, 480).with { $0.registration = closed }, .connectionClosed, says: ["emil", "TLS connection", "20 s before"])
        for (ago, time) in [(Duration.seconds(20), "20 s before the call"), (nil, "to this INVITE")] {
            let lost = RegistrationFacts(user: "emil", state: .flowFailed(ago: ago))
            let facts = Samples.attempt(.notRegistered, 480).with { $0.registration = lost }
            expect(facts, .connectionClosed, says: ["emil", "430", time])
        }
        let former = RegistrationFacts(user: "emil", state: .cutOff(.tcp, ago: nil))
        expect(Samples.attempt(.notRegistered, 480).with { $0.registration = former }, .connectionClosed, says: ["did not outlive the restart"])
    }

    // MARK: Signalling

    @Test("an ACK that never comes names the Contact it has to reach")
    func ackLost() {
        var facts = Samples.connected(for: .seconds(32))
        facts.messages.removeLast()
        for step in 1...10 {
            facts.messages.append(MessageFact(at: .seconds(2 + step * 3), .caller, received: false, "INVITE", 200, again: true))
        }
        facts.ended(.ackMissing)
        expect(facts, .ackLost, says: ["32 s", "192.0.2.1:5060", "11 times"])
        #expect(Diagnosis.of(facts).missing == MissingMessage(.caller, received: true, "ACK", at: .seconds(2)))
        facts.ownContact = SocketAddress("10.0.0.1:5060")!
        expect(facts, .ackLost, says: ["10.0.0.1:5060", "sip.advertise"])
    }

    @Test("a callee that repeats its 200 for ever has a Contact that cannot be reached")
    func privateContact() {
        var facts = Samples.connected(for: .seconds(32))
        facts.callee?.contact = SocketAddress("10.1.2.3:5060")!
        facts.callee?.target = SocketAddress("10.1.2.3:5060")!
        for step in 1...9 {
            facts.messages.append(MessageFact(at: .seconds(2 + step * 3), .callee, received: true, "INVITE", 200, again: true))
            facts.messages.append(MessageFact(at: .seconds(2 + step * 3), .callee, received: false, "ACK", again: true))
        }
        facts.ended(.normal, by: .callee)
        expect(facts, .privateContact, says: ["10.1.2.3:5060"])
        facts.callee?.contact = Samples.calleeAddress
        facts.callee?.target = Samples.calleeAddress
        expect(facts, .ackLost, says: ["203.0.113.20:5060"])
        // One lost ACK is no trouble.
        facts.messages = Samples.dialogue(answer: .seconds(2)) + [MessageFact(at: .milliseconds(2_500), .callee, received: true, "INVITE", 200, again: true)]
        expect(facts, .normal)
    }

    @Test("422 again and again is a loop of session intervals")
    func sessionIntervalLoop() {
        var facts = Samples.attempt(.rejected, 422, by: .callee)
        facts.messages.append(MessageFact(at: .seconds(1), .callee, received: true, "INVITE", 422))
        expect(facts, .sessionIntervalLoop, says: ["422"])
        facts.messages.append(MessageFact(at: .seconds(2), .callee, received: false, "INVITE"))
        facts.messages.append(MessageFact(at: .seconds(3), .callee, received: true, "INVITE", 422))
        expect(facts, .sessionIntervalLoop, says: ["2 times", "callee"])
        // Once, then accepted: RFC 4028 at work.
        var good = Samples.connected()
        good.messages.insert(MessageFact(at: .milliseconds(100), .callee, received: true, "INVITE", 422), at: 4)
        expect(good, .normal)
    }

    @Test("an endpoint that answers neither RTP nor BYE has vanished")
    func endpointGone() {
        var facts = Samples.connected(for: .seconds(100))
        facts.fromCallee.lastAt = .seconds(40)
        facts.ended(.normal, by: .caller)
        for step in 0..<6 {
            facts.messages.append(MessageFact(at: .seconds(102 + step), .callee, received: false, "BYE", again: step > 0))
        }
        expect(facts, .endpointGone, says: ["callee", "without an answer", "40 s"])
        facts.messages.append(MessageFact(at: .seconds(109), .callee, received: true, "BYE", 200))
        expect(facts, .oneWayLater)
        // However short the call was.
        var short = Samples.connected(for: .seconds(1))
        short.ended(.normal, by: .caller)
        expect(short, .normal)
        for step in 0..<4 {
            short.messages.append(MessageFact(at: .seconds(2 + step), .callee, received: false, "BYE", again: step > 0))
        }
        expect(short, .endpointGone, says: ["callee vanished"])
    }

    // MARK: Media

    @Test("media that never started, with the addresses it was wanted at")
    func noMedia() {
        var facts = Samples.connected(for: .seconds(60))
        (facts.fromCaller, facts.fromCallee) = (Samples.silent(), Samples.silent())
        facts.ended(.noMedia)
        expect(facts, .noMedia, says: ["60 s", "198.51.100.11", "203.0.113.21", "firewall"])
        facts.ended(.normal, by: .caller)
        expect(facts, .noMedia)
        facts.end = nil
        expect(facts, .noMedia)
    }

    @Test("one-way from the start names who was not heard", arguments: Leg.allCases)
    func oneWayFromStart(leg: Leg) {
        var facts = Samples.connected(for: .seconds(30))
        if leg == .caller { facts.fromCaller = Samples.silent() } else { facts.fromCallee = Samples.silent() }
        expect(facts, .oneWayFromStart, says: ["from the \(leg.name)", "1500 packets", "sends to nobody it has not heard"])
    }

    @Test("one-way from a second names it", arguments: Leg.allCases)
    func oneWayLater(leg: Leg) {
        var facts = Samples.connected(for: .seconds(100))
        if leg == .caller { facts.fromCaller.lastAt = .seconds(42) } else { facts.fromCallee.lastAt = .seconds(42) }
        expect(facts, .oneWayLater, says: ["The \(leg.name)'s RTP stopped at 42 s", "\(leg.other.name) heard nothing", "60 s"])
        facts.end = nil
        expect(facts, .oneWayLater)
    }

    @Test("both died at once, or one before the other")
    func mediaDied() {
        var facts = Samples.connected(for: .seconds(118))
        (facts.fromCaller.lastAt, facts.fromCallee.lastAt) = (.seconds(60), .milliseconds(60_040))
        facts.ended(.noMedia)
        expect(facts, .mediaDied, says: ["both sides stopped together at 60 s", "60 s of silence"])
        facts.fromCallee.lastAt = .seconds(90)
        expect(facts, .mediaDied, says: ["caller's RTP stopped at 60 s, the callee's 30 s later"])
    }

    @Test("a closed port is told by ICMP")
    func portClosed() {
        var facts = Samples.connected(for: .seconds(60))
        facts.fromCallee.lastAt = .seconds(20)
        facts.fromCallee.refusals = 900
        facts.fromCallee.source = SocketAddress("203.0.113.21:40000")!
        expect(facts, .portClosed, says: ["callee", "20 s", "900 times", "203.0.113.21"])
    }

    @Test("a private c= behind a public source, and a SIP ALG, explain media that never came")
    func privateAddresses() {
        var facts = Samples.connected(for: .seconds(20))
        facts.caller.media = Samples.media("192.168.1.5")
        facts.fromCaller = Samples.silent()
        expect(facts, .privateMediaAddress, says: ["192.168.1.5", "198.51.100.10"])
        facts.fromCallee = Samples.silent()
        expect(facts, .privateMediaAddress)
        facts.caller.media = Samples.media("198.51.100.10")
        facts.caller.via = IPAddress("192.168.1.5")!
        expect(facts, .sipALG, says: ["SIP ALG", "198.51.100.10"])
        // The same addresses with media that flow are a hint, no fault.
        facts.fromCaller = Samples.stream(from: .seconds(2), to: .seconds(22))
        facts.fromCallee = facts.fromCaller
        expect(facts, .normal)
        #expect(Diagnosis.of(facts).lints.map(\.code) == [.sipALG])
    }

    @Test("media from an address nobody named")
    func mediaFromElsewhere() {
        var facts = Samples.connected(for: .seconds(20))
        facts.fromCallee = Samples.silent()
        facts.fromCallee.strangers = 1_000
        expect(facts, .mediaFromElsewhere, says: ["1000 packets", "callee"])
    }

    @Test("a re-INVITE after which the media stopped", arguments: ["INVITE", "UPDATE"])
    func afterReinvite(method: String) {
        var facts = Samples.connected(for: .seconds(60))
        facts.messages.append(MessageFact(at: .seconds(30), .caller, received: true, method))
        facts.fromCallee.lastAt = .milliseconds(30_400)
        expect(facts, .mediaLostAfterReinvite, says: ["30 s"])
        facts.fromCallee.lastAt = .seconds(45)
        expect(facts, .oneWayLater)
    }

    @Test("silence on hold is no fault; a call cut on hold is one")
    func hold() {
        var facts = Samples.connected(for: .seconds(120))
        for keyPath in [\CallFacts.fromCaller, \CallFacts.fromCallee] {
            facts.facts[keyPath: keyPath].isExpected = false
            facts.facts[keyPath: keyPath].lastAt = .seconds(20)
        }
        expect(facts, .normal)
        expect(facts.with { $0.end = nil }, .onHold, says: ["not cut"])
        expect(facts.with { $0.ended(.noMedia) }, .holdCut, says: ["hold"])
        // Music one way.
        expect(facts.with { $0.end = nil; $0.fromCaller = Samples.stream(from: .seconds(2), to: .seconds(122)) }, .onHold)
        // a=sendonly without any music: who holds may send, and its silence comes right after a re-INVITE.
        let silent = facts.with {
            $0.fromCaller.isExpected = true
            $0.messages.append(MessageFact(at: .seconds(19), .caller, received: true, "INVITE"))
        }
        expect(silent.with { $0.end = nil }, .onHold)
        expect(silent.with { $0.ended(.noMedia) }, .holdCut)
        expect(silent, .normal)
    }

    @Test("codecs: none accepted, and a payload type the other side did not list")
    func codecs() {
        for status in [488, 415, 606] { expect(Samples.attempt(.rejected, status, by: .callee), .codecMismatch, says: ["PCMA (8)"]) }
        expect(Samples.connected().with { $0.fromCaller.payloadType = 18 }, .codecMismatch, says: ["payload type 18", "PCMA (8)"])
        expect(Samples.connected().with { $0.fromCaller.payloadType = 13 }, .normal)
        expect(Samples.attempt(.mediaNotAcceptable, 488), .mediaNotAcceptable, says: ["callee"])
        let lints = Diagnosis.of(Samples.connected().with { $0.callee?.media = Samples.media("203.0.113.21", [.init(18, "G729")]) }).lints
        #expect(lints.map(\.code).contains(.noCommonCodec))
    }

    @Test("digits in a mode the other side does not take")
    func digits() {
        var facts = Samples.connected()
        facts.callee?.media = Samples.media("203.0.113.21", [Samples.pcma])
        expect(facts, .normal)
        #expect(Diagnosis.of(facts).lints.map(\.code) == [.telephoneEvent])
        facts.fromCaller.telephoneEvents = 4
        expect(facts, .dtmfMismatch, says: ["4 digits", "telephone-event"])
        var info = Samples.connected().with { $0.fromCallee.infoDigits = 1 }
        expect(info, .normal)
        info.messages.append(MessageFact(at: .seconds(10), .caller, received: true, "INFO", 405))
        expect(info, .dtmfMismatch, says: ["1 digit", "405"])
        expect(Samples.connected().with { $0.fromCaller.inBandDigits = 3 }, .dtmfMismatch, says: ["tones"])
        expect(Samples.connected().with { $0.fromCaller.inBandDigits = 3; $0.fromCaller.telephoneEvents = 3 }, .normal)
    }

    @Test("loss, jitter and interruptions that are heard")
    func quality() {
        expect(Samples.connected().with { $0.fromCaller.lost = 300 }, .poorQuality, says: ["9.1 %", "caller"])
        expect(Samples.connected().with { $0.fromCallee.highestJitter = .milliseconds(120) }, .poorQuality, says: ["120 ms"])
        expect(Samples.connected().with { $0.fromCallee.longestGap = .seconds(4) }, .poorQuality, says: ["4 s"])
    }

    @Test("a refresh nobody answered, a side that forgot the call, a call as long as it may be")
    func connectedEnds() {
        var facts = Samples.connected(for: .seconds(900))
        facts.messages.append(MessageFact(at: .seconds(870), .callee, received: false, "UPDATE"))
        facts.ended(.sessionTimeout)
        expect(facts, .refreshUnanswered, says: ["callee", "UPDATE"])
        #expect(Diagnosis.of(facts).missing?.text == "an answer to UPDATE")
        expect(facts.with { $0.ended(.peerLost) }, .refreshUnanswered, says: ["callee did not answer the session refresh"])
        var passed = facts.with { $0.ended(.peerLost) }
        passed.messages.insert(MessageFact(at: .seconds(870), .caller, received: true, "UPDATE"), at: passed.messages.count - 1)
        expect(passed, .endpointGone, says: ["callee did not answer the UPDATE"])
        facts.messages.append(MessageFact(at: .seconds(871), .callee, received: true, "UPDATE", 481))
        expect(facts.with { $0.ended(.peerLost) }, .endpointGone, says: ["481"])
        facts.messages.removeLast(2)
        facts.expiredSession = CallFacts.ExpiredSession(.caller, isOurs: false, interval: .seconds(90))
        facts.ended(.sessionTimeout)
        expect(facts, .refreshUnanswered, says: ["caller had to refresh"])
        facts.expiredSession?.isOurs = true
        expect(facts, .refreshUnanswered, says: ["caller refused"])
        expect(facts.with { $0.ended(.maximumDuration) }, .durationLimit)
    }

    @Test("attempts that routing gives up")
    func routingCauses() {
        expect(Samples.attempt(.allRoutesBusy, 503), .allRoutesBusy, says: ["relayctl trunks"])
        expect(Samples.attempt(.allRoutesDown, 503), .allRoutesBusy, says: ["is down"])
        expect(Samples.attempt(.notRegistered, 480), .registrationExpired, says: ["4930456"])
        expect(Samples.attempt(.sessionIntervalTooSmall, 422), .sessionIntervalLoop)
    }

    @Test("every cause of every kind of call gets a sentence")
    func everyCause() {
        for cause in ReleaseCause.allCases {
            for status in [200, 403, 408, 422, 480, 488, 503] {
                for facts in [Samples.attempt(cause, status), Samples.unheard(cause, status), Samples.connected().with { $0.ended(cause, status) }] {
                    let diagnosis = Diagnosis.of(facts)
                    #expect(diagnosis.sentence.hasSuffix("."))
                    #expect(diagnosis.sentence.first?.isUppercase == true || diagnosis.sentence.first?.isNumber == true || diagnosis.sentence.hasPrefix("carrier") || diagnosis.sentence.hasPrefix("relayd"), "\(diagnosis.sentence)")
                }
            }
        }
    }

    @Test("lints: private Contact, short session interval, slow ringing, late media, repeated messages")
    func lints() {
        var facts = Samples.connected()
        facts.caller.contact = SocketAddress("10.0.0.9:5060")!
        facts.callee?.sessionExpires = 60
        facts.rangAt = .seconds(7)
        facts.fromCaller.firstAt = .seconds(9)
        for step in 0..<3 { facts.messages.append(MessageFact(at: .seconds(step), .callee, received: false, "INVITE", again: true)) }
        #expect(Set(Diagnosis.of(facts).lints.map(\.code)) == [.privateContact, .sessionExpires, .slowRinging, .lateMedia, .repeatedMessages])
    }
}
