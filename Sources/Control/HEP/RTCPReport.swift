import Configuration
import Core
import RTP
import Relay
import SIP

/// One RTCP report of a call's party for a collector.
struct RTCPReport: Sendable {
    let correlation: String
    let source: SocketAddress
    /// relayd's own port.
    let destination: SocketAddress
    let at: Instant
    let fields: Fields

    /// Named as Homer's own agents name them.
    struct Fields: Codable, Sendable, Equatable {
        /// 200 for a sender's report, 201 for a receiver's, 207 for an extended one.
        var type: UInt8
        var ssrc: UInt32
        var report_count: Int
        var sender_information: Sender?
        var report_blocks: [Block]
        /// Of an extended report with VoIP metrics (RFC 3611 §4.7).
        var report_blocks_xr: VoiceMetrics?

        struct Sender: Codable, Sendable, Equatable {
            /// Since 1900, and the fraction as RFC 3550 has it.
            var ntp_timestamp_sec: UInt32
            var ntp_timestamp_usec: UInt32
            var rtp_timestamp: UInt32
            var packets: UInt32
            var octets: UInt32
        }

        struct Block: Codable, Sendable, Equatable {
            var source_ssrc: UInt32
            /// Of 256.
            var fraction_lost: UInt8
            var packets_lost: Int32
            var highest_seq_no: UInt32
            /// Ticks of the timestamp.
            var ia_jitter: UInt32
            var lsr: UInt32
            var dlsr: UInt32
        }

        struct VoiceMetrics: Codable, Sendable, Equatable {
            /// Of the block.
            var type: UInt8 = 7
            /// Whom it is about.
            var id: UInt32
            /// Of 256.
            var fraction_lost: UInt8
            var fraction_discard: UInt8
            var burst_density: UInt8
            var gap_density: UInt8
            /// Milliseconds.
            var burst_duration: UInt16
            var gap_duration: UInt16
            var round_trip_delay: UInt16
            var end_system_delay: UInt16
            /// 127: unknown. The scores are ten times the MOS.
            var r_factor: UInt8
            var mos_lq: UInt8
            var mos_cq: UInt8
        }
    }
}

extension RTCPReport.Fields {
    /// Each report of a datagram; none of one that is no RTCP.
    static func all(in octets: [UInt8]) -> [Self] {
        let datagram = octets.span
        guard let compound = RTCPCompound(validating: datagram, allowsReducedSize: true) else { return [] }
        var reports: [Self] = []
        var packet = compound.packet(after: nil, in: datagram)
        while let report = packet {
            if report.kind == .senderReport || report.kind == .receiverReport, report.octets.count >= 8 {
                let start = report.octets.lowerBound + 4
                let ssrc = octets[start..<start + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                var fields = Self(
                    type: report.type, ssrc: ssrc, report_count: report.count,
                    sender_information: nil, report_blocks: [])
                if let sender = report.senderInformation(in: datagram) {
                    fields.sender_information = Sender(
                        ntp_timestamp_sec: UInt32(sender.ntpTimestamp >> 32),
                        ntp_timestamp_usec: UInt32(truncatingIfNeeded: sender.ntpTimestamp),
                        rtp_timestamp: sender.rtpTimestamp, packets: sender.packets, octets: sender.octets)
                }
                for index in 0..<report.count {
                    guard let block = report.reportBlock(index, in: datagram) else { break }
                    fields.report_blocks.append(
                        Block(
                            source_ssrc: block.ssrc, fraction_lost: block.fractionLost, packets_lost: block.cumulativeLost,
                            highest_seq_no: block.extendedHighestSequenceNumber, ia_jitter: block.jitter,
                            lsr: block.lastSenderReport, dlsr: block.delaySinceLastSenderReport))
                }
                reports.append(fields)
            } else if let metrics = report.voiceMetrics(in: datagram) {
                let start = report.octets.lowerBound + 4
                reports.append(
                    Self(
                        type: report.type, ssrc: octets[start..<start + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) },
                        report_count: 1, sender_information: nil, report_blocks: [], report_blocks_xr: VoiceMetrics(metrics)))
            }
            packet = compound.packet(after: report, in: datagram)
        }
        return reports
    }
}

extension RTCPReport.Fields.VoiceMetrics {
    init(_ metrics: RTCPVoiceMetrics) {
        self.init(
            id: metrics.ssrc, fraction_lost: metrics.lossRate, fraction_discard: metrics.discardRate,
            burst_density: metrics.burstDensity, gap_density: metrics.gapDensity, burst_duration: metrics.burstDuration,
            gap_duration: metrics.gapDuration, round_trip_delay: metrics.roundTripDelay,
            end_system_delay: metrics.endSystemDelay, r_factor: metrics.rFactor, mos_lq: metrics.listeningScore,
            mos_cq: metrics.conversationalScore)
    }
}

extension NGCallControl {
    /// The same of a call that a proxy drives, under the Call-ID by which the proxy knows it.
    func reports(in packet: TappedPacket, _ octets: [UInt8]) -> [RTCPReport] {
        guard let session = media.session(tapped: packet.session), let call = callsBySession[session],
            let medium = call.lines.lazy.compactMap(\.medium).first(where: { $0.taken.session == session })
        else { return [] }
        let address = medium.advertised(to: packet.leg)
        let destination = SocketAddress(ip: address.ip, port: packet.isOnRTCPPort ? address.port + 1 : address.port)
        return RTCPReport.Fields.all(in: octets).map {
            RTCPReport(correlation: call.id, source: packet.source, destination: destination, at: packet.at, fields: $0)
        }
    }
}

extension CallControl {
    /// What a copied RTCP datagram says; nothing where its call has ended meanwhile, and of calls that a proxy drives.
    func reports(in packet: TappedPacket, _ octets: [UInt8]) -> [RTCPReport] {
        guard let session = media.session(tapped: packet.session),
            let number = callsBySession[session] ?? furtherSessions[session]?.call, let call = calls[number],
            let medium = call.medium(of: session)
        else { return [] }
        let port = call[medium: medium].port(of: packet.leg)
        let destination = SocketAddress(
            ip: settings.mediaAddresses(packet.leg, of: call).advertised, port: packet.isOnRTCPPort ? port + 1 : port)
        return RTCPReport.Fields.all(in: octets).map {
            RTCPReport(
                correlation: call.caller.callID, source: packet.source, destination: destination, at: packet.at, fields: $0)
        }
    }
}
