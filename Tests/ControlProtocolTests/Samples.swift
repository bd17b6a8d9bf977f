import Core

@testable import ControlProtocol

/// Values as a busy daemon would answer them.
enum Samples {
    static let setup = WallTime("2026-01-31T08:15:04.120Z")!
    static func address(_ text: String) -> SocketAddress { SocketAddress(text)! }

    static let status = StatusReport(
        version: "0.1.0", pid: 4242, startedAt: setup, uptimeSeconds: 97_384, sipAddress: address("192.0.2.10:5060"),
        ngAddresses: ["udp:127.0.0.1:2223", "unix:/run/relayd/ng.sock"],
        media: .init(
            address: IPAddress("192.0.2.10")!, firstPort: 20_000, lastPort: 29_999, portsInUse: 1_640,
            portsInQuarantine: 212, portsFree: 8_148, sessionsKept: 96),
        calls: .init(current: 410, connected: 402, limit: 2_500, attempted: 181_022, answered: 120_877, released: 180_612),
        phones: PhoneFigures(users: 50, registered: 38, limit: 100_000, keptAlive: 30, coverage: 1, unreachable: 2),
        workers: [
            .init(index: 0, sessions: 204, packetsReceived: 981_223_871, packetsSent: 981_223_004, packetsDropped: 867),
            .init(index: 1, sessions: 206, packetsReceived: 984_007_112, packetsSent: 984_006_995, packetsDropped: 117),
        ],
        records: .init(journaled: 180_612, stored: 180_609, pending: 3, failures: 0),
        memory: .init(resident: 157_286_400, allocated: 61_341_696),
        ioUring: [
            .init(name: "multishot recvmsg", available: true), .init(name: "provided buffer rings", available: true),
            .init(name: "ring messages", available: true),
            .init(
                name: "min_wait_usec", available: false,
                note: "since Linux 6.12; without it a worker wakes more often, which costs some CPU"),
        ],
        counters: [
            "rtp_packets_received": 1_965_230_983, "rtp_packets_sent": 1_965_229_999, "sockets_reused": 180_402, "dropped_stranger": 984,
            "sip_datagrams_received": 2_410_233, "calls_attempted": 181_022, "mailbox_full": 0,
        ],
        warnings: ["The limit of open files (4096) allows 1,000 calls, not 2,500: raise LimitNOFILE."])

    static let metrics: MetricsSnapshot = {
        var snapshot = MetricsSnapshot(
            status: status, callStates: ["setup": 1, "ringing": 7, "connected": 402],
            releases: ["normal": 120_000, "no_media": 12])
        var carrier = TrunkFigures(name: "carrier-berlin", address: address("203.0.113.5:5060"), calls: 204, capacity: 300)
        var customers = TrunkFigures(name: "customers", address: address("198.51.100.20:5060"), calls: 206)
        for record in records {
            carrier.outgoing.add(record)
            customers.incoming.add(record)
            snapshot.distributions.add(record)
        }
        snapshot.trunks = [carrier, customers]
        return snapshot
    }()

    static let calls = [
        CallSummary(
            id: "k3f2a9c1", state: .connected, callerNumber: "493012345678", calledNumber: "442079460123",
            callerTrunk: "carrier-berlin", calleeTrunk: "carrier-london", setupAt: setup, answerAt: setup,
            durationSeconds: 3_723, fromCaller: .init(state: .flowing, silenceSeconds: 0.01, packets: 186_150),
            fromCallee: .init(state: .silent, silenceSeconds: 42.57, packets: 183_990), monitored: true,
            monitoredReason: "media is relayed", noMediaTimeoutSeconds: 60, noMediaMode: .both),
        CallSummary(
            id: "p81xzz07", state: .connected, callerNumber: "1001", calledNumber: "112", callerTrunk: "office",
            calleeTrunk: "emergency", setupAt: setup + .seconds(5), answerAt: setup + .seconds(8), durationSeconds: 61,
            fromCaller: .init(state: .held, silenceSeconds: 12, packets: 1_200),
            fromCallee: .init(state: .flowing, silenceSeconds: 0, packets: 3_000), monitored: false,
            monitoredReason: "emergency number", noMediaTimeoutSeconds: 0, noMediaMode: .any),
        CallSummary(
            id: "00qrstuv", state: .ringing, callerNumber: "evil\u{1b}[2Jname", calledNumber: "4915112345678",
            callerTrunk: "office", calleeTrunk: nil, setupAt: setup + .seconds(60), monitored: false,
            monitoredReason: "not answered yet", noMediaTimeoutSeconds: 60, noMediaMode: .both),
    ]

