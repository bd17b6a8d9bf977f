import Configuration
import ControlProtocol
import Core
import NG
import Relay

/// `start recording`, `stop recording`, and the flag `record-call` of offers and answers.
extension NGCallControl {
    static let recordingOff = NGErrorReason("Recording is not configured: relayd has no ng.recording_directory")

    mutating func record(_ request: NGRequest, now: Instant) throws(NGErrorReason) -> NGReply {
        guard let id = request.callID else { throw .noCallID }
        guard let call = calls[id] else { throw .unknownCall }
        var warnings = request.warnings
        if request.command == .startRecording {
            guard configuration.ng.recordingDirectory != nil else { throw Self.recordingOff }
            if request.recordingPath != nil { warnings.append(Self.pathWarning) }
            startRecording(call, request, now: now)
        } else {
            stopRecording(call)
        }
        return .ok(warnings: warnings)
    }

    private static let pathWarning = "recording path ignored: recordings go to ng.recording_directory"

    /// What an offer or answer says of recording.
    ///
    /// - Returns: why it has no effect.
    mutating func applyRecording(_ request: NGRequest, to call: NGCall, now: Instant) -> [String] {
        switch request.recordsCall {
        case nil: return []
        case false?:
            stopRecording(call)
            return []
        case true?:
            guard configuration.ng.recordingDirectory != nil else { return [Self.recordingOff.text] }
            startRecording(call, request, now: now)
            return request.recordingPath == nil ? [] : [Self.pathWarning]
        }
    }

    private mutating func startRecording(_ call: NGCall, _ request: NGRequest, now: Instant) {
        let uncommon = call.makeUncommon()
        guard uncommon.recording == nil else { return }
        uncommon.recordingCount += 1
        let number = uncommon.recordingCount
        let name = request.recordingFile.map(Self.fileName)
            ?? "\(Self.fileName(call.id))-\(call.shortID)-\(number)"
        uncommon.recording = NGCall.Recording(
            key: "\(call.shortID)-\(number)", fileName: name + ".pcapng",
            comments: request.metadata.map { ["metadata: \($0)"] } ?? [])
        updateRecording(call)
        emit(.recordingStarted, for: call, ["file": name + ".pcapng"], now: now)
    }

    /// The call's sessions, or what is known of it, have changed.
    mutating func updateRecording(_ call: NGCall) {
        guard let recording = call.uncommon?.recording else { return }
        output(
            .record(
                NGRecording(
                    key: recording.key, fileName: recording.fileName, sessions: tappedSessions(of: call),
                    comments: comments(about: call) + recording.comments)))
    }

    mutating func stopRecording(_ call: NGCall) {
        guard let recording = call.uncommon?.recording else { return }
        call.uncommon?.recording = nil
        output(.stopRecording(key: recording.key))
    }

    /// Of what a proxy says: it cannot leave the directory, nor hide a file in it.
    static func fileName(_ text: String) -> String {
        let safe = text.unicodeScalars.map { scalar -> Character in
            let isSafe = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "-_.@".unicodeScalars.contains(scalar))
            return isSafe ? Character(scalar) : "_"
        }
        let name = String(safe.prefix(120))
        return name.first == "." || name.isEmpty ? "_" + name : name
    }
}
