import SIP

/// What is remembered about the descriptions of one side of a call, for those `replace` options that keep a line the
/// same over re-offers.
package struct NGOriginHistory: Sendable {
    private var firstUsername: ArraySlice<UInt8>?
    private var firstSessionID: ArraySlice<UInt8>?
    private var firstSessionName: ArraySlice<UInt8>?
    /// The version last sent, and the description it stood for, the `o=` line left out.
    private var lastVersion: UInt64?
    private var lastBody: [UInt8]?

    package init() {}

    /// The description as it is to be sent; called once per description sent, retransmissions excepted.
    ///
    /// - Parameter writer: all instructions except the `o=` and `s=` ones, which this fills in.
    package mutating func write(_ writer: NGDescription, replacements: NGReplacements) -> [UInt8] {
        var writer = writer
        let origin = NGDescription.OriginFields(of: writer.description)
        firstUsername = firstUsername ?? origin?.username
        firstSessionID = firstSessionID ?? origin?.sessionID
        firstSessionName = firstSessionName
            ?? writer.description.sessionFields.first { $0.type == UInt8(ascii: "s") }?.value

        writer.replacesOriginAddress = !replacements.isDisjoint(with: [.origin, .wholeOrigin])
        if !replacements.isDisjoint(with: [.username, .wholeOrigin]) { writer.username = firstUsername }
        if replacements.contains(.wholeOrigin) { writer.sessionID = firstSessionID }
        if replacements.contains(.sessionName) { writer.sessionName = firstSessionName }
        guard !replacements.isDisjoint(with: [.sdpVersion, .forcedSDPVersion]), let came = origin?.version else {
            return writer.octets()
        }

        let body = writer.octets(includingOrigin: false)
        if let lastVersion, let lastBody {
            let hasChanged = replacements.contains(.forcedSDPVersion) || body != lastBody
            writer.version = hasChanged ? lastVersion &+ 1 : lastVersion
        } else {
            writer.version = came
        }
        lastBody = body
        lastVersion = writer.version
        return writer.octets()
    }
}
