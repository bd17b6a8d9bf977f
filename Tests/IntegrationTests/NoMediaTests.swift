import ControlProtocol
import Core
import Harness
import Testing

@Suite("no-media hangup", .inTurn, .serialized, .needs(.sipp))
struct NoMediaTests {
    @Test("mode both: when both sides fall silent both get BYE with a Reason, and the record says no_media")
    func bothSilent() async throws {
        try await Testbed.with({ $0.noMediaTimeout = 5 }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            let media = try await call.exchange(packets: 50)
            #expect(media.heardByCallee == media.sentByCaller)
            try await expectHungUp(call, bed)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            let last = try #require([record.fromCaller.lastMediaAt, record.fromCallee.lastMediaAt].compactMap(\.self).max())
            let silence = record.releaseAt.milliseconds - last.milliseconds
            // Two times cut to milliseconds may be one short of their distance.
            #expect(silence >= 4_999 && silence < 12_000, "the timeout and not much more; it took \(silence) ms")
            #expect(record.verdict == .mediaDied, "\(record.explanation ?? "")")
        }
    }

    @Test("mode both: one silent side does not end the call")
    func oneSilentIsKept() async throws {
        try await Testbed.with({ $0.noMediaTimeout = 5 }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            call.calleeMedia.stop()
            // More than the timeout, told by the media itself: the caller sends 50 packets a second.
            let start = call.callerMedia.sentCount
            try await eventually("seven more seconds of the caller", within: .seconds(60)) {
                call.callerMedia.sentCount >= start + 350
            }
            let present = try bed.daemon.control.calls()
            #expect(present.map(\.state) == [.connected])
            #expect(present.first?.fromCallee.state == .silent)
            #expect(present.first?.fromCaller.state == .flowing)
            #expect(call.caller.received("BYE").isEmpty)
            call.callerMedia.stop()
            try await expectHungUp(call, bed)
        }
    }

    @Test("mode any: one silent side ends the call", arguments: [MediaStream.Party.caller, .callee])
    func anySilent(party: MediaStream.Party) async throws {
        try await Testbed.with({
            $0.noMediaTimeout = 5
            $0.noMediaMode = "any"
        }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            (party == .caller ? call.callerMedia : call.calleeMedia).stop()
            try await expectHungUp(call, bed)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.verdict == .oneWayLater && record.explanation?.contains("\(party)'s RTP stopped") == true)
        }
    }

    @Test("media that never starts ends the call; the clock begins at the answer")
    func neverStarts() async throws {
        try await Testbed.with({ $0.noMediaTimeout = 5 }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await expectHungUp(call, bed)
            let record = try #require(try await bed.daemon.records(count: 1).first)
            #expect(record.fromCaller.packets == 0 && record.fromCallee.packets == 0)
            #expect(record.fromCaller.lastMediaAt == nil)
            #expect(record.verdict == .noMedia, "\(record.explanation ?? "")")
            #expect((5_000..<12_000).contains(record.durationMilliseconds))
            #expect((5..<12).contains(record.deadAirSeconds))
            #expect(record.talkSeconds == 0)
        }
    }

    @Test("RTCP and junk on the media ports do not keep a call alive")
    func onlyRTPCounts() async throws {
        try await Testbed.with({ $0.noMediaTimeout = 5 }) { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            call.stopMedia()
            let junk = try UDPSocket(SocketAddress(ip: bed.host, port: 0))
            try await eventually("relayd hangs up") {
                let report = call.callerMedia.stream.senderReport(packetCount: 1)
                junk.send(report, to: SocketAddress(ip: bed.host, port: call.relayTowardsCaller.port + 1))
                junk.send([UInt8](repeating: 0xff, count: 172), to: call.relayTowardsCaller)
                return !call.caller.received("BYE").isEmpty
            }
            try await expectHungUp(call, bed)
        }
    }

    @Test("a timeout of 0 switches it off")
    func off() async throws {
        try await Testbed.with({ $0.noMediaTimeout = 0 }) { bed in
            let call = try await bed.connect(caller: "caller-hangs-up", callee: "callee-stays", hangsUpWhenTold: .caller)
            let present = try #require(try bed.daemon.control.calls().first)
            #expect(!present.monitored)
            try await bed.daemon.talks()
            try call.hangUp()
            try await call.caller.succeeds()
            let record = try #require(try await bed.daemon.records(count: 1).first)
            record.expectOutcome(.normal, sip: 200, q850: 16, by: .caller)
            #expect(record.noMediaTimeoutSeconds == 0)
        }
    }

    private func expectHungUp(
        _ call: ConnectedCall, _ bed: Testbed, location: SourceLocation = #_sourceLocation
    ) async throws {
        try await call.caller.succeeds()
        try await call.callee.succeeds()
        call.stopMedia()
        for side in [call.caller, call.callee] {
            let byes = side.received("BYE")
            #expect(Set(byes.map(\.text)).count == 1, sourceLocation: location)
            #expect(byes.first?.q850Cause == 102, sourceLocation: location)
        }
        let records = try await bed.daemon.records(count: 1)
        #expect(records.count == 1, sourceLocation: location)
        records[0].expectConsistent(
            with: bed, callerCallID: call.caller.callID, calleeCallID: call.callee.callID, location: location)
        records[0].expectOutcome(.noMedia, sip: 200, q850: 102, by: .relayd, location: location)
        #expect(records[0].noMediaTimeoutSeconds == 5, sourceLocation: location)
        // Who went on talking until BYE came has sent some packets to ports that were closed already.
        for (direction, media) in [(records[0].fromCaller, call.callerMedia), (records[0].fromCallee, call.calleeMedia)] {
            let sent = UInt64(media.sentCount)
            let wasTalking = records[0].releaseAt.milliseconds - (direction.lastMediaAt?.milliseconds ?? 0) < 500
            #expect(direction.packets <= sent && (wasTalking || direction.packets == sent), sourceLocation: location)
        }
        let status = try bed.daemon.control.status()
        #expect(status.counters[Counter.callsReleasedNoMedia.name] == 1, sourceLocation: location)
        #expect(status.media.portsInUse == 0, sourceLocation: location)
        #expect(status.media.portsInQuarantine == 4, sourceLocation: location)
    }
}
