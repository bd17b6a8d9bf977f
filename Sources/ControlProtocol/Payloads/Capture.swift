package import FoundationEssentials

/// What `capture` is asked for.
package struct CaptureQuery: Codable, Equatable, Sendable {
    /// As in `CallSummary.id`, or a Call-ID.
    package var id: String
    /// How long, 1 to 86,400; nil: until the call ends.
    package var seconds: Int?
    /// How large the file may become, 1 to 4,096; nil: 256.
    package var mebibytes: Int?

    package init(id: String, seconds: Int? = nil, mebibytes: Int? = nil) {
        self.id = id
        self.seconds = seconds
        self.mebibytes = mebibytes
    }
}

/// What `capture` answers: from then on each `CaptureChunk` comes as a notification `capture`, the last one with `end`.
package struct CaptureStart: Codable, Equatable, Sendable {
    /// In every chunk: a connection may have several.
    package var capture: UInt64
    /// The `CallSummary.id` of the call.
    package var call: String

    package init(capture: UInt64, call: String) {
        self.capture = capture
        self.call = call
    }
}

/// A piece of a pcapng file, in order: whole blocks, so that the file is good wherever it ends.
package struct CaptureChunk: Codable, Equatable, Sendable {
    package var capture: UInt64
    /// In base64.
    package var data: Data?
    package var end: CaptureEnd?

    package init(capture: UInt64, data: Data? = nil, end: CaptureEnd? = nil) {
        self.capture = capture
        self.data = data
        self.end = end
    }
}

/// Why a capture ended, and what is in it.
package struct CaptureEnd: Codable, Equatable, Sendable {
    package enum Reason: String, Codable, Sendable {
        case callEnded = "call_ended"
        case seconds
        case size
        case stopping
        case failed
    }

    package var reason: Reason
    package var packets: Int
    package var octets: Int
    /// Packets that were relayed but had no room in the relay's buffer for copies.
    package var lost: UInt64
    package var failure: String?

    package init(reason: Reason, packets: Int, octets: Int, lost: UInt64, failure: String? = nil) {
        self.reason = reason
        self.packets = packets
        self.octets = octets
        self.lost = lost
        self.failure = failure
    }
}
