import Configuration
package import ControlProtocol
package import Core
import RTP
import Relay
import SIP

/// `relayctl probe TRUNK --call NUMBER`: test calls.
extension CallControl {
    /// At one time.
    private static let maximumTestCalls = 4
    /// Until it answers.
    private static let ringingLimit = Duration.seconds(45)

    /// Why no test call is placed.
    package enum TestCallRefusal: Error {
        case unknownTrunk, tooMany, noPorts
    }

    /// Begins one; how it ends comes as output `probed` with this token.
    package mutating func placeTestCall(
        _ query: ProbeQuery, number: String, token: UInt64, now: Instant
    ) -> TestCallRefusal? {
        guard let trunk = trunkStates[query.trunk]?.trunk else { return .unknownTrunk }
        guard testCalls.count < Self.maximumTestCalls, !isDraining else { return .tooMany }
        let interface = testInterface(trunk)
        guard case .success(let taken) = media.take(caller: interface.address, callee: interface.address, now: now) else {
            return .noPorts
        }
        testCalls[token] = TestCall(
            trunk: trunk.name, number: number, caller: query.caller ?? "relayd", listening: .seconds(query.seconds), media: taken,
            startedAt: now, report: TestCallReport(number: number))
        testSessions[taken.session] = token
        output(
            .relay(
                .open(
                    taken.session, caller: SocketAddress(ip: interface.address, port: taken.callerPort),
                    callee: SocketAddress(ip: interface.address, port: taken.calleePort))))
        return nil
    }

    private func testInterface(_ trunk: SharedTrunk) -> MediaInterface {
        configuration.mediaInterface(for: trunk.address.ip.family)
            ?? MediaInterface(
                name: "default", address: configuration.mediaAddress, advertised: configuration.advertisedMediaAddress)
    }

    // MARK: Its requests

    /// Its ports are open: the INVITE goes out.
    private mutating func inviteTest(_ token: UInt64, now: Instant) {
        guard var test = testCalls[token], let trunk = trunkStates[test.trunk]?.trunk else { return }
        let flow = Flow(trunk.transport, to: trunk.address)
        let local = endpoint(for: flow)
        let uri = "sip:\(test.number)@\(trunk.address)" + (trunk.transport == .udp ? "" : ";transport=\(trunk.transport.rawValue)")
        let dialog: Dialog
        if let former = test.dialog {
            dialog = former.again(calling: Array(uri.utf8), remote: Array("<\(uri)>".utf8), destination: flow)
        } else {
            let tag = random.token(count: 12)
            dialog = Dialog(
                calling: uri, callID: "\(random.token(count: 20))@\(local.address.ip)", localTag: tag,
                local: "<sip:\(test.caller)@\(local.address)>;tag=\(tag)", remote: "<\(uri)>", sequence: 0, destination: flow)
        }
        let viaBranch = newBranch()
        test.viaBranch = viaBranch
        var builder = dialog.request(.invite, branch: viaBranch, sentBy: local)
        builder.add(.contact, local.contact)
        if let (header, value) = authorization(for: trunkStates[trunk.name], .invite, uri: Array(uri.utf8)) { builder.add(header, octets: value) }
        builder.add(.allow, "INVITE, ACK, CANCEL, BYE, OPTIONS")
        builder.add(lines: settings.userAgentLine)
        test.dialog = dialog
        test.stage = .inviting
        test.deadline = now + Self.ringingLimit
        test.note("INVITE sent", at: now)
        let id = sendTest(
            builder.finish(body: testOffer(test, trunk), contentType: "application/sdp"), .invite, branch: viaBranch, to: flow,
            token, now: now)
        test.transaction = id
        testCalls[token] = test
    }

    private func testOffer(_ test: TestCall, _ trunk: SharedTrunk) -> [UInt8] {
        let ip = testInterface(trunk).advertised
        let connection = "IN \(ip.family == .ipv4 ? "IP4" : "IP6") \(ip)"
        let text = """
            v=0\r
            o=relayd 1 1 \(connection)\r
            s=test call\r
            c=\(connection)\r
            t=0 0\r
            m=audio \(test.media.calleePort) RTP/AVP 8 0 18 101\r
            a=rtpmap:8 PCMA/8000\r
            a=rtpmap:0 PCMU/8000\r
            a=rtpmap:18 G729/8000\r
            a=rtpmap:101 telephone-event/8000\r
            a=fmtp:101 0-15\r

            """
        guard let filter = trunk.codecFilter, let offer = try? SessionDescription(parsing: Array(text.utf8)),
            let edit = offer.media[0].formatEdit([filter], sortedBy: filter), offer.media[0].hasCodec(passing: [filter])
        else { return Array(text.utf8) }
        return offer.rewritten([.relay(SocketAddress(ip: ip, port: test.media.calleePort))], formats: [0: edit])
    }

