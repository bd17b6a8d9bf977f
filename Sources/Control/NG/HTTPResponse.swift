/// A response as it comes in (RFC 9112), as far as it has to be understood: did the call do what it asked for?
struct HTTPResponse {
    private var octets: [UInt8] = []
    /// Where the body begins.
    private var bodyStart: Int?

    /// Beyond this nothing more is read: no answer to a remote procedure call is that long.
    static let limit = 65_536

    mutating func append(_ more: [UInt8]) {
        let from = max(0, octets.count - 3)
        octets += more.prefix(Self.limit - octets.count)
        guard bodyStart == nil, octets.count >= from + 4 else { return }
        let end: [UInt8] = [13, 10, 13, 10]
        bodyStart = (from...octets.count - 4).first { octets[$0..<($0 + 4)].elementsEqual(end) }.map { $0 + 4 }
    }

    /// All that was announced is there. One of unknown length ends with its connection.
    var isComplete: Bool {
        if octets.count >= Self.limit { return true }
        guard let bodyStart, let length = contentLength else { return false }
        return octets.count - bodyStart >= length
    }

    /// Why the call failed; nil when it did not, or the dialog was gone already.
    var failure: String? {
        guard let bodyStart, let status else { return "the proxy's answer is not HTTP" }
        let body = String(decoding: octets[bodyStart...], as: UTF8.self)
        if body.lowercased().contains("dialog not found") { return nil }
        if let text = Self.text(of: body, after: "<name>faultString</name>", "<string>", until: "<") {
            return "the proxy answered: \(text)"
        }
        if body.contains("\"error\""), !body.contains("\"result\"") {
            return "the proxy answered: \(Self.text(of: body, after: "\"message\"", "\"", until: "\"") ?? body)"
        }
        return (200...299).contains(status) ? nil : "the proxy answered with HTTP status \(status)"
    }

    private var head: [Substring] {
        String(decoding: octets[..<(bodyStart ?? 0)], as: UTF8.self).split(separator: "\r\n")
    }

    private var status: Int? {
        guard let line = head.first, line.hasPrefix("HTTP/1.") else { return nil }
        return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    }

    private var contentLength: Int? {
        for line in head.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "content-length" else { continue }
            return Int(parts[1].filter { $0 != " " && $0 != "\t" }).flatMap { $0 >= 0 ? $0 : nil }
        }
        return nil
    }

    /// What stands between `opening`, somewhere behind `mark`, and `end`, of at most 200 characters.
    private static func text(of body: String, after mark: String, _ opening: String, until end: Character) -> String? {
        guard let behindMark = body.firstRange(of: mark)?.upperBound,
            let start = body[behindMark...].firstRange(of: opening)?.upperBound
        else { return nil }
        return String(body[start...].prefix { $0 != end }.prefix(200))
    }
}
