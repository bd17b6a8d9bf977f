extension SIPMessage {
    /// Whether its body is a session description, by its Content-Type.
    package var hasSessionDescription: Bool {
        guard let range = first(.contentType)?.valueRange else { return false }
        let octets = octets.span
        let end = octets.firstIndex(in: range) { $0.equal(Octet.semicolon) .| $0.below(Octet.space + 1) }
        return octets.equals(range.lowerBound..<end, ignoringCase: "application/sdp")
    }
}
