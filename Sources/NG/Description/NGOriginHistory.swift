import SIP

/// What is remembered about the descriptions of one side of a call, for those `replace` options that keep a line the
/// same over re-offers.
package struct NGOriginHistory: Sendable {
    private var firstUsername = Remembered()
    private var firstSessionID = Remembered()
    private var firstSessionName = Remembered()
    /// What the three lie in: the first description, which its side's call keeps anyway, until there is another one; then a copy
    /// of the three.
    private var octets: [UInt8] = []
    private var isCopied = false
    /// The version last sent, and the description it stood for, the `o=` line left out.
    private var lastVersion: UInt64?
    private var lastBody: [UInt8]?

    /// - Parameter first: the first description, if there was one before those that come.
    package init(of first: [UInt8]) {
        guard !first.isEmpty, let description = try? SessionDescription(parsing: first) else { return }
        remember(description, NGDescription.OriginFields(of: description))
    }

    /// It knows no more than one made of the first description.
    package var isOfOneDescription: Bool { !isCopied && lastVersion == nil }

    /// Where in `octets`; nothing before the first description that says it.
    private struct Remembered {
        var start: UInt16 = 0
        var count: UInt16?

        /// A description is a part of a message, and that fits 64 KiB; what does not is not remembered.
        init(_ range: Range<Int>? = nil) {
            guard let range, range.upperBound <= UInt16.max else { return }
            start = UInt16(range.lowerBound)
            count = UInt16(range.count)
        }
    }

    private func text(_ remembered: Remembered) -> ArraySlice<UInt8>? {
        remembered.count.map { octets[Int(remembered.start)..<Int(remembered.start) + Int($0)] }
    }

    private mutating func remember(_ description: SessionDescription, _ origin: NGDescription.OriginFields?) {
        let name = description.sessionLines.first { $0.type == UInt8(ascii: "s") }?.value
        let came = description.octets
        guard !octets.isEmpty else {
            octets = came
            firstUsername = Remembered(origin?.username)
            firstSessionID = Remembered(origin?.sessionID)
            firstSessionName = Remembered(name)
            return
        }
        let (username, sessionID, sessionName) = (text(firstUsername), text(firstSessionID), text(firstSessionName))
        guard !isCopied || username == nil || sessionID == nil || sessionName == nil else { return }
        isCopied = true
        octets = []
        // What was remembered before stays.
        firstUsername = keep(username ?? origin.map { came[$0.username] })
        firstSessionID = keep(sessionID ?? origin.map { came[$0.sessionID] })
        firstSessionName = keep(sessionName ?? name.map { came[$0] })
    }

    private mutating func keep(_ text: ArraySlice<UInt8>?) -> Remembered {
        guard let text else { return Remembered() }
        let start = octets.count
        octets += text
        return Remembered(start..<octets.count)
    }

    /// The description as it is to be sent; called once per description sent, retransmissions excepted.
    ///
    /// - Parameter writer: all instructions except the `o=` and `s=` ones, which this fills in.
    package mutating func write(_ writer: NGDescription, replacements: NGReplacements) -> [UInt8] {
        var writer = writer
        let origin = NGDescription.OriginFields(of: writer.description)
        remember(writer.description, origin)

        writer.replacesOriginAddress = !replacements.isDisjoint(with: [.origin, .wholeOrigin])
        if !replacements.isDisjoint(with: [.username, .wholeOrigin]) { writer.username = text(firstUsername) }
        if replacements.contains(.wholeOrigin) { writer.sessionID = text(firstSessionID) }
        if replacements.contains(.sessionName) { writer.sessionName = text(firstSessionName) }
        guard !replacements.isDisjoint(with: [.sdpVersion, .forcedSDPVersion]), let field = origin?.version,
            let version: UInt64 = SDPText.number(writer.description.octets.span, field)
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
