package import SIP

extension NGCodecs {
    /// The payload types that stay in a medium, in the order they are to be listed.
    ///
    /// First come those that `strip` spares or `except` protects, as they were; then what `offer` takes in again. Were
    /// none to be left, all stay: a medium without formats is not valid, and declining it is for the peers to do.
    package func selection(from payloads: [SessionDescription.Payload]) -> [SessionDescription.Payload] {
        guard !strip.isEmpty else { return payloads }
        let isEachStripped = strip.contains { Self.standsForAll($0) }
        var selected = payloads.filter { payload in
            !(isEachStripped || strip.contains { Self.matches($0, payload) })
                || except.contains { Self.matches($0, payload) }
        }
        for name in offer {
            for payload in payloads where Self.standsForAll(name) || Self.matches(name, payload) {
                if !selected.contains(where: { $0.number == payload.number }) { selected.append(payload) }
            }
        }
        return selected.isEmpty ? payloads : selected
    }

    private static func standsForAll(_ name: String) -> Bool { name == "all" || name == "full" }

    /// `opus`, `opus/48000`, `opus/48000/2`: what is given must agree (RFC 4855 §3: names without regard to case).
    private static func matches(_ name: String, _ payload: SessionDescription.Payload) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard let encodingName = payload.encodingName, parts[0].lowercased() == encodingName.lowercased() else {
            return false
        }
        if parts.count > 1, !parts[1].isEmpty, Int(parts[1]) != payload.clockRate { return false }
        if parts.count > 2, !parts[2].isEmpty, Int(parts[2]) != payload.channelCount { return false }
        return true
    }
}
