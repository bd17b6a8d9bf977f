import Foundation
import Harness
import Testing

@Suite("Wireshark filters in docs", .needs(.tshark))
struct DocumentedFilterTests {
    @Test("every display filter in docs/*.md is accepted by tshark")
    func accepted() async throws {
        let docs = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs")
        let empty = try TemporaryDirectory("filters")
        defer { empty.remove() }
        // A pcap file without packets: the filter is compiled, and nothing is read.
        let capture = empty.file("empty.pcap")
        try Data([0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0])
            .write(to: URL(fileURLWithPath: capture))
        var count = 0
        for page in try FileManager.default.contentsOfDirectory(atPath: docs.path).sorted() where page.hasSuffix(".md") {
            let text = try String(contentsOf: docs.appendingPathComponent(page), encoding: .utf8)
            for filter in Self.filters(text) {
                let result = try await run("tshark", ["-r", capture, "-Y", filter], environment: ["HOME": empty.path])
                #expect(result.code == 0, "\(page): \(filter): \(result.errors)")
                count += 1
            }
        }
        #expect(count >= 10)
        let wrong = try await run("tshark", ["-r", capture, "-Y", "sip.NoSuchField == 1"], environment: ["HOME": empty.path])
        #expect(wrong.code != 0, "a filter that is wrong must be told")
    }

    /// What stands in back quotes behind `Wireshark:` at the start of a line.
    static func filters(_ text: String) -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("Wireshark:") }.flatMap { line in
            line.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
        }
    }
}
