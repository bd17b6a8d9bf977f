import Testing

@testable import Control

@Suite("RTCP for a collector")
struct RTCPReportTests {
    private let sender: [UInt8] =
        [0x81, 200, 0, 12, 0xde, 0xad, 0xbe, 0xef, 0xe5, 0, 0, 1, 0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 50, 0, 0, 0x1f, 0x40]
        + [0, 0, 0, 7, 0x40, 0xff, 0xff, 0xfe, 0, 1, 0, 20, 0, 0, 0, 9, 0x11, 0x22, 0x33, 0x44, 0, 1, 0, 0]
    private let receiver: [UInt8] = [0x80, 201, 0, 1, 0, 0, 0, 5]
    private let description: [UInt8] = [0x81, 202, 0, 2, 0xde, 0xad, 0xbe, 0xef, 1, 1, 0x61, 0]

    @Test("a sender's report has its information and blocks; what stands beside it in the datagram is passed over")
    func senderReport() throws {
        let reports = RTCPReport.Fields.all(in: sender + description)
        let report = try #require(reports.first)
        #expect(reports.count == 1 && report.type == 200 && report.ssrc == 0xdead_beef && report.report_count == 1)
        #expect(
            report.sender_information
                == .init(ntp_timestamp_sec: 0xe500_0001, ntp_timestamp_usec: 0x8000_0000, rtp_timestamp: 256, packets: 50, octets: 8_000))
        #expect(
            report.report_blocks == [
                .init(
                    source_ssrc: 7, fraction_lost: 64, packets_lost: -2, highest_seq_no: 65_556, ia_jitter: 9, lsr: 0x1122_3344,
                    dlsr: 65_536)
            ])
    }

    @Test("a receiver's report without blocks is one; several in a datagram are several")
    func several() {
        let reports = RTCPReport.Fields.all(in: receiver + sender)
        #expect(reports.map(\.type) == [201, 200])
        #expect(reports[0].sender_information == nil && reports[0].report_blocks.isEmpty && reports[0].ssrc == 5)
    }

    /// Blocks before the one that counts are passed over: here a receiver reference time (RFC 3611 §4.4).
    private let extended: [UInt8] =
        [0x80, 207, 0, 13, 0, 0, 0, 5, 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 7, 0, 0, 8, 0, 0, 0, 7, 10, 5, 128, 2, 0, 100, 1, 0]
        + [0, 42, 0, 60, 127, 127, 127, 16, 88, 127, 41, 40, 0, 0, 0, 40, 0, 60, 0, 80]

    @Test("an extended report is one where it has VoIP metrics")
    func voiceMetrics() throws {
        let reports = RTCPReport.Fields.all(in: receiver + extended)
        #expect(reports.map(\.type) == [201, 207] && reports[0].report_blocks_xr == nil && reports[1].ssrc == 5)
        #expect(
            reports[1].report_blocks_xr
                == .init(
                    id: 7, fraction_lost: 10, fraction_discard: 5, burst_density: 128, gap_density: 2, burst_duration: 100,
                    gap_duration: 256, round_trip_delay: 42, end_system_delay: 60, r_factor: 88, mos_lq: 41, mos_cq: 40))
        var without = extended
        without[20] = 6
        #expect(RTCPReport.Fields.all(in: without).isEmpty)
        for count in 0..<extended.count { #expect(RTCPReport.Fields.all(in: Array(extended.prefix(count))).isEmpty, "\(count)") }
        var cut = extended
        cut[23] = 9
        #expect(RTCPReport.Fields.all(in: cut).isEmpty, "a block that ends beyond its packet")
    }

    @Test("what is cut off, or no RTCP, is none")
    func broken() {
        for count in 0..<sender.count { #expect(RTCPReport.Fields.all(in: Array(sender.prefix(count))).isEmpty, "\(count)") }
        #expect(RTCPReport.Fields.all(in: [0x80, 0, 0, 1] + [UInt8](repeating: 0, count: 168)).isEmpty)
    }
}
