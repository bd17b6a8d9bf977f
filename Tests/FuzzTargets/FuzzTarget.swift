import Configuration
import Control
import Core
import NG
import RTP
import SIP

/// What reads octets that anyone may send. `run` takes any octets: it must return, and what it has read must hold.
///
/// A broken promise is a `precondition`, which libFuzzer and the tests both see as a crash.
package enum FuzzTarget: String, CaseIterable, Sendable {
    case sip, sdp, digest
    case sipStream = "sip-stream"
    /// Whole datagrams to all of call control, from a trunk, a phone and a stranger.
    case call
    case ng
    case ngStream = "ng-stream"
    case media, control, configuration

    package func run(_ octets: [UInt8]) {
        switch self {
        case .sip: SIPReading.message(octets)
        case .sdp: SIPReading.description(octets)
        case .digest: SIPReading.credentials(octets)
        case .sipStream: SIPReading.stream(octets)
        case .call: CallReading.run(octets)
        case .ng: Self.readEnvelope(octets)
        case .ngStream: Self.readNGStream(octets)
        case .media: Self.readMedia(octets)
        case .control: Self.readControl(octets)
        case .configuration: Self.readConfiguration(octets)
        }
    }

    // MARK: Media

    /// RTP, RTCP, STUN and whatever else a relay port may get.
    private static func readMedia(_ octets: [UInt8]) {
        let datagram = octets.span
        let kind = PacketKind(of: datagram)
        if let header = RTPHeader(parsing: datagram) {
            precondition(kind == .rtp || kind == .rtcp, "of version 2")
            _ = (header.sequenceNumber, header.timestamp, header.ssrc)
        }
        _ = RTCPHeader(parsing: datagram)
        for allowsReducedSize in [false, true] {
            guard let compound = RTCPCompound(validating: datagram, allowsReducedSize: allowsReducedSize) else { continue }
            precondition(kind == .rtcp)
            var previous: RTCPPacket?
            while let packet = compound.packet(after: previous, in: datagram) {
                precondition(packet.octets.lowerBound >= previous?.octets.upperBound ?? 0, "packets follow each other")
                precondition(packet.octets.upperBound <= octets.count)
                _ = packet.senderInformation(in: datagram)
                for index in 0..<34 {
                    _ = packet.reportBlock(index, in: datagram)
                    _ = packet.leavingSource(index, in: datagram)
                }
                _ = packet.voiceMetrics(in: datagram)
                if let name = packet.canonicalName(in: datagram) { precondition(name.upperBound <= octets.count) }
                previous = packet
            }
        }
    }

    // MARK: NG

    private static func readEnvelope(_ octets: [UInt8]) {
        guard let envelope = try? NGEnvelope(parsing: octets) else { return }
        let written = NGFormat.bencode.encoded(envelope.dictionary)
        precondition((try? Bencode.decode(written[...])) == envelope.dictionary, "what was read and written is read the same")
        precondition((try? JSON.decode(NGFormat.json.encoded(envelope.dictionary)[...])) != nil)
        _ = NGReplyCache.Key(envelope)
        guard let request = try? NGRequest(envelope.dictionary) else { return }
        precondition(request.warnings.count <= 8)
        guard let sdp = request.sdp, let description = try? SessionDescription(parsing: sdp) else { return }
        _ = request.codecs.selection(from: description.media.first?.payloads ?? [])
    }

    private static func readNGStream(_ octets: [UInt8]) {
        func messages(piece: Int) -> [[UInt8]] {
            var framer = NGStreamFramer()
            var rest = octets.dropFirst()
            var messages: [[UInt8]] = []
            while !rest.isEmpty {
                framer.append(rest.prefix(piece))
                rest = rest.dropFirst(piece)
                do {
                    while let message = try framer.next() { messages.append(Array(message)) }
                } catch { return messages }
            }
            return messages
        }
        let whole = messages(piece: .max)
        precondition(messages(piece: Int(octets.first ?? 0) + 1) == whole, "how a stream is cut makes no difference")
        for message in whole { readEnvelope(message) }
    }

    // MARK: Operators

    private static func readControl(_ octets: [UInt8]) {
        var connection = ControlConnection()
        let counters = CounterBlock()
        let piece = Int(octets.first ?? 0) + 1
        var rest = octets.dropFirst()
        while !rest.isEmpty {
            _ = connection.receive(Array(rest.prefix(piece)), now: Instant(nanoseconds: 0), counters: counters)
            rest = rest.dropFirst(piece)
        }
        _ = connection.receive([10], now: Instant(nanoseconds: 0), counters: counters)
    }

    private static func readConfiguration(_ octets: [UInt8]) {
        guard let text = String(validating: octets, as: UTF8.self),
            let configuration = try? Configuration.parse(text: text, file: "fuzz.toml")
        else { return }
        _ = configuration.warnings()
        _ = configuration.settings.map(\.key)
    }
}
