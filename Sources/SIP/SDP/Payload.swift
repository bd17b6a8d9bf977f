extension SessionDescription {
    /// One format of an RTP medium, from its `a=rtpmap` and `a=fmtp` lines or from the static table of RFC 3551 §6.
    package struct Payload: Equatable, Sendable {
        /// The RTP payload type, 0 to 127.
        package let number: UInt8
        private var channels: UInt16
        /// `UInt32.max` where there is none.
        private var rate: UInt32
        /// As written, `PCMU` or `opus`; nil for a dynamic type without a map.
        package private(set) var encodingName: String?
        /// What follows the payload type in `a=fmtp`, as written.
        package internal(set) var fmtp: String?

        init(number: UInt8, encodingName: String?, clockRate: UInt32?, channelCount: UInt16, fmtp: String?) {
            self.number = number
            self.encodingName = encodingName
            rate = clockRate ?? .max
            channels = channelCount
            self.fmtp = fmtp
        }

        /// In hertz.
        package var clockRate: Int? { rate == .max ? nil : Int(rate) }
        package var channelCount: Int { Int(channels) }
    }
}

extension SessionDescription.Payload {
    package var isTelephoneEvent: Bool { isNamed("telephone-event") }
    package var isComfortNoise: Bool { isNamed("cn") }

    /// Names compare without case (RFC 4855 §3).
    package func isNamed(_ name: String) -> Bool { encodingName.map { Octet.equal($0, name) } ?? false }

    /// True when both stand for the same encoding. Numbers decide only where there is no name: each side chooses the
    /// number it wants to receive a dynamic type with (RFC 3264 §5.1). Names compare without case (RFC 4855 §3).
    package func isSameFormat(as other: Self) -> Bool {
        guard let encodingName, let otherName = other.encodingName else {
            return encodingName == nil && other.encodingName == nil && number == other.number
        }
        return encodingName.lowercased() == otherName.lowercased() && clockRate == other.clockRate
            && channelCount == other.channelCount
    }

    /// As the static table has it.
    @inline(__always)
    init(number: UInt8) {
        let known = Self.staticType(number)
        self.init(
            number: number, encodingName: known?.name, clockRate: known?.clockRate,
            channelCount: known?.channelCount ?? 1, fmtp: nil)
    }

    /// - Parameter text: what follows the payload type in its `a=rtpmap` line: encoding/clock rate/channels.
    @inline(__always)
    mutating func map(_ octets: [UInt8], _ text: Range<Int>) {
        let span = octets.span
        if let usual = SDPText.usualMap(span, text) {
            (encodingName, rate, channels) = (usual.name, usual.rate, 1)
            return
        }
        let end = span.firstIndex(of: SDPText.space, in: text) ?? text.upperBound
        let nameEnd = span.firstIndex(of: Octet.slash, in: text.lowerBound..<end) ?? end
        let rate = min(nameEnd + 1, end)..<end
        let rateEnd = span.firstIndex(of: Octet.slash, in: rate) ?? end
        let channels = min(rateEnd + 1, end)..<end
        let channelsEnd = span.firstIndex(of: Octet.slash, in: channels) ?? end
        encodingName = SDPText.string(octets, text.lowerBound..<nameEnd)
        self.rate = SDPText.number(span, rate.lowerBound..<rateEnd) ?? .max
        self.channels = SDPText.number(span, channels.lowerBound..<channelsEnd) ?? 1
    }

    private static func staticType(_ number: UInt8) -> (name: String, clockRate: UInt32, channelCount: UInt16)? {
        switch number {
        case 0: ("PCMU", 8000, 1)
        case 3: ("GSM", 8000, 1)
        case 4: ("G723", 8000, 1)
        case 5: ("DVI4", 8000, 1)
        case 6: ("DVI4", 16_000, 1)
        case 7: ("LPC", 8000, 1)
        case 8: ("PCMA", 8000, 1)
        case 9: ("G722", 8000, 1)  // samples at 16 kHz, but its clock is 8 kHz by an old mistake (RFC 3551 §4.5.2)
        case 10: ("L16", 44_100, 2)
        case 11: ("L16", 44_100, 1)
        case 12: ("QCELP", 8000, 1)
        case 13: ("CN", 8000, 1)
        case 14: ("MPA", 90_000, 1)
        case 15: ("G728", 8000, 1)
        case 16: ("DVI4", 11_025, 1)
        case 17: ("DVI4", 22_050, 1)
        case 18: ("G729", 8000, 1)
        case 25: ("CelB", 90_000, 1)
        case 26: ("JPEG", 90_000, 1)
        case 28: ("nv", 90_000, 1)
        case 31: ("H261", 90_000, 1)
        case 32: ("MPV", 90_000, 1)
        case 33: ("MP2T", 90_000, 1)
        case 34: ("H263", 90_000, 1)
        default: nil
        }
    }
}