    private mutating func sendTest(
        _ octets: [UInt8], _ method: SIP.Method, branch: ViaBranch, to flow: Flow, _ token: UInt64, now: Instant
    ) -> TransactionID {
        var results = resultList()
        let id = transactions.send(octets, method: method, branch: branch, to: flow, now: now, outputs: &results)
        testTransactions[id] = token
        enqueue(&results)
        return id
    }

    private mutating func endTest(_ token: UInt64, now: Instant) {
        guard var test = testCalls[token] else { return }
        switch test.stage {
        case .opening, .ending: return
        case .inviting, .cancelling:
            test.stage = .cancelling
            // Should nothing ever come back, timer B ends it.
            test.deadline = now + .seconds(32)
            if test.hasHeard, !test.isCancelSent { cancelTest(&test, token, now: now) }
            testCalls[token] = test
        case .listening:
            let statistics = media.statistics[test.media.session.index, .callee]
            test.report.packets = statistics.packets
            test.report.source = statistics.source
            test.stage = .ending
            test.deadline = now + .seconds(5)
            guard let dialog = test.dialog else { return }
            let branch = newBranch()
            var builder = dialog.request(.bye, branch: branch, sentBy: endpoint(for: dialog.destination))
            builder.add(lines: settings.userAgentLine)
            test.note("BYE sent", at: now)
            testCalls[token] = test
            _ = sendTest(builder.finish(), .bye, branch: branch, to: dialog.destination, token, now: now)
        }
    }

    private mutating func cancelTest(_ test: inout TestCall, _ token: UInt64, now: Instant) {
        guard let id = test.transaction, let branch = test.viaBranch, let cancel = cancelled(id, now: now) else { return }
        test.isCancelSent = true
        test.note("CANCEL sent", at: now)
        _ = sendTest(cancel.octets, .cancel, branch: branch, to: cancel.destination, token, now: now)
    }

    // MARK: What comes back

    /// True when the response belongs to a test call.
    mutating func receiveTestResponse(_ id: TransactionID, _ response: SIPMessage, from source: Flow, now: Instant) -> Bool {
        guard let token = testTransactions[id] else { return false }
        guard var test = testCalls[token], let status = response.status else { return true }
        if response.method == .bye {
            guard status >= 200 else { return true }
            test.note("\(status) \(response.reasonPhrase) to BYE", at: now)
            testCalls[token] = test
            finishTest(token, now: now)
            return true
        }
        guard response.method == .invite else { return true }
        if status < 200 || test.acknowledgement.isEmpty { test.note("\(status) \(response.reasonPhrase)\(Self.descriptionNote(response))", at: now) }
        test.hasHeard = true
        switch status {
        case 100..<200:
            if status > 100 { expectTestMedia(&test, response, from: source) }
            if test.stage == .cancelling, !test.isCancelSent { cancelTest(&test, token, now: now) }
            testCalls[token] = test
        case 200..<300: testAnswered(token, &test, response, from: source, now: now)
        case 401 where takeChallenge(response, of: test.trunk, attempt: test.challenges),
            407 where takeChallenge(response, of: test.trunk, attempt: test.challenges):
            test.challenges += 1
            test.hasHeard = false
            let isCancelled = test.stage == .cancelling
            testCalls[token] = test
            if isCancelled { finishTest(token, now: now) } else { inviteTest(token, now: now) }
        default:
            testCalls[token] = test
            finishTest(token, now: now)
        }
        return true
    }

    private static func descriptionNote(_ response: SIPMessage) -> String {
        guard response.hasSessionDescription, let description = try? SessionDescription(parsing: response.body),
            let media = description.media.first
        else { return "" }
        let names = media.payloads.map { $0.encodingName ?? "\($0.number)" }.joined(separator: " ")
        return ", SDP: \(names) at \(media.rtpAddress?.description ?? "no address")"
    }

    private mutating func testAnswered(
        _ token: UInt64, _ test: inout TestCall, _ response: SIPMessage, from source: Flow, now: Instant
    ) {
        guard test.acknowledgement.isEmpty, let dialog = test.dialog else {
            if let dialog = test.dialog { output(.send(test.acknowledgement, to: dialog.destination, transaction: nil)) }
            return
        }
        dialog.update(with: response, source: source)
        test.acknowledgement = dialog.request(
            .ack, branch: newBranch(), sentBy: endpoint(for: dialog.destination), sequence: response.cseq.number).finish()
        test.report.answeredMilliseconds = (now - test.startedAt).milliseconds
        expectTestMedia(&test, response, from: source)
        output(.send(test.acknowledgement, to: dialog.destination, transaction: nil))
        let wasCancelled = test.stage == .cancelling
        test.stage = .listening
        test.deadline = now + test.listening
        testCalls[token] = test
        if wasCancelled { endTest(token, now: now) }
    }

