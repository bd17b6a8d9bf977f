import ControlProtocol
import Core
import Foundation
import Glibc
import Harness
import Testing

@Suite("reload", .inTurn, .serialized, .needs(.sipp))
struct ReloadTests {
    @Test("a changed file is taken over without touching a call, by relayctl and by SIGHUP; a bad one changes nothing and says where")
    func reload() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(
                caller: "caller-hangs-up", callee: "callee-stays", hangsUpWhenTold: .caller)
            try await call.startMedia()
            let path = bed.daemon.directory.file("relayd.toml")
            let text = try String(contentsOfFile: path, encoding: .utf8)
            // Wrong: said with its line, and nothing else counts.
            let name = "name = \"carrier\""
            try text.replacing(name, with: name + "\ncapacty = 1").write(toFile: path, atomically: true, encoding: .utf8)
            let refused = try await bed.daemon.relayctl(["reload"])
            #expect(refused.code != 0)
            #expect(refused.errors.contains("capacity") && refused.errors.contains("relayd.toml:") && refused.errors.contains("Nothing was changed"))
            // Right: the second trunk is full from now on.
            try text.replacing(name, with: name + "\ncapacity = 1").write(toFile: path, atomically: true, encoding: .utf8)
            let done = try await bed.daemon.relayctl(["reload"])
            #expect(done.code == 0)
            #expect(done.output.contains("trunk.carrier.capacity: 0 -> 1, new calls only"))
            #expect(try bed.daemon.control.trunks().first { $0.name == "carrier" }?.capacity == 1)
            let events = try await EventSubscription.start(on: bed.daemon.control)
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            bed.daemon.process.signal(SIGHUP)
            try await eventually("SIGHUP is heard") { events.events.contains { $0.name == .configurationReloaded } }
            #expect(try bed.daemon.control.trunks().first { $0.name == "carrier" }?.capacity == 0)
            let heard = call.callerMedia.heard.numbers.count
            try await eventually("media goes on") { call.callerMedia.heard.numbers.count > heard + 10 }
            call.stopMedia()
            try call.hangUp()
            try await call.callee.succeeds()
            try await call.caller.succeeds()
        }
    }
}
