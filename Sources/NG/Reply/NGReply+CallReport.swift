import Core

/// The figures of a call as rtpengine names them, so that the proxies' pseudo-variables find them.
extension NGReply {
    /// How much is said.
    ///
    /// rtpengine's answer has 1,800 octets for the smallest call, is cut in two by UDP, and takes a node out of service
    /// when the path loses fragments. So by default only what proxies and scripts read is there. Left out are:
    /// addresses, ports, kinds and indices of media, RTCP streams (their packets are in `totals`), subscriptions,
    /// `last signal`.
    package enum Detail: Int, CaseIterable, Sendable {
        /// Everything, however long.
        case full
        /// `created`, `totals`, `SSRC` with three MOS figures each, and per stream SSRC, packets and time.
        case usual
        /// Of each source the average alone, of each stream the SSRC alone.
        case short
        /// `created` and `totals`.
        case totals
    }

    /// What fits one datagram on any path, with room for the headers in front.
    package static let usualSize = 1200

    static func write(_ report: NGCallReport, _ detail: Detail, to writer: inout NGWriter) {
        writer.entry("created", report.created.seconds)
        if detail == .full { writer.entry("last signal", report.lastSignal.seconds) }
        if detail != .totals {
            writer.key("SSRC")
            writer.beginDictionary()
            for (index, source) in report.sources.enumerated() {
                // Two streams may have one SSRC: it is named once, with the figures of the last.
                guard !report.sources[..<index].contains(where: { $0.ssrc == source.ssrc }) else { continue }
                let last = report.sources.last { $0.ssrc == source.ssrc } ?? source
                writer.key(text: String(source.ssrc))
                write(last, detail, to: &writer)
            }
            writer.endDictionary()
            writer.key("tags")
            writer.beginDictionary()
            for tag in report.tags {
                writer.key(text: tag.tag)
                write(tag, detail, to: &writer)
            }
            writer.endDictionary()
        }
        writer.key("totals")
        writer.beginDictionary()
        writer.key("RTP")
        write(report.rtp, to: &writer)
        writer.key("RTCP")
        write(report.rtcp, to: &writer)
        writer.endDictionary()
    }

    private static func write(_ source: NGCallReport.Source, _ detail: Detail, to writer: inout NGWriter) {
        writer.beginDictionary()
        if let average = source.average { write(average, "average MOS", to: &writer) }
        if detail != .short {
            if let lowest = source.lowest { write(lowest, "lowest MOS", to: &writer) }
            if let highest = source.highest { write(highest, "highest MOS", to: &writer) }
        }
        writer.endDictionary()
    }

    /// Integers in rtpengine's units: tenths for MOS, milliseconds for jitter, per cent for loss, microseconds for the
    /// round trip.
    private static func write(_ quality: NGQuality, _ key: StaticString, to writer: inout NGWriter) {
        writer.key(key)
        writer.beginDictionary()
        writer.entry("MOS", integer(quality.mos * 10))
        writer.entry("jitter", quality.jitter.milliseconds)
        writer.entry("packet loss", integer(quality.lossRatio * 100))
        if let roundTrip = quality.roundTrip { writer.entry("round-trip time", roundTrip.nanoseconds / 1000) }
        if let sampleCount = quality.sampleCount { writer.entry("samples", Int64(sampleCount)) }
        if let reportedAt = quality.reportedAt { writer.entry("reported at", reportedAt.seconds) }
        writer.endDictionary()
    }

    private static func integer(_ value: Double) -> Int64 { Int64(exactly: value.rounded()) ?? 0 }

    private static func write(_ tag: NGCallReport.Tag, _ detail: Detail, to writer: inout NGWriter) {
        writer.beginDictionary()
        if detail == .full {
            writer.entry("tag", text: tag.tag)
            writer.entry("created", tag.created.seconds)
            writer.key("subscriptions")
            writer.beginList()
            for peer in tag.peers {
                writer.beginDictionary()
                writer.entry("tag", text: peer)
                writer.entry("type", text: "offer/answer")
                writer.endDictionary()
            }
            writer.endList()
        }
        if let label = tag.label { writer.entry("label", text: label) }
        writer.key("medias")
        writer.beginList()
        for (index, medium) in tag.media.enumerated() { write(medium, index: index, detail, to: &writer) }
        writer.endList()
        writer.endDictionary()
    }

    private static func write(
        _ medium: NGCallReport.Medium, index: Int, _ detail: Detail, to writer: inout NGWriter
    ) {
        writer.beginDictionary()
        if detail == .full {
            writer.entry("index", Int64(index + 1))
            writer.entry("type", text: medium.kind)
            writer.entry("protocol", text: medium.transport)
        }
        writer.key("streams")
        writer.beginList()
        write(medium.rtp, detail, to: &writer)
        // Kamailio looks for the SSRC in the first stream only.
        if detail == .full, let rtcp = medium.rtcp { write(rtcp, detail, to: &writer) }
        writer.endList()
        writer.endDictionary()
    }

    private static func write(_ stream: NGCallReport.Stream, _ detail: Detail, to writer: inout NGWriter) {
        writer.beginDictionary()
        if detail == .full {
            if let local = stream.local {
                writer.entry("local port", Int64(local.port))
                writer.entry("local address", text: local.ip.description)
                writer.entry("family", text: family(local.ip))
            }
            if let endpoint = stream.endpoint { write(endpoint, "endpoint", to: &writer) }
            if let advertised = stream.advertised { write(advertised, "advertised endpoint", to: &writer) }
        }
        if detail != .short, let lastPacket = stream.lastPacket { writer.entry("last packet", lastPacket.seconds) }
        if let ssrc = stream.ssrc { writer.entry("SSRC", Int64(ssrc)) }
        if detail != .short {
            writer.key("stats")
            write(stream.traffic, to: &writer)
        }
        writer.endDictionary()
    }

    private static func write(_ address: SocketAddress, _ key: StaticString, to writer: inout NGWriter) {
        writer.key(key)
        writer.beginDictionary()
        writer.entry("family", text: family(address.ip))
        writer.entry("address", text: address.ip.description)
        writer.entry("port", Int64(address.port))
        writer.endDictionary()
    }

    private static func family(_ address: IPAddress) -> String { address.family == .ipv4 ? "IPv4" : "IPv6" }

    private static func write(_ traffic: NGTraffic, to writer: inout NGWriter) {
        writer.beginDictionary()
        writer.entry("packets", Int64(clamping: traffic.packets))
        writer.entry("bytes", Int64(clamping: traffic.octets))
        writer.entry("errors", Int64(clamping: traffic.errors))
        writer.endDictionary()
    }
}

extension WallTime {
    fileprivate var seconds: Int64 { milliseconds / 1000 }
}
