import Configuration
import ControlProtocol
package import Core
import Relay
import RTP
import SIP
import Uring

/// Sends a copy of every SIP message, every RTCP report, and the figures of every RTP stream at the end of its call, to a HEP3
/// collector.
///
/// Nothing waits for the collector: what the ring or the kernel does not take at once is counted and gone.
final class HEPExporter {
    private let socket: DatagramSocket
    private let collector: SocketAddress
    private let captureID: UInt32
    private let kind: UInt8
    private let counters: CounterBlock

    /// - Parameter kind: of the tokens with which failed sends complete; count them with `sendFailed`.
    /// - Throws: the kernel's errno.
    init(to collector: SocketAddress, _ settings: Configuration.HEP, kind: UInt8, counters: CounterBlock) throws(Errno) {
        self.collector = collector
        captureID = UInt32(settings.captureID)
        self.kind = kind
        self.counters = counters
        let any: IPAddress = collector.ip.family == .ipv4 ? .ipv4Any : .ipv6Any
        socket = try DatagramSocket(bindingTo: SocketAddress(ip: any, port: 0))
    }

    func sendFailed() { counters.add(to: .hepSendFailures) }

    func export(
        sip octets: [UInt8], _ direction: SIPTrace.Direction, flow: Flow, local: SocketAddress, microseconds: Int64,
        correlation: [UInt8], on ring: inout Ring
    ) {
        let (source, destination) = direction == .received ? (flow.remote, local) : (local, flow.remote)
        var packet = HEPPacket(
            source: source, destination: destination, microseconds: microseconds, payload: .sip, captureID: captureID,
            correlation: correlation)
        packet.isDatagram = flow.transport == .udp
        send(packet, octets, on: &ring)
    }

    /// - Parameter offset: microseconds of the wall clock beyond those of the monotonic one.
    func export(_ report: RTCPReport, offset: Int64, on ring: inout Ring) {
        let packet = HEPPacket(
            source: report.source, destination: report.destination,
            microseconds: Int64(report.at.nanoseconds / 1_000) + offset, payload: .rtcp, captureID: captureID,
            correlation: Array(report.correlation.utf8))
        send(packet, Array(JSONText.line(report.fields).utf8.dropLast()), on: &ring)
    }

    func export(_ report: RTPReport, microseconds: Int64, on ring: inout Ring) {
        let packet = HEPPacket(
            source: report.source, destination: report.destination, microseconds: microseconds, payload: .rtpReport,
            captureID: captureID, correlation: Array(report.correlation.utf8))
        send(packet, Array(JSONText.line(report.fields).utf8.dropLast()), on: &ring)
    }

    private func send(_ packet: HEPPacket, _ octets: [UInt8], on ring: inout Ring) {
        guard let datagram = packet.encoded(octets),
            ring.send(copying: datagram.span, on: socket.file, to: collector, token: Token(kind: kind))
        else { return sendFailed() }
        counters.add(to: .hepPacketsSent)
    }
}

/// What is known at the end of a call of the RTP from one side, for a collector.
package struct RTPReport: Sendable {
    package let correlation: String
    package let source: SocketAddress
    /// relayd's own port.
    package let destination: SocketAddress
    let fields: Fields

    /// Named as Homer's own agent names them.
    struct Fields: Codable, Sendable {
        var CORRELATION_ID: String
        var RTP_SIP_CALL_ID: String
        var TYPE = "HANGUP"
        var DIR: Int
        var SSRC: String
        var SRC_IP: String
        var SRC_PORT: UInt16
        var DST_IP: String
        var DST_PORT: UInt16
        var CODEC_PT: Int
        var TOTAL_PK: UInt64
        var EXPECTED_PK: UInt64
        var PACKET_LOSS: UInt64
        /// Packets out of order.
        var OUT_ORDER: UInt64
        var TL_BYTE: UInt64
        /// Milliseconds.
        var JITTER: Double
        var MAX_JITTER: Double
        var MAX_DELTA: Double
        /// Nil before there is a whole second.
        var MOS: Double?
        var REPORT_TS: Double
    }
}

extension CallControl {
    /// What SIP messages of one call have in common for a collector: the caller's Call-ID, on both legs. The message's own
    /// Call-ID where it belongs to no call.
    mutating func correlation(of octets: [UInt8], _ direction: SIPTrace.Direction) -> [UInt8] {
        let message: SIPMessage
        switch SIPMessage.parse(octets) {
        case .message(let parsed), .answerable(let parsed, _, _): message = parsed
        case .keepAlive, .discard: return []
        }
        let isOwnTagInFrom = message.isRequest == (direction == .sent)
        let tag = isOwnTagInFrom ? message.fromTag : message.toTag
        guard let (_, leg, call) = call(of: message.callID, localTag: tag), leg == .callee else { return Array(message.callID) }
        return Array(call.caller.callID.utf8)
    }
}

extension CallControl {
    mutating func takeRTPReports() -> [RTPReport] {
        defer { rtpReports = [] }
        return rtpReports
    }

    /// One for each side that sent anything.
    mutating func makeRTPReports(of call: Call, now: Instant) -> [RTPReport] {
        Leg.allCases.compactMap { leg in
            guard let evidence = call.main[leg].evidence,
                let source = evidence.statistics.source, evidence.statistics.packets > 0
            else { return nil }
            let figures = evidence.statistics
            var quality = CallQuality(codec: .g711)
            quality.add(evidence.timeline?.buckets ?? [])
            let destination = SocketAddress(ip: configuration.advertisedMediaAddress, port: call.main.port(of: leg))
            let callID = leg == .caller ? call.caller.callID : call.callee?.callID ?? ""
            let fields = RTPReport.Fields(
                CORRELATION_ID: call.caller.callID, RTP_SIP_CALL_ID: callID, DIR: leg == .caller ? 0 : 1,
                SSRC: "0x" + String(figures.ssrc ?? 0, radix: 16), SRC_IP: "\(source.ip)", SRC_PORT: source.port,
                DST_IP: "\(destination.ip)", DST_PORT: destination.port, CODEC_PT: figures.payloadType.map(Int.init) ?? -1,
                TOTAL_PK: figures.packets, EXPECTED_PK: figures.packets + figures.lost, PACKET_LOSS: figures.lost,
                OUT_ORDER: UInt64(figures.reordered), TL_BYTE: figures.octets, JITTER: figures.jitter.inSeconds * 1_000,
                MAX_JITTER: figures.highestJitter.inSeconds * 1_000, MAX_DELTA: figures.longestGap.inSeconds * 1_000,
                MOS: quality.averageScore.map { ($0 * 100).rounded() / 100 }, REPORT_TS: Double(wallTime(now).milliseconds) / 1_000)
            return RTPReport(correlation: call.caller.callID, source: source, destination: destination, fields: fields)
        }
    }
}
