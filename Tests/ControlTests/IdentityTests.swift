import Configuration
import Control
import Core
import SIP
import Testing

/// Who is told who calls (RFC 3323, RFC 3325).
@Suite struct IdentityTests {
    private static let asserted = [("P-Asserted-Identity", "<sip:+4420987@customer.example>"), ("Remote-Party-ID", "<sip:4420@x>")]

    private static func invite(
        _ headers: [(String, String)], _ configure: @escaping (inout Configuration) -> Void = { _ in }
    ) -> SIPMessage {
        let world = SimulatedWorld(seed: 51, configure: configure)
        let (_, callee) = world.establishCall(CallScript(offerHeaders: headers))
        #expect(world.problems == [])
        return callee.invite
    }

    @Test("between trusted trunks identities and the wish for privacy pass as they are")
    func trusted() {
        let invite = Self.invite(Self.asserted + [("Privacy", "id")])
        #expect(invite.text(.pAssertedIdentity) == "<sip:+4420987@customer.example>")
        #expect(invite.text(.remotePartyID) != nil && invite.text(.privacy) == "id")
        #expect(invite.from.uri.user == "4930")
    }

    @Test("to an untrusted trunk a caller who wants privacy is nobody; one who does not is told")
    func untrustedTarget() {
        let hidden = Self.invite(Self.asserted + [("Privacy", "id; critical"), ("Diversion", "<sip:boss@x>")]) {
            $0.trunks[1].isTrusted = false
        }
        #expect(hidden.text(.from)?.hasPrefix("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=") == true)
        #expect(hidden.first(.pAssertedIdentity) == nil && hidden.first(.remotePartyID) == nil)
        #expect(hidden.first(.diversion) == nil && hidden.first(.privacy) == nil)
        #expect(!String(decoding: hidden.octets, as: UTF8.self).contains("4420987"))
        let open = Self.invite(Self.asserted + [("Privacy", "none")]) { $0.trunks[1].isTrusted = false }
        #expect(open.text(.pAssertedIdentity) != nil && open.from.uri.user == "4930")
    }

    @Test("what an untrusted trunk asserts is not passed on")
    func untrustedSource() {
        let invite = Self.invite(Self.asserted) { $0.trunks[0].isTrusted = false }
        #expect(invite.first(.pAssertedIdentity) == nil && invite.first(.remotePartyID) == nil)
        #expect(invite.from.uri.user == "4930")
    }

    @Test("a trunk may be told no identities at all, or nobody's name")
    func modes() {
        let stripped = Self.invite(Self.asserted) { $0.trunks[1].identity = .strip }
        #expect(stripped.first(.pAssertedIdentity) == nil && stripped.from.uri.user == "4930")
        let anonymous = Self.invite(Self.asserted) { $0.trunks[1].identity = .anonymise }
        #expect(anonymous.from.uri.host == "anonymous.invalid" && anonymous.text(.privacy) == "id")
        #expect(anonymous.text(.pAssertedIdentity) != nil, "a trusted trunk learns who it is, and keeps it")
        let both = Self.invite(Self.asserted) {
            $0.trunks[1].identity = .anonymise
            $0.trunks[1].isTrusted = false
        }
        #expect(both.from.uri.host == "anonymous.invalid" && both.first(.pAssertedIdentity) == nil)
    }

    @Test("a re-INVITE tells no more than the INVITE did")
    func reinvite() throws {
        let world = SimulatedWorld(seed: 52) { $0.trunks[1].isTrusted = false }
        let (caller, callee) = world.establishCall()
        caller.ask(.invite, offer: "", headers: Self.asserted + [("Privacy", "id")])
        world.run(for: .seconds(1))
        let passed = try #require(callee.midDialog.received.first)
        #expect(passed.first(.pAssertedIdentity) == nil && passed.first(.privacy) == nil)
        // In the other direction the trusted customer is told what the untrusted carrier cannot assert: nothing.
        callee.ask(.invite, offer: "", headers: Self.asserted)
        world.run(for: .seconds(1))
        #expect(try #require(caller.midDialog.received.first).first(.pAssertedIdentity) == nil)
        #expect(world.problems == [])
    }
}
