import Configuration
import Foundation
import Testing

@Suite("Pages made from the keys")
struct ReferencePageTests {
    @Test(
        "docs/configuration.md and docs/vos3000.md are up to date: `make docs` writes them",
        arguments: [("configuration.md", Configuration.referenceMarkdown()), ("vos3000.md", Configuration.vosMarkdown())])
    func upToDate(name: String, text: String) throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/\(name)")
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" { try Data(text.utf8).write(to: file) }
        let page = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        #expect(page == text, "docs/\(name) is out of date: `make docs` writes it anew")
    }

    @Test("every key and every VOS3000 name has its row")
    func complete() {
        let text = Configuration.referenceMarkdown()
        for setting in Configuration().settings {
            #expect(text.contains("| `\(setting.key.split(separator: ".").last ?? "")` |"), "\(setting.key)")
            if let name = setting.vosName {
                #expect(text.contains("`\(name)`"))
                #expect(Configuration.vosMarkdown().contains("| `\(name)` | `\(setting.key)` |"))
            }
        }
    }
}
