import RTP
import SIP

extension PayloadFormats {
    /// What the payload types of a description stand for. Static types that are as RFC 3551 says take no room.
    init(_ media: SessionDescription.Media) {
        self.init()
        for payload in media.payloads where !payload.isUsual { add(payload) }
    }

    /// Of what a party sends: with the numbers that the other one chose, which are mostly its own too (RFC 3264 §5.1).
    init(receivedBy other: PayloadFormats?, sentBy own: PayloadFormats) {
        self = other ?? PayloadFormats()
        fill(from: own)
    }

    private mutating func add(_ payload: SessionDescription.Payload) {
        let use: PayloadUse = payload.isTelephoneEvent ? .telephoneEvent : payload.isComfortNoise ? .comfortNoise : .media
        let rate = payload.clockRate.flatMap { UInt32(exactly: $0) } ?? clockRate(of: payload.number)
        let codec = payload.encodingName.map { SpeechCodec(encodingName: $0) } ?? SpeechCodec(payloadType: payload.number)
        guard
            use != self.use(of: payload.number) || rate != clockRate(of: payload.number) || codec != self.codec(of: payload.number)
        else { return }
        set(payload.number, to: use, clockRate: rate, codec: codec)
    }
}

extension SessionDescription.Payload {
    /// What nearly every description has, named as in RFC 3551.
    fileprivate var isUsual: Bool {
        guard clockRate == 8_000 else { return false }
        return switch number {
        case 0: encodingName == "PCMU"
        case 8: encodingName == "PCMA"
        case 18: encodingName == "G729"
        default: false
        }
    }
}
