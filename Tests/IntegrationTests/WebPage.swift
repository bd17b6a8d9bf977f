import Core
import Harness

/// What an HTTP server answered.
struct WebPage {
    var status: Int
    var contentType: String?
    var text: String
}

/// Asks the daemon of a testbed over HTTP.
func page(
    _ path: String, of bed: Testbed, method: String = "GET", host: String? = nil, headers: [String] = []
) async throws -> WebPage {
    let result = try await run(
        "curl",
        ["-s", "-X", method, "-i", "--max-time", "10"]
            + ((host.map { ["Host: \($0)"] } ?? []) + headers).flatMap { ["-H", $0] }
            + ["http://\(bed.host):8380\(path)"])
    guard result.code == 0 else { throw SocketError(description: "curl ended with \(result.code)") }
    let parts = result.output.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    let head = parts[0].split(separator: "\r\n")
    return WebPage(
        status: Int(head[0].split(separator: " ")[1]) ?? 0,
        contentType: head.first { $0.lowercased().hasPrefix("content-type:") }?.dropFirst(14).description,
        text: parts.count > 1 ? String(parts[1]) : "")
}
