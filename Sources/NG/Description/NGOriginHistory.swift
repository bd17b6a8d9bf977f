import SIP

/// What is remembered about the descriptions of one side of a call, for those `replace` options that keep a line the
/// same over re-offers.
package struct NGOriginHistory: Sendable {
    private var firstUsername = Remembered()
    private var firstSessionID = Remembered()
    private var firstSessionName = Remembered()
    /// What the three lie in: a copy, since slices of it would keep the whole message for as long as the call is.
    private var octets: [UInt8] = []
    /// The version last sent, and the description it stood for, the `o=` line left out.
    private var lastVersion: UInt64?
    private var lastBody: [UInt8]?

    package init() {}

    /// Where in `octets`; nothing before the first description that says it.
    private struct Remembered {
        var start: UInt16 = 0
        var count: UInt16?
    }

    private func text(_ remembered: Remembered) -> ArraySlice<UInt8>? {
        remembered.count.map { octets[Int(remembered.start)..<Int(remembered.start) + Int($0)] }
    }

    /// What was remembered before stays.
    private mutating func remember(_ text: ArraySlice<UInt8>?, unless before: Remembered) -> Remembered {
        // A description is a part of a message, and that fits 64 KiB.
        guard before.count == nil, let text, octets.count + text.count <= UInt16.max else { return before }
        defer { octets += text }
        return Remembered(start: UInt16(octets.count), count: UInt16(text.count))
    }

    /// The description as it is to be sent; called once per description sent, retransmissions excepted.
    ///
    /// - Parameter writer: all instructions except the `o=` and `s=` ones, which this fills in.
    package mutating func write(_ writer: NGDescription, replacements: NGReplacements) -> [UInt8] {
        var writer = writer
        let came = writer.description.octets
        let origin = NGDescription.OriginFields(of: writer.description)
        firstUsername = remember(origin.map { came[$0.username] }, unless: firstUsername)
        firstSessionID = remember(origin.map { came[$0.sessionID] }, unless: firstSessionID)
        let sessionName = writer.description.sessionLines.first { $0.type == UInt8(ascii: "s") }
        firstSessionName = remember(sessionName.map { came[$0.value] }, unless: firstSessionName)

        writer.replacesOriginAddress = !replacements.isDisjoint(with: [.origin, .wholeOrigin])
        if !replacements.isDisjoint(with: [.username, .wholeOrigin]) { writer.username = text(firstUsername) }
        if replacements.contains(.wholeOrigin) { writer.sessionID = text(firstSessionID) }
        if replacements.contains(.sessionName) { writer.sessionName = text(firstSessionName) }
        guard !replacements.isDisjoint(with: [.sdpVersion, .forcedSDPVersion]), let field = origin?.version,
            let version: UInt64 = SDPText.number(came.span, field)
        else { return writer.octets() }

        let body = writer.octets(includingOrigin: false)
        if let lastVersion, let lastBody {
            let hasChanged = replacements.contains(.forcedSDPVersion) || body != lastBody
            writer.version = hasChanged ? lastVersion &+ 1 : lastVersion
        } else {
            writer.version = version
        }
        lastBody = body
        lastVersion = writer.version
        return writer.octets()
    }
}
