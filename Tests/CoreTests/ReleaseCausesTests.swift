import Core
import Foundation
import Testing

@Suite struct ReleaseCausesTests {
    @Test("causes are found by our name or in VOS3000's words, in any case", arguments: [
        ("no_media", [.noMedia]), ("NO_MEDIA", [.noMedia]), ("No media timeout", [.noMedia]), ("nomediatimeout", [.noMedia]),
        ("NoAvailableRouter", [.noRoute]), ("noavailablerouter", [.noRoute]), ("InviteTimeout", [.inviteTimeout]),
        ("Session timeout", [.sessionTimeout]), ("normal release", [.normal]), ("normal", [.normal]),
        ("AllGatewayBusy", [.allRoutesBusy, .allRoutesDown, .portsExhausted, .capacity]),
    ] as [(String, Set<ReleaseCause>)])
    func found(name: String, causes: Set<ReleaseCause>) throws {
        let found = try #require(ReleaseCauses(name))
        #expect(Set(found.causes) == causes && found.name == name)
        #expect(try JSONDecoder().decode(ReleaseCauses.self, from: JSONEncoder().encode(found)) == found)
    }

    @Test("what nobody calls a cause is none", arguments: ["", " ", "_", "media", "timeout", "NoRouter"])
    func unknown(name: String) { #expect(ReleaseCauses(name) == nil) }

    @Test("every name there is finds its cause", arguments: ReleaseCause.allCases)
    func every(cause: ReleaseCause) {
        #expect(ReleaseCauses(cause.rawValue)?.causes == [cause])
        if let name = cause.vosName { #expect(ReleaseCauses(name)?.causes.contains(cause) == true) }
    }
}
