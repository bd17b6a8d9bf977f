import ControlProtocol
import Core
import Foundation

/// The steps, one after the other.
struct Examination {
    let hours: Int
    let showsProgress: Bool
    private var steps: [DoctorReport.Step] = []

    /// Of the test calls, in seconds: short, so that nobody waits for a minute.
    private static let timeout = 3

    init(hours: Int, showsProgress: Bool) {
        self.hours = hours
        self.showsProgress = showsProgress
    }

    mutating func run(_ client: inout ControlClient) throws(ControlClientError) -> DoctorReport {
        let rows = try client.configuration()
        let now = WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1_000))
        let audit = try? client.audit(AuditQuery(since: now + .seconds(-3_600 * hours)))
        steps.append(DoctorLints.timeoutStep(rows))
        steps.append(DoctorLints.accumulationStep(try client.calls(), try client.status(), audit: audit))
        steps.append(DoctorLints.auditStep(audit, hours: hours))
        steps.append(DoctorLints.sessionTimerStep(rows))
        steps.append(DoctorLints.documentedStep(rows))
        steps.append(DoctorLints.strangersStep(try client.strangers(StrangerQuery(limit: 1_000)), hours: hours, now: now))
        do throws(TestSocket.Failure) {
            try placeCalls(&client)
        } catch {
            skipCalls(error.reason)
        }
        return DoctorReport(steps: steps)
    }

    private static let callSteps = [
        (1, "Media goes through relayd"), (3, "A good call stays up"), (4, "A ghost call is ended"), (5, "Records are right"),
        (6, "A call on hold stays up"),
    ]

    private mutating func skipCalls(_ reason: String) {
        for (number, title) in Self.callSteps where !steps.contains(where: { $0.number == number }) {
            steps.append(.init(number, title, .skipped, reason))
        }
    }

    private mutating func placeCalls(_ client: inout ControlClient) throws(TestSocket.Failure) {
        let server: SocketAddress
        let callerSIP: TestSocket
        let calleeSIP: TestSocket
        do throws(ControlClientError) {
            let listen = try client.status().sipAddress
            let loopback = listen.ip.family == .ipv4 ? IPAddress.ipv4Loopback : IPAddress.ipv6Loopback
            server = listen.ip.isUnspecified ? SocketAddress(ip: loopback, port: listen.port) : listen
        } catch { return skipCalls(error.sentence) }
        callerSIP = try TestSocket(on: server.ip)
        calleeSIP = try TestSocket(on: server.ip)
        var query = DoctorQuery(
            caller: callerSIP.address, callee: calleeSIP.address, noMediaTimeoutSeconds: Self.timeout, seconds: 90)
        do throws(ControlClientError) {
            try client.doctor(query)
        } catch { return skipCalls("relayd does not let the doctor place calls: \(error.sentence)") }
        defer {
            query.seconds = 0
            try? client.doctor(query)
        }
        let good = try TestCall(through: server, callerSIP: callerSIP, calleeSIP: calleeSIP, number: "doctor-good")
        let goodSeconds = examineGoodCall(good)
        guard good.answeredAt != nil else {
            return skipCalls("The first test call was not answered: \(good.status.map { "SIP \($0)" } ?? "no response").")
        }
        let ghost = try TestCall(through: server, callerSIP: callerSIP, calleeSIP: calleeSIP, number: "doctor-ghost")
        examineGhostCall(ghost)
        let held = try TestCall(through: server, callerSIP: callerSIP, calleeSIP: calleeSIP, number: "doctor-held")
        examineHeldCall(held)
        examineRecords(&client, good: good, goodSeconds: goodSeconds, ghost: ghost)
    }

    private func say(_ text: String) {
        if showsProgress { FileHandle.standardError.write(Data((text + "\n").utf8)) }
    }

    // MARK: Calls

    /// - Returns: how long it was up.
    private mutating func examineGoodCall(_ call: TestCall) -> Double {
        say("A good call, with media for \(Self.timeout + 3) s …")
        call.connect()
        guard let answeredAt = call.answeredAt, let towardsCaller = call.caller.relay, let towardsCallee = call.callee.relay else {
            steps.append(
                .init(
                    1, Self.callSteps[0].1, .failed, "The test call was not answered: \(call.status.map { "SIP \($0)" } ?? "no response").",
                    advice: "see `relayctl records --limit 1` for its cause"))
            return 0
        }
        call.talk(true)
        // Until each is locked and has heard the other: what is sent before may be dropped.
        call.pump(2) { call.caller.heard > 0 && call.callee.heard > 0 }
        let before = (call.caller.sent, call.callee.sent, call.caller.heard, call.callee.heard)
        call.pump(Double(Self.timeout) + 3)
        let wasUp = call.isUp
        call.talk(false)
        call.pump(0.2)
        let sent = (Int(call.caller.sent - before.0), Int(call.callee.sent - before.1))
        let heard = (call.callee.heard - before.3, call.caller.heard - before.2)
        let sources = call.caller.heardFrom.union(call.callee.heardFrom)
        let isProxied = sources == [towardsCaller, towardsCallee] && towardsCaller != call.callee.rtp.address
        let isWhole = heard.0 >= sent.0 - 1 && heard.1 >= sent.1 - 1
        steps.append(
            .init(
                1, Self.callSteps[0].1, isProxied && isWhole ? .passed : .failed,
                "\(heard.0) of \(sent.0) packets arrived from the caller and \(heard.1) of \(sent.1) from the callee, by way of "
                    + "\(towardsCaller) and \(towardsCallee).",
                advice: isProxied && isWhole ? "" : "see the drops in `relayctl status`, and media.address and media.advertise"))
        call.hangUp()
        let seconds = TestSocket.seconds - answeredAt
        let isPassedOn = call.byeStatus == 200 && call.callee.bye != nil
        steps.append(
            .init(
                3, Self.callSteps[1].1, wasUp && isPassedOn ? .passed : .failed,
                wasUp
                    ? "With media it was up for \(Self.text(seconds)) s, the timeout being \(Self.timeout) s; the caller's BYE "
                        + (isPassedOn ? "was passed on." : "was not passed on.")
                    : "It was ended although media flowed: \(call.caller.bye?.reason ?? call.callee.bye?.reason ?? "").",
                advice: wasUp && isPassedOn ? "" : "see `relayctl records --limit 1`"))
        return seconds
    }

    private mutating func examineGhostCall(_ call: TestCall) {
        say("A call whose media die after 1 s …")
        call.connect()
        guard call.answeredAt != nil else {
            return steps.append(.init(4, Self.callSteps[2].1, .failed, "The test call was not answered."))
        }
        call.talk(true)
        call.pump(1)
        call.talk(false)
        let silentSince = TestSocket.seconds
        call.pump(Double(Self.timeout) + 3) { call.caller.bye != nil && call.callee.bye != nil }
        guard let caller = call.caller.bye, let callee = call.callee.bye else {
            call.hangUp()
            return steps.append(
                .init(
                    4, Self.callSteps[2].1, .failed,
                    "\(Self.timeout + 3) s after its last packet it is still up; its timeout is \(Self.timeout) s.",
                    advice: "see `relayctl call` for why it is not watched"))
        }
        let after = max(caller.at, callee.at) - silentSince
        let isInTime = after <= Double(Self.timeout) + 1
        steps.append(
            .init(
                4, Self.callSteps[2].1, isInTime ? .passed : .failed,
                "Both sides got BYE \(Self.text(after)) s after the last packet, the timeout being \(Self.timeout) s, with Reason "
                    + "\(caller.reason)."))
    }

    private mutating func examineHeldCall(_ call: TestCall) {
        say("A call on hold for \(Self.timeout + 3) s …")
        call.connect()
        guard call.answeredAt != nil else {
            return steps.append(.init(6, Self.callSteps[4].1, .failed, "The test call was not answered."))
        }
        call.talk(true)
        call.pump(1)
        call.hold()
        guard let status = call.holdStatus, status < 300 else {
            let answer = call.holdStatus.map { "SIP \($0)" } ?? "no response"
            steps.append(
                .init(6, Self.callSteps[4].1, .skipped, "This relayd takes no changed session: the re-INVITE that holds got \(answer)."))
            call.talk(false)
            return call.hangUp()
        }
        call.talk(false)
        call.pump(Double(Self.timeout) + 3) { !call.isUp }
        let isUp = call.isUp
        steps.append(
            .init(
                6, Self.callSteps[4].1, isUp ? .passed : .failed,
                isUp
                    ? "On hold (a=inactive) without a packet for \(Self.timeout + 3) s it stayed up, the timeout being \(Self.timeout) s."
                    : "It was ended while on hold: \(call.caller.bye?.reason ?? call.callee.bye?.reason ?? "").",
                advice: isUp ? "" : "see media.hold_timeout"))
        call.hangUp()
    }

    // MARK: Records

    private mutating func examineRecords(
        _ client: inout ControlClient, good: TestCall, goodSeconds: Double, ghost: TestCall
    ) {
        var found: [String: CallRecord] = [:]
        let deadline = TestSocket.seconds + 5
        do throws(ControlClientError) {
            while found.count < 2, TestSocket.seconds < deadline {
                for id in [good.callID, ghost.callID] {
                    if let record = try client.records(RecordQuery(limit: 1, match: id)).first { found[id] = record }
                }
                // Records are stored a moment after the release, and no event says that they can be read; at most 5 s.
                if found.count < 2 { usleep(100_000) }
            }
        } catch {
            return steps.append(.init(5, Self.callSteps[3].1, .skipped, error.sentence))
        }
        guard let goodRecord = found[good.callID], let ghostRecord = found[ghost.callID] else {
            return steps.append(
                .init(
                    5, Self.callSteps[3].1, .failed, "\(found.count) of 2 records were written within 5 s.",
                    advice: "see Records in `relayctl status`: the disk may be full"))
        }
        var wrong: [String] = []
        func check(_ isRight: Bool, _ sentence: String) { if !isRight { wrong.append(sentence) } }
        let duration = Double(goodRecord.durationMilliseconds) / 1_000
        check(goodRecord.cause == .normal, "the good call's cause is \(goodRecord.cause.rawValue)")
        check(abs(duration - goodSeconds) < 1, "the good call's duration is \(duration) s, it was \(Self.text(goodSeconds)) s")
        check(Double(goodRecord.talkSeconds) > goodSeconds - 2, "the good call has \(goodRecord.talkSeconds) s of talk")
        check(ghostRecord.cause == .noMedia, "the ghost call's cause is \(ghostRecord.cause.rawValue)")
        check(
            abs(ghostRecord.deadAirSeconds - Self.timeout) <= 1, "the ghost call has \(ghostRecord.deadAirSeconds) s of dead air")
        let facts =
            "Good call: \(goodRecord.cause.rawValue), \(Self.text(duration)) s, \(goodRecord.talkSeconds) s talk, "
            + "\(goodRecord.fromCaller.packets)/\(goodRecord.fromCallee.packets) packets. Ghost call: \(ghostRecord.cause.rawValue), "
            + "\(ghostRecord.deadAirSeconds) s dead air, ended by \(ghostRecord.endedBy.rawValue)."
        steps.append(
            .init(
                5, Self.callSteps[3].1, wrong.isEmpty ? .passed : .failed,
                wrong.isEmpty ? facts : "Wrong: \(wrong.joined(separator: "; ")). \(facts)",
                advice: wrong.isEmpty ? "" : "report this with `relayctl records --json --match \(good.callID)`"))
    }

    private static func text(_ seconds: Double) -> String {
        let tenths = Int((seconds * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
