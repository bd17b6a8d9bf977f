/// What a request asks for. The raw value is the word that the protocol's documentation uses.
package enum NGCommand: String, CaseIterable, Sendable {
    case ping, offer, answer, delete, query, list, statistics
    case blockMedia = "block media"
    case unblockMedia = "unblock media"
    case silenceMedia = "silence media"
    case unsilenceMedia = "unsilence media"
    case blockDTMF = "block DTMF"
    case unblockDTMF = "unblock DTMF"
    case startRecording = "start recording"
    case stopRecording = "stop recording"

    // Known, and refused with `refusal`.
    case pauseRecording = "pause recording"
    case startForwarding = "start forwarding"
    case stopForwarding = "stop forwarding"
    case playMedia = "play media"
    case stopMedia = "stop media"
    case playDTMF = "play DTMF"
    case blockSilenceMedia = "block silence media"
    case unblockSilenceMedia = "unblock silence media"
    case publish
    case subscribeRequest = "subscribe request"
    case subscribeAnswer = "subscribe answer"
    case unsubscribe, connect, cli

    private static let table = WordTable(
        allCases.map { (String(decoding: $0.rawValue.utf8.map(ASCII.folded), as: UTF8.self), $0) })

    /// Case, and hyphens or underscores in place of spaces, make no difference. Nil for a word nobody knows.
    package init?(word: ArraySlice<UInt8>) {
        guard let command = Self.table[word] else { return nil }
        self = command
    }

    /// Why relayd does not do it; nil for what it does.
    package var refusal: NGErrorReason? {
        switch self {
        case .ping, .offer, .answer, .delete, .query, .list, .statistics, .blockMedia, .unblockMedia, .silenceMedia,
            .unsilenceMedia, .blockDTMF, .unblockDTMF, .startRecording, .stopRecording:
            nil
        case .playMedia, .stopMedia:
            NGErrorReason("'\(rawValue)' is not supported: relayd does not generate media")
        case .playDTMF:
            NGErrorReason("'\(rawValue)' is not supported: relayd does not generate DTMF")
        case .startForwarding, .stopForwarding:
            NGErrorReason("'\(rawValue)' is not supported: relayd does not forward copies of media")
        case .publish, .subscribeRequest, .subscribeAnswer, .unsubscribe, .connect:
            NGErrorReason("'\(rawValue)' is not supported: a call of relayd has two sides")
        case .pauseRecording:
            NGErrorReason("'\(rawValue)' is not supported: stop the recording and start it again")
        case .blockSilenceMedia, .unblockSilenceMedia:
            NGErrorReason("'\(rawValue)' is not supported: use 'block media' or 'silence media'")
        case .cli:
            NGErrorReason("'\(rawValue)' is not supported: use relayctl")
        }
    }
}
