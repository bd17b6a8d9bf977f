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

    /// For `query` and `delete`.
    ///
    /// - Parameter detail: `.full` when the request asks for it. Anything else is made shorter until the answer fits
    ///   `usualSize`, and says so in `left out`.
    package static func call(
        _ report: NGCallReport, cookieLength: Int, format: NGFormat, detail: Detail = .usual, warnings: [String] = []
    ) -> NGReply {
        let reply = call(body(of: report, detail), warnings: warnings)
        guard detail != .full, !reply.fits(cookieLength, format) else { return reply }
        for shorter in Detail.allCases where shorter.rawValue > detail.rawValue {
            var body = body(of: report, shorter)
            body["left out"] = .text("ask with flag full-statistics")
            let reply = call(body, warnings: warnings)
            if shorter == .totals || reply.fits(cookieLength, format) { return reply }
        }
        return reply
    }

    private func fits(_ cookieLength: Int, _ format: NGFormat) -> Bool {
        cookieLength + 1 + format.encoded(body).count <= Self.usualSize
    }

    private static func body(of report: NGCallReport, _ detail: Detail) -> NGDictionary {
        var body: NGDictionary = ["created": .integer(report.created.seconds)]
        if detail == .full { body["last signal"] = .integer(report.lastSignal.seconds) }
        if detail != .totals {
            var sources = NGDictionary()
            for source in report.sources { sources[String(source.ssrc)] = .dictionary(entry(for: source, detail)) }
            body["SSRC"] = .dictionary(sources)
            var tags = NGDictionary()
            for tag in report.tags { tags[tag.tag] = .dictionary(entry(for: tag, detail)) }
            body["tags"] = .dictionary(tags)
        }
        body["totals"] = .dictionary([
            "RTP": .dictionary(entry(for: report.rtp)), "RTCP": .dictionary(entry(for: report.rtcp)),
        ])
        return body
    }

    private static func entry(for source: NGCallReport.Source, _ detail: Detail) -> NGDictionary {
        var entry = NGDictionary()
        if let average = source.average { entry["average MOS"] = .dictionary(self.entry(for: average)) }
        guard detail != .short else { return entry }
        if let lowest = source.lowest { entry["lowest MOS"] = .dictionary(self.entry(for: lowest)) }
        if let highest = source.highest { entry["highest MOS"] = .dictionary(self.entry(for: highest)) }
        return entry
    }

    /// Integers in rtpengine's units: tenths for MOS, milliseconds for jitter, per cent for loss, microseconds for the
    /// round trip.
    private static func entry(for quality: NGQuality) -> NGDictionary {
        var entry: NGDictionary = [
            "MOS": .integer(integer(quality.mos * 10)),
            "jitter": .integer(quality.jitter.milliseconds),
            "packet loss": .integer(integer(quality.lossRatio * 100)),
        ]
        if let roundTrip = quality.roundTrip { entry["round-trip time"] = .integer(roundTrip.nanoseconds / 1000) }
        if let sampleCount = quality.sampleCount { entry["samples"] = .count(sampleCount) }
        if let reportedAt = quality.reportedAt { entry["reported at"] = .integer(reportedAt.seconds) }
        return entry
    }

    private static func integer(_ value: Double) -> Int64 { Int64(exactly: value.rounded()) ?? 0 }

    private static func entry(for tag: NGCallReport.Tag, _ detail: Detail) -> NGDictionary {
        var entry = NGDictionary()
        if detail == .full {
            entry["tag"] = .text(tag.tag)
            entry["created"] = .integer(tag.created.seconds)
            let peers = tag.peers.map { NGValue.dictionary(["tag": .text($0), "type": .text("offer/answer")]) }
            entry["subscriptions"] = .list(peers)
        }
        if let label = tag.label { entry["label"] = .text(label) }
        entry["medias"] = .list(tag.media.enumerated().map { index, medium in
            .dictionary(self.entry(for: medium, index: index, detail))
        })
        return entry
    }

    private static func entry(for medium: NGCallReport.Medium, index: Int, _ detail: Detail) -> NGDictionary {
        var entry = NGDictionary()
        if detail == .full {
            entry["index"] = .count(index + 1)
            entry["type"] = .text(medium.kind)
            entry["protocol"] = .text(medium.transport)
        }
        // Kamailio looks for the SSRC in the first stream only.
        let streams = detail == .full ? [medium.rtp, medium.rtcp].compactMap { $0 } : [medium.rtp]
        entry["streams"] = .list(streams.map { .dictionary(self.entry(for: $0, detail)) })
        return entry
    }

    private static func entry(for stream: NGCallReport.Stream, _ detail: Detail) -> NGDictionary {
        var entry = NGDictionary()
        if detail == .full {
            if let local = stream.local {
                entry["local port"] = .count(local.port)
                entry["local address"] = .text(local.ip.description)
                entry["family"] = .text(local.ip.family == .ipv4 ? "IPv4" : "IPv6")
            }
            if let endpoint = stream.endpoint { entry["endpoint"] = .dictionary(self.entry(for: endpoint)) }
            if let advertised = stream.advertised {
                entry["advertised endpoint"] = .dictionary(self.entry(for: advertised))
            }
        }
        if detail != .short, let lastPacket = stream.lastPacket {
            entry["last packet"] = .integer(lastPacket.seconds)
        }
        if let ssrc = stream.ssrc { entry["SSRC"] = .count(ssrc) }
        if detail != .short { entry["stats"] = .dictionary(self.entry(for: stream.traffic)) }
        return entry
    }

    private static func entry(for address: SocketAddress) -> NGDictionary {
        [
            "family": .text(address.ip.family == .ipv4 ? "IPv4" : "IPv6"), "address": .text(address.ip.description),
            "port": .count(address.port),
        ]
    }

    private static func entry(for traffic: NGTraffic) -> NGDictionary {
        [
            "packets": .count(traffic.packets), "bytes": .count(traffic.octets), "errors": .count(traffic.errors),
        ]
    }
}

extension WallTime {
    fileprivate var seconds: Int64 { milliseconds / 1000 }
}
