import Configuration
import Foundation
import Testing

@Suite("docs/configuration.md")
struct ReferencePageTests {
    @Test("the page is up to date: `make docs` writes it")
    func upToDate() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/configuration.md")
        let text = Configuration.referenceMarkdown()
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" { try Data(text.utf8).write(to: file) }
        let page = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        #expect(page == text, "docs/configuration.md is out of date: `make docs` writes it anew")
    }

    @Test("every key and every VOS3000 name has its row")
    func complete() {
        let text = Configuration.referenceMarkdown()
        for setting in Configuration().settings {
            #expect(text.contains("| `\(setting.key.split(separator: ".").last ?? "")` |"), "\(setting.key)")
            if let name = setting.vosName { #expect(text.contains("`\(name)`")) }
        }
    }
}
