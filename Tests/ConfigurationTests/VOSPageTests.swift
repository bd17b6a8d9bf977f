import Configuration
import Core
import Foundation
import Testing

@Suite("docs/vos3000.md")
struct VOSPageTests {
    @Test("every VOS3000 name of a setting or a release cause stands beside ours")
    func complete() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/vos3000.md")
        let rows = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("|") }
        var configuration = Configuration()
        configuration.trunks = [Trunk(name: "x", address: SocketAddress(ip: .ipv4Loopback, port: 5060))]
        for setting in configuration.settings {
            guard let name = setting.vosName else { continue }
            let key = setting.key.replacing("trunk.x.", with: "")
            #expect(
                rows.contains { $0.contains("`\(name)`") && $0.contains("\(key)`") },
                "docs/vos3000.md lacks a row with `\(name)` and `\(key)`")
        }
        for cause in ReleaseCause.allCases {
            guard let name = cause.vosName else { continue }
            #expect(
                rows.contains { $0.contains("| \(name) |") && $0.contains("`\(cause.rawValue)`") },
                "docs/vos3000.md lacks a row with \(name) and `\(cause.rawValue)`")
        }
    }
}
