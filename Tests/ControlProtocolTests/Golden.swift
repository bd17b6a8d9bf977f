import Foundation
import Testing

let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

private var mustUpdate: Bool { ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" }

/// Compares with a file of Golden/; `UPDATE_GOLDEN=1` writes it.
func expectGolden(_ text: String, _ name: String) throws {
    let file = repository.appendingPathComponent("Tests/ControlProtocolTests/Golden/\(name)")
    if mustUpdate { try Data(text.utf8).write(to: file) }
    let golden = try String(contentsOf: file, encoding: .utf8)
    #expect(golden == text, "Golden/\(name) differs")
}

/// Compares with a page under docs/ that is made from the code; `UPDATE_GOLDEN=1` writes it, as `make docs` does.
func expectPage(_ text: String, _ name: String) throws {
    let file = repository.appendingPathComponent("docs/\(name)")
    if mustUpdate { try Data(text.utf8).write(to: file) }
    let page = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    #expect(page == text, "docs/\(name) is out of date: `make docs` writes it anew")
}
