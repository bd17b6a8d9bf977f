import Configuration
import Control
import ControlProtocol
import Core
import SIP
import Testing

/// What `relayctl keepalive` finds, and the evidence it gives.
@Suite struct KeepAliveReportTests {
    private static let media = "one-way audio because media is not relayed"

    private func report(_ phones: PhoneWorld) -> KeepAliveReport { phones.world.control.keepAliveReport(now: phones.world.now) }

    private func finding(_ symptom: String, _ phones: PhoneWorld) throws -> KeepAliveReport.Finding {
        try #require(report(phones).findings.first { $0.symptom == symptom })
    }

    /// Ada behind NAT, Bob not.
    private func registered(_ configure: @escaping (inout Configuration) -> Void) -> PhoneWorld {
        let phones = PhoneWorld(configure)
        #expect(phones.prove("REGISTER", via: "10.0.0.2:5060")?.status == 200)
        #expect(phones.prove("REGISTER", user: "bob", password: "word", from: PhoneWorld.other)?.status == 200)
        return phones
    }

    private func answerOptions(_ phones: PhoneWorld) throws {
        let batch = try #require(phones.world.keepAlives.last?.batch)
        guard case .message(let options) = SIPMessage.parse(Array(batch.octets(0))) else { throw SimulatedFailure("no SIP") }
        let answer = MessageBuilder.response(to: options, status: 200, toTag: "x", source: SimulatedWorld.relayd).finish()
        _ = phones.world.exchange(String(decoding: answer, as: UTF8.self).replacing("\r\n", with: "\n"), from: PhoneWorld.phone)
    }

    private struct SimulatedFailure: Error {
        let text: String
        init(_ text: String) { self.text = text }
    }

    @Test("without users the report says that it is off")
    func nobody() {
        let world = SimulatedWorld(seed: 1)
        let report = world.control.keepAliveReport(now: world.now)
        #expect(!report.isOn)
        #expect(report.text(TextStyle(width: 100)).contains("off: there are no users"))
    }

