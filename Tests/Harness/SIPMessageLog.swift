package import Core
import Foundation

/// One SIP message as SIPp traced it.
package struct TracedMessage: Sendable {
    package enum Direction: Sendable { case sent, received }

    /// Microseconds on SIPp's local wall clock: good for order and distance within one run.
    package let microseconds: Int64
    package let direction: Direction
    /// The whole message, lines ending in a line feed alone.
    package let text: String

    package var firstLine: String { String(text.prefix { $0 != "\n" }) }

    /// `INVITE` for a request, nil for a response.
    package var method: String? {
        let line = firstLine
        return line.hasPrefix("SIP/2.0 ") ? nil : line.split(separator: " ").first.map(String.init)
    }

    package var status: Int? {
        let words = firstLine.split(separator: " ")
        return words.first == "SIP/2.0" && words.count > 1 ? Int(words[1]) : nil
    }

    /// `INVITE`, or `180 Ringing`.
    package var title: String {
        method ?? String(firstLine.dropFirst("SIP/2.0 ".count))
    }

    /// What CSeq names: the method a response answers.
    package var transactionMethod: String? { header("CSeq")?.split(separator: " ").last.map(String.init) }

    /// The value of the first header of that name, without surrounding spaces.
    package func header(_ name: String) -> String? {
        for line in head.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            if line[..<colon].lowercased() == name.lowercased() {
                return String(line[line.index(after: colon)...].drop { $0 == " " })
            }
        }
        return nil
    }

    package var body: String {
        guard let end = text.range(of: "\n\n") else { return "" }
        return String(text[end.upperBound...])
    }

    /// The lines of the SDP body that begin with `prefix`, without it.
    package func sdpLines(_ prefix: String) -> [String] {
        body.split(separator: "\n").filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }

    /// Where the SDP of this message asks for audio; nil without SDP.
    package var mediaAddress: SocketAddress? {
        guard let host = sdpLines("c=IN IP4 ").first.flatMap({ IPAddress($0) }),
            let port = sdpLines("m=audio ").first?.split(separator: " ").first.flatMap({ UInt16($0) })
        else { return nil }
        return SocketAddress(ip: host, port: port)
    }

    /// Where its SDP asks for each medium, in the order of the m= lines; one address for the session. Port 0 is declined.
    package var mediaAddresses: [SocketAddress] {
        guard let host = sdpLines("c=IN IP4 ").first.flatMap({ IPAddress($0) }) else { return [] }
        return sdpLines("m=").compactMap { line in
            let fields = line.split(separator: " ")
            return fields.count > 1 ? UInt16(fields[1]).map { SocketAddress(ip: host, port: $0) } : nil
        }
    }

    /// Its header lines.
    package var headers: [String] { head.dropFirst().map(String.init) }

    private var head: [Substring] {
        let end = text.range(of: "\n\n")?.lowerBound ?? text.endIndex
        return text[..<end].split(separator: "\n")
    }
}

extension TracedMessage {
    /// Reads what `-trace_msg` wrote. An entry that is still being written is left out.
    ///
    /// An entry is a rule of dashes with date and time, a line `UDP message sent (582 bytes):` or
    /// `UDP message received [326] bytes :` (or TCP), an empty line and the message.
    package static func parse(log: String) -> [TracedMessage] {
        var messages: [TracedMessage] = []
        let rule = "----------------------------------------------- "
        // A carriage return and a line feed are one Character, so the pair is taken away as such first.
        let text = log.replacing("\r\n", with: "\n")
        for entry in text.split(separator: rule).dropFirst(text.hasPrefix(rule) ? 0 : 1) {
            let lines = entry.split(separator: "\n", maxSplits: 3, omittingEmptySubsequences: false)
            guard lines.count == 4, let microseconds = microseconds(lines[0]), !lines[3].isEmpty else { continue }
            let direction: Direction
            if lines[1].hasPrefix("UDP message sent") || lines[1].hasPrefix("TCP message sent") {
                direction = .sent
            } else if lines[1].hasPrefix("UDP message received") || lines[1].hasPrefix("TCP message received") {
                direction = .received
            } else {
                continue
            }
            // What SIPp says of an unexpected message, or of one of a call that is over, has a rule without a date.
            let message = lines[3].range(of: "\n-----------------------------------------------\n").map { lines[3][..<$0.lowerBound] }
            // Without the empty lines between it and the next entry, of which there are more or fewer.
            let text = (message ?? lines[3]).trimmingCharacters(in: .newlines) + "\n"
            messages.append(TracedMessage(microseconds: microseconds, direction: direction, text: text))
        }
        return messages
    }

    /// `2026-11-23 20:26:12.025977`.
    private static func microseconds(_ text: Substring) -> Int64? {
        guard text.count >= 26 else { return nil }
        let fields = text.prefix(23).split(separator: " ")
        guard fields.count == 2, let time = WallTime("\(fields[0])T\(fields[1])Z"),
            let rest = Int64(text.dropFirst(23).prefix(3))
        else { return nil }
        return time.milliseconds * 1_000 + rest
    }
}