    private mutating func expectTestMedia(_ test: inout TestCall, _ response: SIPMessage, from source: Flow) {
        guard response.hasSessionDescription, let answer = try? SessionDescription(parsing: response.body),
            let medium = answer.media.first, medium.isRTP, medium.port != 0
        else { return }
        let address = Self.mediaAddress(of: medium, from: source)
        let rtcp = medium.rtcpAddress ?? SocketAddress(ip: address.ip, port: address.port &+ 1)
        output(
            .relay(
                .expect(
                    test.media.session, .callee,
                    ExpectedSource(
                        rtp: address, rtcp: rtcp, signalling: source.ip, isRTCPMuxed: false, transport: .rtp,
                        direction: MediaDirection(medium.direction), formats: PayloadFormats(medium)))))
    }

    /// True for a request in the dialog of a test call. The other side may hang up; it may not change anything.
    mutating func receiveTestRequest(_ id: TransactionID, _ request: SIPMessage, from source: Flow, now: Instant) -> Bool {
        let callID = String(decoding: request.callID, as: UTF8.self)
        guard let token = testCalls.first(where: { $0.value.dialog?.callID == callID })?.key else { return false }
        answer(id, request, from: source, status: request.method == .bye ? 200 : request.method == .invite ? 488 : 200, now: now)
        guard request.method == .bye else { return true }
        testCalls[token]?.note("BYE received", at: now)
        if let session = testCalls[token]?.media.session { testCalls[token]?.report.packets = media.statistics[session.index, .callee].packets }
        finishTest(token, now: now)
        return true
    }

    /// True when nothing came back to a request of a test call.
    mutating func testUnanswered(_ id: TransactionID, _ reason: String, now: Instant) -> Bool {
        guard let token = testTransactions[id] else { return false }
        guard testCalls[token] != nil else { return true }
        testCalls[token]?.note(reason, at: now)
        finishTest(token, now: now)
        return true
    }

    // MARK: Time, media and end

    var nextTestDeadline: Instant? { testCalls.isEmpty ? nil : testCalls.values.compactMap(\.deadline).min() }

    mutating func testDeadlinesDue(now: Instant) {
        for (token, test) in testCalls.sorted(by: { $0.key < $1.key }) {
            guard let due = test.deadline, due <= now else { continue }
            testCalls[token]?.deadline = nil
            switch test.stage {
            case .inviting, .listening: endTest(token, now: now)
            case .cancelling, .ending:
                testCalls[token]?.note("nothing more came", at: now)
                finishTest(token, now: now)
            case .opening: break
            }
        }
    }

    mutating func endTestCalls(now: Instant) {
        for token in testCalls.keys.sorted() { endTest(token, now: now) }
    }

    /// True when the event is about the media of a test call.
    mutating func handleTestMedia(_ event: RelayEvent, now: Instant) -> Bool {
        switch event {
        case .opened(let session):
            guard let token = testSessions[session] else { return false }
            if testCalls[token] != nil { inviteTest(token, now: now) } else { output(.relay(.close(session))) }
        case .openFailed(let session, _, _):
            guard let token = testSessions[session] else { return false }
            testCalls[token]?.note("no media port could be opened", at: now)
            reportTest(token)
            testSessions[session] = nil
            if let taken = closingTests.removeValue(forKey: session) { media.giveBackRefused(taken, now: now) }
        case .locked(let session, _, let source):
            guard let token = testSessions[session] else { return false }
            testCalls[token]?.note("first RTP, from \(source)", at: now)
        case .closed(let session):
            guard testSessions.removeValue(forKey: session) != nil else { return false }
            if let taken = closingTests.removeValue(forKey: session) { media.giveBack(taken, now: now) }
        case .digit, .stopped: return false
        }
        return true
    }

    private mutating func finishTest(_ token: UInt64, now: Instant) {
        guard let test = testCalls[token] else { return }
        reportTest(token)
        output(.relay(.close(test.media.session)))
    }

    private mutating func reportTest(_ token: UInt64) {
        guard let test = testCalls.removeValue(forKey: token) else { return }
        closingTests[test.media.session] = test.media
        var report = ProbeReport(
            trunk: test.trunk, address: trunkStates[test.trunk]?.trunk.address ?? SocketAddress(ip: .ipv4Any, port: 0),
            result: test.report.steps.last?.text ?? "")
        report.call = test.report
        output(.probed(token, report))
    }
}