    @Test("with phones that answer nothing is wrong, and each line says how that is known")
    func fine() throws {
        let phones = registered { $0.keepAlive.message = "options" }
        for _ in 0..<3 {
            let count = phones.world.keepAlives.count
            while phones.world.keepAlives.count == count { phones.world.run(for: .seconds(1)) }
            try answerOptions(phones)
        }
        let report = report(phones)
        #expect(report.isOn && report.message == "SIP OPTIONS, which is answered")
        #expect(report.registered == 2 && report.behindNAT == 1 && report.served == 1)
        #expect(report.messages == 3 && report.answers == 3 && report.errors == 0)
        #expect(report.lastCycle?.coveragePercent == 100)
        #expect(report.findings.map(\.isPresent) == [false, false, false, false, false])
        let text = report.text(TextStyle(width: 200))
        for words in [
            "2 registered, 1 behind NAT, 1 kept alive", "nothing is sent: 3 messages since the start", "every phone answers; silence of ",
            "30 s / 500 ms x 3000 = 180000 a cycle, for 1 bindings", "media.proxy_behind_nat is on: calls of phones behind NAT are relayed",
        ] { #expect(text.contains(words), "\(words) in \(text)") }
        #expect(!text.contains("Trouble"))
    }

    @Test("a phone that has not answered three times is named, with the period beside the silence that was survived")
    func lost() throws {
        let phones = registered { $0.keepAlive.message = "options" }
        phones.world.run(for: .seconds(95))
        let finding = try finding("phones unregister or miss calls at random", phones)
        #expect(finding.isPresent && finding.evidence.hasPrefix("1 phones, ada for one, have not answered the last 3"))
        #expect(finding.evidence.contains("is 0.0 s, the period 30 s: shorten keepalive.period"))
        let binding = try #require(phones.world.control.bindingDetails("ada", now: phones.world.now).first)
        #expect(binding.verdict.hasPrefix("It has not answered the last 3: the pinhole is closed, or the phone is off."))
    }

    @Test("keep-alives that are switched off, or ask for no answer, are called that")
    func unknown() throws {
        let off = registered { $0.keepAlive.message = "" }
        let nothing = try finding("nothing is sent", off)
        #expect(nothing.isPresent && nothing.evidence == "keepalive.message is empty and 1 phones are behind NAT")
        let silent = registered { $0.keepAlive.message = "HELLO" }
        let misses = try finding("phones unregister or miss calls at random", silent)
        #expect(!misses.isPresent && misses.evidence.hasPrefix("unknown while keepalive.message asks for no answer"))
    }

    @Test("more phones than a cycle can serve are starved, by the arithmetic")
    func starved() throws {
        let phones = PhoneWorld {
            $0.keepAlive.period = .seconds(10)
            $0.keepAlive.interval = .seconds(10)
            $0.keepAlive.quantity = 1
        }
        for (user, password, port) in [("ada", "secret", 5_060), ("bob", "word", 5_061)] {
            #expect(phones.prove("REGISTER", user: user, password: password, via: "10.0.0.2:\(port)")?.status == 200)
        }
        let finding = try finding("starved phones", phones)
        #expect(finding.isPresent && finding.evidence.contains("10 s / 10000 ms x 1 = 1 a cycle is less than 2 bindings"))
    }

    @Test("what the network refuses is counted by phone")
    func refused() throws {
        let phones = registered { $0.keepAlive.message = "options" }
        phones.world.run(for: .seconds(31))
        phones.world.refuse(
            DatagramError(
                destination: PhoneWorld.phone, errno: 111, icmp: ICMPMessage(isIPv6: false, type: 3, code: 3), reporter: PhoneWorld.phone.ip,
                quoted: []))
        let finding = try finding("the network refuses keep-alives", phones)
        #expect(finding.isPresent && finding.evidence == "1 phones, ada for one, were not heard since")
    }

    @Test(
        "one-way audio: by the settings that decide for each call", arguments: [
            (.on, .on, nil, false, "media.proxy_behind_nat is on"), (.off, .on, nil, false, "media.proxy_behind_nat is on"),
            (.off, .off, nil, true, "calls with other phones, a, b may go past relayd, and 1 phones are behind NAT"),
            (.auto, .off, nil, true, "calls with other phones, a, b may go past"),
            (.on, .off, nil, false, "have the media of every call relayed"), (.on, .off, .off, true, "calls with b may go past"),
            (.must, .off, .off, false, "have the media of every call relayed"), (.auto, .off, .must, true, "calls with other phones, a may go past"),
        ] as [(MediaProxyMode, OnOff, MediaProxyMode?, Bool, String)])
    func media(proxy: MediaProxyMode, behindNAT: OnOff, trunk: MediaProxyMode?, isPresent: Bool, words: String) throws {
        let phones = registered {
            $0.media.proxy = proxy
            $0.media.proxyBehindNAT = behindNAT
            $0.trunks[1].mediaProxy = trunk
        }
        let finding = try finding(Self.media, phones)
        #expect(finding.isPresent == isPresent)
        #expect(finding.evidence.contains(words), "\(finding.evidence)")
        #expect(report(phones).text(TextStyle(width: 300)).contains("\(isPresent ? "Trouble" : "Fine")"))
    }

    @Test("one-way audio: where no phone is behind NAT the settings do no harm, and a call that goes past relayd is named")
    func mediaOfCalls() throws {
        let phones = PhoneWorld {
            $0.media.proxy = .off
            $0.media.proxyBehindNAT = .off
        }
        #expect(phones.prove("REGISTER")?.status == 200)
        let harmless = try finding(Self.media, phones)
        #expect(!harmless.isPresent && harmless.evidence.hasSuffix("but no phone is behind NAT"))
        #expect(phones.prove("REGISTER", via: "10.0.0.2:5060")?.status == 200)
        phones.call()
        let id = try #require(phones.world.presentCalls.first)
        let finding = try finding(Self.media, phones)
        #expect(finding.isPresent)
        #expect(
            finding.evidence
                == "1 of the present calls, \(id) for one, goes past relayd although a phone behind NAT takes part (media_proxy of a is off): "
                + "set media.proxy_behind_nat = \"on\"")
    }
}