    static let detail: CallDetail = {
        var detail = audioDetail
        detail.endsInSeconds = 3_477
        detail.caller.sessionTimer = .init(
            intervalSeconds: 1_800, refresher: .relayd, isPeerSupporting: false, refreshInSeconds: 177)
        detail.callee?.sessionTimer = .init(
            intervalSeconds: 1_800, refresher: .peer, isPeerSupporting: true, expiresInSeconds: 1_045)
        detail.furtherMedia = [further(2, "video", isOpen: true), further(3, "image", isOpen: false)]
        return detail
    }()

    private static func further(_ line: Int, _ kind: String, isOpen: Bool) -> CallDetail.FurtherMedium {
        func party(_ host: String, _ port: Int, _ state: MediaState, _ packets: UInt64) -> CallDetail.FurtherMedium.Party {
            .init(
                media: .init(state: state, silenceSeconds: state == .flowing ? 0 : 12.3, packets: packets),
                direction: isOpen ? "sendrecv" : nil, relayAddress: isOpen ? address("192.0.2.10:\(port)") : nil,
                sdpAddress: address("\(host):\(port + 100)"), lockedSource: isOpen ? address("\(host):\(port + 100)") : nil,
                octets: packets * 900, lost: packets / 1_000, strangersDropped: 0, sentPackets: packets / 2)
        }
        return .init(
            line: line, kind: kind, isOpen: isOpen, caller: party("198.51.100.7", 20_010, .flowing, 90_120),
            callee: party("203.0.113.21", 20_012, isOpen ? .silent : .waiting, isOpen ? 45_010 : 0))
    }

    private static let audioDetail = CallDetail(
        summary: calls[0],
        caller: .init(
            callID: "8f14e45f-ceea-467a-9575-3b1a2c6b7d10@198.51.100.7", localTag: "x7k2m9q4", remoteTag: "as58f4201b",
            signallingAddress: address("198.51.100.7:5060"), relayAddress: address("192.0.2.10:20000"),
            sdpAddress: address("10.1.2.3:16384"), lockedSource: address("198.51.100.7:40222"), packets: 186_150,
            octets: 32_017_800, lost: 12, strangersDropped: 3),
        callee: .init(
            callID: "m3n8v0p2x5c7@192.0.2.10", localTag: "b2c4d6e8", remoteTag: nil,
            signallingAddress: address("203.0.113.20:5060"), relayAddress: address("192.0.2.10:20002"),
            sdpAddress: address("203.0.113.21:30000"), lockedSource: nil, packets: 183_990, octets: 31_646_280),
        ladder: ladder)

    static let ladder: [LadderEntry] = [
        entry(0, .caller, .in, "INVITE"), entry(0, .caller, .out, "100 Trying"), entry(1, .callee, .out, "INVITE"),
        entry(501, .callee, .out, "INVITE", again: true), entry(540, .callee, .in, "180 Ringing"),
        entry(541, .caller, .out, "180 Ringing"), entry(2_310, .callee, .in, "200 OK"),
        entry(2_311, .callee, .out, "ACK"), entry(2_312, .caller, .out, "200 OK"), entry(2_340, .caller, .in, "ACK"),
        entry(62_840, .caller, .out, "BYE"), entry(62_840, .callee, .out, "BYE"),
        entry(62_851, .callee, .in, "481 Call/Transaction Does Not Exist, and a reason phrase that never ends"),
    ]

    private static func entry(
        _ milliseconds: Int64, _ leg: LadderEntry.Leg, _ direction: LadderEntry.Direction, _ text: String,
        again: Bool = false
    ) -> LadderEntry {
        LadderEntry(
            at: setup + .milliseconds(milliseconds), milliseconds: milliseconds, leg: leg, direction: direction,
            text: text, retransmission: again)
    }

