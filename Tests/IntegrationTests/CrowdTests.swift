import ControlProtocol
import Core
import Harness
import Testing

@Suite("very many calls", .heavyInTurn, .needs(.sipp))
struct CrowdTests {
    @Test(
        "of 1,800 calls the 400 whose media are cut at once are released within a second after the timeout, on both legs, and no other")
    func massSilence() async throws {
        try await Testbed.with({ settings in
            settings.mediaPorts = 10_000...19_999
            settings.calls = 1_900
            settings.noMediaTimeout = 12
            settings.logLevel = "warning"
            settings.trunks[0].lines = ["sources = [\"\(settings.listen.ip)\"]"]
        }) { bed in
            let count = 1_800
            let crowd = try MediaCrowd(on: bed.host)
            defer { crowd.close() }
            let answers = try await EventSubscription.start(on: bed.daemon.control)
            defer { answers.close() }
            let callee = try await bed.callee("callee-stays") {
                $0.media = crowd.calleeAddress
                $0.calls = count
                $0.limit = .seconds(180)
            }
            var callers: [SIPp] = []
            var client = try ControlClient(path: bed.daemon.control.socketPath)
            var known: [String] = []
            // Each call must talk long before its silence would end it: the next ones come when all of these do.
            let part = count / 6
            for number in 1...6 {
                callers.append(
                    try await bed.caller("caller-stays") {
                        $0.address.port += UInt16(number)
                        $0.media = crowd.callerAddress
                        $0.calls = part
                        $0.rate = 150
                        $0.limit = .seconds(180)
                    })
                try await eventually("\(number * part) calls are up", within: .seconds(60), every: .milliseconds(50)) {
                    let answered = answers.events.filter { $0.name == .callAnswered }.compactMap(\.callID)
                    for id in answered.dropFirst(known.count) {
                        let detail = try client.call(id: id)
                        let legs = try #require(detail.callee?.relayAddress.flatMap { callee in detail.caller.relayAddress.map { ($0, callee) } })
                        crowd.add(.init(callerLeg: legs.0, calleeLeg: legs.1))
                        known.append(id)
                    }
                    return known.count == number * part
                }
            }
            try await eventually("everybody is heard", within: .seconds(30)) {
                try client.calls().allSatisfy { $0.fromCaller.packets > 1 && $0.fromCallee.packets > 1 }
            }
            #expect(try client.status().calls.connected == count)
            let cut = Set((0..<count).filter { $0 % 9 < 2 })
            #expect(cut.count == 400)
            crowd.silence(cut)
            let records = try await bed.daemon.records(count: 400, within: .seconds(60))
            // And nobody follows: the others talk on, two packets a second each.
            let heard = Dictionary(uniqueKeysWithValues: try client.calls().map { ($0.id, $0.fromCaller.packets) })
            try await eventually("two seconds more of everybody else", within: .seconds(30), every: .milliseconds(300)) {
                try client.calls().allSatisfy { $0.fromCaller.packets >= (heard[$0.id] ?? 0) + 4 }
            }
            #expect(try client.status().calls.connected == count - 400)
            #expect(Set(try client.calls().map(\.id)) == Set(known.enumerated().filter { !cut.contains($0.offset) }.map(\.element)))
            #expect(records.count == 400 && records.allSatisfy { $0.cause == .noMedia && $0.verdict == .mediaDied })
            let silences = records.map { record in
                let last = max(record.fromCaller.lastMediaAt ?? record.setupAt, record.fromCallee.lastMediaAt ?? record.setupAt)
                return record.releaseAt.milliseconds - last.milliseconds
            }
            // By relayd's own clocks: that this machine is slow to look at it says nothing.
            #expect(silences.allSatisfy { (11_999...13_000).contains($0) }, "\(silences.min() ?? 0) to \(silences.max() ?? 0) ms")
            for party in [callers, [callee]] {
                let byes = party.flatMap { $0.received("BYE") }
                #expect(Set(byes.compactMap { $0.header("Call-ID") }).count == 400 && byes.allSatisfy { $0.q850Cause == 102 })
            }
            #expect(try client.status().media.portsInUse == (count - 400) * 4)
            // The others stay until the end of the test, which takes nobody's BYE.
            bed.daemon.process.kill()
        }
    }
}
