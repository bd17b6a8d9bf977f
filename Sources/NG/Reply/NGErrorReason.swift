/// The text of `error-reason`. The words are rtpengine's: proxies and their operators' scripts compare some of them.
package struct NGErrorReason: Error, Equatable, Sendable {
    package let text: String

    package init(_ text: String) { self.text = text }

    // What is wrong with the message.
    package static let noPayload = NGErrorReason("Invalid data (no payload)")
    package static let unknownFormat = NGErrorReason("Invalid NG data format")
    package static let badBencode = NGErrorReason("Could not decode bencode dictionary")
    package static let badJSON = NGErrorReason("Failed to parse JSON document")
    package static let noCommand = NGErrorReason("Dictionary contains no key \"command\"")
    package static let unknownCommand = NGErrorReason("Unrecognized command")

    // What is missing in the request.
    package static let noCallID = NGErrorReason("No call-id in message")
    package static let noFromTag = NGErrorReason("No from-tag in message")
    package static let noToTag = NGErrorReason("No to-tag in message")
    package static let noSDP = NGErrorReason("No SDP body in message")
    package static let badSDP = NGErrorReason("Failed to parse SDP")

    // What does not exist.
    /// For `answer` and `query`; Kamailio's own commands go by `result` alone.
    package static let unknownCall = NGErrorReason("Unknown call-id")
    package static let unknownTag = NGErrorReason("From-tag given, but no such tag exists")
    /// For `delete`: a warning, and an error with the flag `fatal`.
    package static let nothingToDelete = NGErrorReason("Call-ID not found or tags didn't match")

    // Exactly these two make Kamailio try its next node.
    package static let outOfPorts = NGErrorReason("Ran out of ports")
    package static let sessionLimit = NGErrorReason("Parallel session limit reached")
}
