package import Core

/// A request with its options, whichever way they were spelt.
///
/// Proxies send far more than any engine knows, and old engines must not refuse what a new proxy says: an unknown key
/// or flag is ignored, a value that cannot be read leaves the default. Known words that relayd accepts without doing
/// anything are named in `warnings`, for the answer.
package struct NGRequest: Sendable {
    package let command: NGCommand

    package var callID: String?
    /// The tag of the side that this message comes from; proxies exchange the tags for requests from the callee.
    package var fromTag: String?
    package var toTag: String?
    /// Tells the branches of a forked call apart.
    package var viaBranch: String?
    package var sdp: ArraySlice<UInt8>?
    /// The source of the SIP message.
    package var receivedFrom: IPAddress?
    package var isSIPReply: Bool?
    /// The client understands `result: load limit`.
    package var supportsLoadLimit = false

    package var routing = NGRouting()
    package var source = NGSourceOptions()
    package var replacements: NGReplacements = []
    package var multiplexing: NGMultiplexing = []
    package var codecs = NGCodecs()
    package var rtcpAttribute = NGRTCPAttribute.port
    package var isLoopProtected = false
    /// Write the directions as they came; relayd always does.
    package var keepsDirection = false

    /// How long a deleted call lingers; nil for the configured time.
    package var deleteDelay: Duration?
    /// `delete` of what does not exist is an error.
    package var isFatal = false
    /// `delete` only the branch that `toTag` names.
    package var deletesToTagOnly = false
    /// Media commands: apply to the side of `fromTag` only, or to everything (`all`).
    package var isDirectional = false
    package var appliesToAll = false
    /// Media commands: apply to the side that has this media address or label.
    package var address: IPAddress?
    package var label: String?
    package var setLabel: String?
    package var toLabel: String?

    /// `record call`: true to record from now on, false to stop.
    package var recordsCall: Bool?
    package var recordingFile: String?
    package var recordingPath: String?
    package var metadata: String?
    /// Where to report a media time-out for this call.
    package var xmlrpcCallback: String?
    /// `list`: at most this many calls.
    package var limit = 32
    /// `query` and `delete`: everything there is to say, however long (flag `full-statistics`).
    package var wantsFullStatistics = false

    /// Words that were accepted and change nothing, as sentences.
    package private(set) var warnings: [String] = []
    /// More than these are not worth a place in the answer.
    private static let maximumWarningCount = 8

    /// - Throws: `NGErrorReason` when there is no command or an unknown one. Commands that relayd refuses pass: ask
    ///   `command.refusal`.
    package init(_ dictionary: NGDictionary) throws(NGErrorReason) {
        guard let word = dictionary["command"]?.octets else { throw .noCommand }
        guard let command = NGCommand(word: word) else { throw .unknownCommand }
        self.command = command
        var flagString: ArraySlice<UInt8>?
        // In place: an entry taken out is a copy, whose parts are counted.
        for index in dictionary.entries.indices {
            guard let key = NGKey.table[dictionary.entries[index].key] else { continue }
            if key == .flagString {
                flagString = dictionary.entries[index].value.octets
            } else {
                apply(key, dictionary.entries[index].value)
            }
        }
        // Last, since its words are the script's own: `from-tag=…` there replaces the message's.
        if let flagString { apply(NGFlagString(parsing: flagString)) }
    }

    package mutating func warn(_ warning: String) { Self.add(warning, to: &warnings) }

    /// With what was found out beside the request.
    package func warnings(and others: [String]...) -> [String] {
        var all = warnings
        for warning in others.joined() { Self.add(warning, to: &all) }
        return all
    }

    private static func add(_ warning: String, to warnings: inout [String]) {
        guard warnings.count < maximumWarningCount, !warnings.contains(warning) else { return }
        warnings.append(warning)
    }

    /// Interfaces that may be named by a word alone.
    private static let sides = ["internal", "external"]

    private mutating func apply(_ flags: NGFlagString) {
        var interfaces: [String] = []
        for item in flags.items {
            let key = NGKey.table[item.word]
            switch (key, item.value) {
            case (_, nil):
                if let side = Self.sides.first(where: { ASCII.equal(item.word, $0) }) {
                    interfaces.append(side)
                } else {
                    applyFlag(item.word)
                }
            case (.direction?, .string(let name)?): interfaces.append(String(decoding: name, as: UTF8.self))
            case (.fromTag?, .some(let value)):
                isDirectional = true
                apply(.fromTag, value)
            case (let key?, .some(let value)): apply(key, value)
            case (nil, .some): break
            }
        }
        if let transport = flags.transport { routing.transport = transport }
        if interfaces.count > 0 { routing.fromInterface = interfaces[0] }
        if interfaces.count > 1 { routing.toInterface = interfaces[1] }
    }
}
