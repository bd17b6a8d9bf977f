import Configuration
import Core
import Foundation
import SIP
import Testing

/// The messages of RFC 4475 and RFC 5118 against all of call control, as they come from a trunk.
@Suite struct TortureSpecificationTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        /// As Tests/SIPTests/Torture/answers.txt has it.
        let expected: [String]

        var testDescription: String { "\(name): \(expected.joined(separator: " or "))" }
    }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("SIPTests/Torture")

    static let cases: [Case] = {
        let text = (try? String(contentsOf: folder.appendingPathComponent("answers.txt"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let words = line.prefix { $0 != "|" }.split(separator: " ").map(String.init)
            return Case(name: words[0], expected: Array(words.dropFirst()))
        }
    }()

    @Test func everyMessageHasItsAnswer() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter { $0.hasSuffix(".dat") }
        #expect(Set(files.map { String($0.dropLast(4)) }) == Set(Self.cases.map(\.name)))
        #expect(Self.cases.count == 61)
    }

    @Test("is answered as the RFC says, and nothing goes to an address that the message names", arguments: cases)
    func answer(_ message: Case) throws {
        let world = SimulatedWorld(seed: 4475) { configuration in
            configuration.trunks[1].prefixes = [""]
            configuration.media.interfaces = [MediaInterface(name: "six", address: IPAddress("2001:db8::1")!)]
        }
        let octets = Array(try Data(contentsOf: Self.folder.appendingPathComponent("\(message.name).dat")))
        world.toleratesUnreadable = true
        world.inject(octets, from: SimulatedWorld.callerAddress)
        world.run(for: .milliseconds(400))
        let sent = world.traffic.filter { !$0.isReceived }
        let answers = sent.filter { $0.peer.ip == SimulatedWorld.callerAddress.ip }.map(\.message)
        let placed = sent.filter { $0.peer == SimulatedWorld.calleeAddress && $0.message.method == .invite }
        let broken = world.unreadable.map { String(decoding: $0.octets.dropFirst(8).prefix(3), as: UTF8.self) }
        #expect(world.unreadable.allSatisfy { $0.peer.ip == SimulatedWorld.callerAddress.ip })
        #expect(sent.allSatisfy { [SimulatedWorld.callerAddress.ip, SimulatedWorld.calleeAddress.ip].contains($0.peer.ip) })
        switch message.expected {
        case ["nothing"]: #expect(sent.isEmpty && broken.isEmpty)
        case ["placed"]:
            #expect(placed.first?.message.isRequest == true)
            #expect(answers.first?.status == 100)
            #expect(answers.allSatisfy { ($0.status ?? 999) < 300 }, "\(answers.map(\.status))")
        default:
            #expect(placed.isEmpty)
            let finals = Set(answers.compactMap(\.status).map { "\($0)" } + broken).subtracting(["100"])
            #expect(finals.count == 1 && finals.isSubset(of: message.expected), "\(finals)")
        }
        if message.name == "bext01" {
            #expect(answers.last?.text(.unsupported)?.hasPrefix("nothingSupportsThis, nothingSupportsThisEither") == true)
        }
        if message.name == "invut" || message.name == "sdp01" { #expect(answers.last?.text(.accept) == "application/sdp") }
        if ["intmeth", "esc02", "mpart01"].contains(message.name) { #expect(answers.last?.first(.allow) != nil) }
        world.run(for: .seconds(200))
        #expect(world.problems.isEmpty, "\(world.problems)")
    }
}