    static let records = [
        CallRecord(
            id: "20260131-081504-k3f2a9c1", callerCallID: "8f14e45f@198.51.100.7", calleeCallID: "m3n8v0p2@192.0.2.10",
            callerTrunk: "carrier-berlin", calleeTrunk: "carrier-london", callerNumber: "493012345678",
            calledNumber: "442079460123", callerAddress: address("198.51.100.7:5060"),
            calleeAddress: address("203.0.113.20:5060"), setupAt: setup, ringAt: setup + .milliseconds(541),
            answerAt: setup + .milliseconds(2_311), releaseAt: setup + .milliseconds(3_725_311),
            durationMilliseconds: 3_723_000, talkSeconds: 3_661, deadAirSeconds: 61,
            fromCaller: .init(packets: 183_050, octets: 31_484_600, lost: 12, lastMediaAt: setup + .seconds(3_664)),
            fromCallee: .init(packets: 183_049, octets: 31_484_428), cause: .noMedia, sipCode: 200, q850: 16,
            endedBy: .relayd, noMediaTimeoutSeconds: 60),
        CallRecord(
            id: "20260131-081501-00qrstuv", callerCallID: "1", callerNumber: "1001", calledNumber: "4915112345678",
            callerAddress: address("[2001:db8::7]:5060"), setupAt: setup, releaseAt: setup + .seconds(1),
            cause: .mediaNotAcceptable, sipCode: 488, q850: 79, endedBy: .relayd),
        CallRecord(
            id: "20260131-081500-aaaaaaaa", callerCallID: "2", callerTrunk: "office", calleeTrunk: "carrier-london",
            callerNumber: "1002", calledNumber: "442079460123", callerAddress: address("10.0.0.2:5060"), setupAt: setup,
            answerAt: setup, releaseAt: setup + .seconds(9), durationMilliseconds: 9_400, talkSeconds: 9,
            fromCaller: .init(packets: 470), fromCallee: .init(packets: 468), cause: .normal, sipCode: 200, q850: 16,
            endedBy: .caller, noMediaTimeoutSeconds: 60),
    ]

    /// As they are now that verdicts are kept.
    static let recordsWithVerdicts: [CallRecord] = zip(records, [CallVerdict.mediaDied, nil, .normal]).map { record, verdict in
        var record = record
        record.verdict = verdict
        record.explanation = verdict == .mediaDied ? "The RTP of both sides stopped together at 3,664 s." : nil
        return record
    }

    static let configuration = [
        ConfigurationRow(
            key: "sip.address", value: "192.0.2.10:5060", origin: "/etc/relayd/relayd.toml:3", reload: "restart"),
        ConfigurationRow(
            key: "media.no_media_timeout", value: "60 s", origin: "default", vosName: "SS_NO_MEDIA_HANGUP",
            reload: "new calls"),
        ConfigurationRow(key: "calls.maximum", value: "2500", origin: "default", reload: "now"),
    ]

    static let events = [
        Event(at: setup, name: .callSetup, callID: "k3f2a9c1", fields: ["caller": "493012345678", "called": "442079460123"]),
        Event(at: setup + .seconds(3), name: .callReleased, callID: "k3f2a9c1", fields: ["cause": "no_media", "text": "a b"]),
        Event(at: setup + .seconds(4), name: .daemonStopping),
    ]
}

extension Samples {
    static let registrations = RegistrationList(
        total: 4, matching: 3,
        bindings: [
            RegistrationSummary(
                id: "0.1", user: "ada", contact: "sip:ada@10.0.0.2:5060", source: "198.51.100.77:40000", nat: "Contact", agent: "Testphone 1.0",
                q: 1, path: nil, expiresInSeconds: 281, registeredAt: WallTime(milliseconds: 1_800_000_000_000)),
            RegistrationSummary(
                id: "1.3", user: "ada", contact: "sip:ada@10.0.0.3:5061;transport=tls", source: "tls:198.51.100.77:40001", connection: "closed",
                nat: "Contact", agent: "Testphone 1.0", q: 0.25, path: nil, expiresInSeconds: 120,
                registeredAt: WallTime(milliseconds: 1_800_000_000_000)),
            RegistrationSummary(
                id: "2.1", user: "bob", contact: "sip:bob@192.168.1.9:5060", source: "tcp:203.0.113.50:5060", nat: "no", agent: "Otherphone",
                q: 0.5, path: "<sip:203.0.113.50;transport=tcp;lr>", expiresInSeconds: 3_599,
                registeredAt: WallTime(milliseconds: 1_800_000_000_000)),
        ])

    static let bindings = registrations.bindings.map { binding in
        BindingDetail(
            binding: binding,
            keepAlive: binding.id == "0.1"
                ? BindingDetail.KeepAlive(
                    lastSentSecondsAgo: 12.4, lastHeardSecondsAgo: 12.3, longestGapSeconds: 30.1, sent: 20, missedDeadlines: 0, errors: 0,
                    lastError: nil, answers: 20, unanswered: 0, survivedSilenceSeconds: 29.9) : nil,
            verdict: binding.connection == "closed"
                ? "Its TLS connection closed 40 s ago: no call reaches it before it registers anew." : "It answers: an inbound call will reach it.")
    }

    static let suspensions = [
        SuspensionSummary(
            user: "ada", address: IPAddress("198.51.100.77")!, until: WallTime(milliseconds: 1_800_000_000_000), secondsLeft: 121),
        SuspensionSummary(
            user: "nobody", address: IPAddress("2001:db8::7")!, until: WallTime(milliseconds: 1_800_000_030_000), secondsLeft: 151),
    ]
}
