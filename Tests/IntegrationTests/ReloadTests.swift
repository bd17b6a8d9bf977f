import ControlProtocol
import Core
import Foundation
import Glibc
import Harness
import Testing

@Suite("reload", .inTurn, .serialized, .needs(.sipp))
struct ReloadTests {
    @Test("limits.calls lowered, then asked beyond what it was at start; and the first user of all, who registers at once")
    func limitsAndUsers() async throws {
        try await Testbed.with({ $0.trunks[0].lines = ["sources = [\"\($0.listen.ip)\"]"] }) { bed in
            let path = bed.daemon.directory.file("relayd.toml")
            let text = try String(contentsOfFile: path, encoding: .utf8)
            func reload(_ text: String) async throws -> String {
                try text.write(toFile: path, atomically: true, encoding: .utf8)
                return try await bed.daemon.relayctl(["reload"]).output
            }
            let present = "calls = 200"
            #expect(try await reload(text.replacing(present, with: "calls = 1")).contains("limits.calls: 200 -> 1, applied now"))
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            let refused = try await bed.caller("caller-is-refused") { $0.address = SocketAddress(ip: bed.host, port: 5073) }
            try await refused.succeeds()
            #expect(refused.received("503 Service Unavailable").first?.header("Retry-After") == "5")
            let id = try #require(try bed.daemon.control.calls().first?.id)
            #expect(try bed.daemon.control.status().calls.limit == 1)
            #expect(try await reload(text.replacing(present, with: "calls = 201")).contains("limits.calls: 1 -> 201, needs restart"))
            #expect(try await reload(text).contains("limits.calls: 1 -> 200, applied now"))
            try bed.daemon.control.hangUp(id)
            try await call.caller.succeeds()
            try await call.callee.succeeds()

            let user = "\n[registrar]\nrealm = \"example.com\"\n\n[[user]]\nname = \"ada\"\npassword = \"secret\"\nnumbers = [\"100\"]\n"
            let told = try await reload(text + user)
            #expect(told.contains("user: 0 users -> 1 added, 0 removed, 0 changed, applied now") && told.contains("registrar.realm"))
            let phone = try await bed.caller("phone-registers") {
                $0.address = SocketAddress(ip: bed.host, port: 5074)
                $0.keys = ["expires": "600", "contact": "\(bed.host):5074"]
            }
            try await phone.succeeds()
            #expect(try bed.daemon.control.registrations().total == 1)
            // It is kept over a restart like that of any other user.
            let kept = bed.daemon.directory.file("records/registrations")
            try await eventually("the registration is in its file") { try String(contentsOfFile: kept, encoding: .utf8).contains("ada") }
        }
    }

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
