import Core
import Testing

@Suite struct ReleaseCauseTests {
    @Test("docs/release-causes.md is up to date: `make docs` writes it")
    func reference() throws {
        try expectPage(ReleaseCause.referenceMarkdown(), "release-causes.md")
    }

    @Test("the words of VOS3000 stand beside the causes they mean", arguments: [
        ("NoAvailableRouter", ReleaseCause.noRoute), ("InviteTimeout", .inviteTimeout), ("AllGatewayBusy", .allRoutesBusy),
        ("Normal release", .normal), ("No media timeout", .noMedia),
    ])
    func aliases(name: String, cause: ReleaseCause) { #expect(cause.vosName == name) }

    @Test("names are stable: small letters and underscores, each its own")
    func names() {
        #expect(ReleaseCause.allCases.allSatisfy { $0.rawValue.allSatisfy { $0 == "_" || ("a"..."z").contains($0) } })
        #expect(Set(ReleaseCause.allCases.map(\.sentence)).count == ReleaseCause.allCases.count)
    }
}
