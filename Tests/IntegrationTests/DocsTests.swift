import Foundation
import Harness
import Testing

@Suite("Documentation", .inTurn)
struct DocsTests {
    /// Every page of docs/, and the README.
    private var pages: [(name: String, text: String)] {
        get throws {
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let names = try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("docs").path)
                .filter { $0.hasSuffix(".md") }.sorted()
            return try (["README.md"] + names.map { "docs/\($0)" }).map { name in
                (name, try String(contentsOf: root.appendingPathComponent(name), encoding: .utf8))
            }
        }
    }

    @Test("every Wireshark filter is one that tshark accepts", .needs(.tshark))
    func filters() async throws {
        let directory = try TemporaryDirectory("docs")
        defer { directory.remove() }
        // A capture without packets: a filter that is wrong is refused before the first one.
        let empty = directory.file("empty.pcap")
        var header: [UInt8] = [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        header += [0xff, 0xff, 0, 0, 1, 0, 0, 0]
        try Data(header).write(to: URL(fileURLWithPath: empty))
        // What the check is worth: it refuses a field that does not exist.
        let wrong = try await run("tshark", ["-r", empty, "-Y", "sip.Methud == \"BYE\""], within: .seconds(30))
        #expect(wrong.code != 0)
        for (name, text) in try pages {
            for filter in Self.filters(in: text) {
                let result = try await run("tshark", ["-r", empty, "-Y", filter], within: .seconds(30))
                #expect(result.code == 0, "\(name): \(filter): \(result.errors)")
            }
        }
    }

    @Test("filters are found where they stand: in blocks marked wireshark, in lines that begin so, and after -Y in commands")
    func finding() {
        let page = """
            Look at `sip.Method` here.
            Wireshark: `icmp.type == 3` and then `udp`
            ```wireshark
            # a comment
            sip.Call-ID == "x"

            rtp && ip.addr == 192.0.2.1
            ```
            `tshark -r f.pcapng -Y 'sip.CSeq.method == "BYE"' -V` and
            ```
            tshark -Y "rtp.marker == 1" -r f
            ```
            """
        #expect(
            Self.filters(in: page) == [
                "icmp.type == 3", "udp", "sip.Call-ID == \"x\"", "rtp && ip.addr == 192.0.2.1", "sip.CSeq.method == \"BYE\"", "rtp.marker == 1",
            ])
    }

    @Test("links between the pages lead somewhere")
    func links() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        for (name, text) in try pages {
            let directory = root.appendingPathComponent(name).deletingLastPathComponent()
            for match in text.matches(of: /\]\(([^)#:]+)(#[^)]*)?\)/) {
                let target = directory.appendingPathComponent(String(match.1)).standardized.path
                #expect(FileManager.default.fileExists(atPath: target), "\(name) links to \(match.1)")
            }
        }
    }

    static func filters(in text: String) -> [String] {
        var filters: [String] = []
        var isInBlock = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let line = line.trimmingCharacters(in: .whitespaces)
            if line.hasPrefix("```") {
                isInBlock = line == "```wireshark"
            } else if isInBlock {
                if !line.isEmpty, !line.hasPrefix("#") { filters.append(line) }
            } else if line.hasPrefix("Wireshark: ") {
                filters += line.matches(of: /`([^`]+)`/).map { String($0.1) }
            } else {
                for match in line.matches(of: /-Y (?:'([^']+)'|"([^"]+)")/) {
                    if let filter = match.1 ?? match.2 { filters.append(String(filter)) }
                }
            }
        }
        return filters
    }
}
