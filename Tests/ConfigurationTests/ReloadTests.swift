import Core
import Testing

@testable import Configuration

@Suite struct ReloadTests {
    private static func configuration(_ text: String) throws -> Configuration {
        try Configuration.parse(text: text, file: "r.toml", host: testHost)
    }

    private static let start = """
        [sip]
        listen = "192.0.2.1:5060"
        [log]
        level = "notice"
        [[trunk]]
        name = "a"
        address = "198.51.100.1:5060"
        password = "old"
        username = "me"
        [[trunk]]
        name = "b"
        address = "198.51.100.2:5060"
        prefixes = ["49"]
        [[user]]
        name = "ada"
        password = "secret"

        """

    @Test("what can be taken over is, what needs a restart stays and is told, and secrets are not shown")
    func merges() throws {
        let old = try Self.configuration(Self.start)
        let new = try Self.configuration(
            Self.start.replacing("192.0.2.1:5060", with: "192.0.2.1:5070").replacing("notice", with: "debug")
                .replacing("\"old\"", with: "\"new\"").replacing("name = \"b\"", with: "name = \"c\"")
                .replacing("secret", with: "other"))
        let (merged, changes) = old.reloaded(with: new, callCapacity: 1_000)
        #expect(merged.sip.listen == old.sip.listen && merged.log.level == .debug)
        #expect(merged.trunks.map(\.name) == ["a", "c"] && merged.trunks[0].password == "new")
        #expect(merged.users.map(\.password) == ["other"])
        let told = Dictionary(changes.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        #expect(told["sip.listen"]?.effect == .needsRestart && told["sip.listen"]?.after == "192.0.2.1:5070")
        #expect(told["log.level"]?.effect == .appliedNow)
        #expect(told["trunk.a.password"]?.before == "(set)" && told["trunk.a.password"]?.after == "(set)")
        #expect(told["trunk.b"]?.after == "removed" && told["trunk.c"]?.after == "added")
        #expect(told["user"]?.after == "0 added, 0 removed, 1 changed")
        #expect(changes.count == 6)
        #expect(merged.origins["trunk.c.address"] != nil && merged.origins["trunk.b.address"] == nil)
    }

    @Test("the same file changes nothing; the first user is taken over with its registrar; a trunk's registration stays as it was")
    func edges() throws {
        let old = try Self.configuration(Self.start)
        #expect(old.reloaded(with: old, callCapacity: 1_000).changes.isEmpty)
        let without = try Self.configuration(String(Self.start.split(separator: "[[user]]")[0]))
        let (merged, changes) = without.reloaded(with: old, callCapacity: 1_000)
        #expect(merged.users.count == 1 && changes.map(\.effect) == [.appliedNow])
        #expect(old.reloaded(with: without, callCapacity: 1_000).configuration.users.isEmpty)
        var realm = old
        realm.registrar.realm = "example.com"
        #expect(without.reloaded(with: realm, callCapacity: 1_000).configuration.registrar.realm == "example.com")
        #expect(old.reloaded(with: realm, callCapacity: 1_000).changes.map(\.effect) == [.needsRestart])
        let registering = try Self.configuration(Self.start.replacing("username = \"me\"", with: "username = \"me\"\nregister = \"on\""))
        let (kept, told) = old.reloaded(with: registering, callCapacity: 1_000)
        #expect(kept.trunks[0].register == .off && told.map(\.key) == ["trunk.a.register"] && told[0].effect == .needsRestart)
    }

    @Test("limits.calls may be lowered, and raised again up to its value at start; more needs a restart")
    func calls() throws {
        let old = try Self.configuration(Self.start)
        for (calls, effect) in [(1, ReloadClass.appliedNow), (old.limits.calls - 1, .appliedNow), (old.limits.calls + 1, .needsRestart)] {
            var new = old
            new.limits.calls = calls
            let (merged, changes) = old.reloaded(with: new, callCapacity: old.limits.calls)
            #expect(changes.map(\.key) == ["limits.calls"] && changes[0].effect == effect)
            #expect(merged.limits.calls == (effect == .appliedNow ? calls : old.limits.calls))
            // From the lower value back to what it was at start.
            #expect(merged.reloaded(with: old, callCapacity: old.limits.calls).configuration.limits.calls == old.limits.calls)
        }
    }
}
