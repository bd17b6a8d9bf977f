/// What the packets of a payload type are.
@frozen
public enum PayloadUse: UInt8, Sendable, BitwiseCopyable {
    /// Speech, or any other medium.
    case media
    /// RFC 3389.
    case comfortNoise
    /// RFC 4733.
    case telephoneEvent
}

/// What a leg's SDP says about its payload types, as far as statistics need it: 32 octets, no references.
@frozen
public struct PayloadFormats: Sendable, BitwiseCopyable {
    /// The clock rate in the low 20 bits, the codec and the use above it, the type in bits 25 and above; zero is no entry.
    private var entries: InlineArray<8, UInt32> = .init(repeating: 0)

    public init() {}

    /// Says what `a=rtpmap` says. It takes the place of what is known by RFC 3551, and of what was said before.
    ///
    /// There is room for eight types, far more than one stream uses: further ones are ignored, and count as media with the
    /// clock rate of RFC 3551.
    ///
    /// - Parameters:
    ///   - payloadType: at most 127.
    ///   - clockRate: ticks of the timestamp per second; zero and more than 2^20 - 1 are ignored.
    ///   - codec: of a medium, for its quality.
    public mutating func set(
        _ payloadType: UInt8, to use: PayloadUse, clockRate: UInt32 = 8000, codec: SpeechCodec = .g711
    ) {
        precondition(payloadType < 128)
        guard clockRate > 0, clockRate < 1 << 20 else { return }
        for index in 0..<entries.count where entries[index] == 0 || entries[index] >> 25 == UInt32(payloadType) {
            entries[index] =
                UInt32(payloadType) << 25 | UInt32(use.rawValue) << 23 | UInt32(codec.rawValue) << 20 | clockRate
            return
        }
    }

    /// Takes over what `other` says of types that are not set here, as far as there is room.
    public mutating func fill(from other: PayloadFormats) {
        for index in 0..<other.entries.count {
            let entry = other.entries[index]
            guard entry != 0, self.entry(of: UInt8(entry >> 25)) == 0 else { continue }
            for place in 0..<entries.count where entries[place] == 0 {
                entries[place] = entry
                break
            }
        }
    }

    /// Comfort noise for 13 unless set; media for all other types.
    public func use(of payloadType: UInt8) -> PayloadUse {
        let entry = entry(of: payloadType)
        guard entry != 0 else { return payloadType == 13 ? .comfortNoise : .media }
        return PayloadUse(rawValue: UInt8(entry >> 23 & 3)) ?? .media
    }

    /// Ticks of the timestamp per second: as set, else by the static type (RFC 3551 §6), else 8000.
    public func clockRate(of payloadType: UInt8) -> UInt32 {
        let entry = entry(of: payloadType)
        return entry != 0 ? entry & 0xf_ffff : Self.staticClockRate(of: payloadType)
    }

    /// As set, else by the static type.
    public func codec(of payloadType: UInt8) -> SpeechCodec {
        let entry = entry(of: payloadType)
        guard entry != 0 else { return SpeechCodec(payloadType: payloadType) }
        return SpeechCodec(rawValue: UInt8(entry >> 20 & 7)) ?? .g711
    }

    private func entry(of payloadType: UInt8) -> UInt32 {
        for index in 0..<entries.count where entries[index] != 0 && entries[index] >> 25 == UInt32(payloadType) {
            return entries[index]
        }
        return 0
    }

    /// G.722 (9) says 8000 although it samples at 16000 (RFC 3551 §4.5.2).
    private static func staticClockRate(of payloadType: UInt8) -> UInt32 {
        switch payloadType {
        case 6: 16_000  // DVI4
        case 10, 11: 44_100  // L16
        case 16: 11_025  // DVI4
        case 17: 22_050  // DVI4
        case 14, 25, 26, 28, 31, 32, 33, 34: 90_000  // MPEG audio and video
        default: 8_000
        }
    }
}

extension PayloadFormats: Hashable {
    public static func == (left: PayloadFormats, right: PayloadFormats) -> Bool {
        left.entries.indices.allSatisfy { left.entries[$0] == right.entries[$0] }
    }

    public func hash(into hasher: inout Hasher) {
        for index in entries.indices { hasher.combine(entries[index]) }
    }
}
