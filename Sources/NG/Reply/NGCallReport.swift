package import Core

/// Packets of one kind, both directions of a call or one stream.
package struct NGTraffic: Equatable, Sendable {
    package var packets: UInt64
    package var octets: UInt64
    package var errors: UInt64

    package init(packets: UInt64 = 0, octets: UInt64 = 0, errors: UInt64 = 0) {
        self.packets = packets
        self.octets = octets
        self.errors = errors
    }
}

/// How one source was received, over the whole call or at one moment of it.
package struct NGQuality: Equatable, Sendable {
    /// 1 to 5, by G.107.
    package var mos: Double
    package var jitter: Duration
    /// 0 to 1.
    package var lossRatio: Double
    /// Nil without RTCP.
    package var roundTrip: Duration?
    /// Of an average: how many measurements went in.
    package var sampleCount: Int?
    /// Of the lowest and highest: when.
    package var reportedAt: WallTime?

    package init(
        mos: Double, jitter: Duration, lossRatio: Double, roundTrip: Duration? = nil, sampleCount: Int? = nil,
        reportedAt: WallTime? = nil
    ) {
        self.mos = mos
        self.jitter = jitter
        self.lossRatio = lossRatio
        self.roundTrip = roundTrip
        self.sampleCount = sampleCount
        self.reportedAt = reportedAt
    }
}

/// The figures of one call, for `query` and `delete`.
package struct NGCallReport: Equatable, Sendable {
    package struct Source: Equatable, Sendable {
        package var ssrc: UInt32
        package var average: NGQuality?
        package var lowest: NGQuality?
        package var highest: NGQuality?

        package init(ssrc: UInt32, average: NGQuality? = nil, lowest: NGQuality? = nil, highest: NGQuality? = nil) {
            self.ssrc = ssrc
            self.average = average
            self.lowest = lowest
            self.highest = highest
        }
    }

    /// One flow as received from a peer.
    package struct Stream: Equatable, Sendable {
        /// The relay's port and, as the description had it, the peer's address.
        package var local: SocketAddress?
        package var advertised: SocketAddress?
        /// Where packets come from; nil before the lock.
        package var endpoint: SocketAddress?
        package var ssrc: UInt32?
        package var lastPacket: WallTime?
        package var traffic: NGTraffic

        package init(
            local: SocketAddress? = nil, advertised: SocketAddress? = nil, endpoint: SocketAddress? = nil,
            ssrc: UInt32? = nil, lastPacket: WallTime? = nil, traffic: NGTraffic = NGTraffic()
        ) {
            self.local = local
            self.advertised = advertised
            self.endpoint = endpoint
            self.ssrc = ssrc
            self.lastPacket = lastPacket
            self.traffic = traffic
        }
    }

    package struct Medium: Equatable, Sendable {
        /// `audio`, `image`, …, and `RTP/AVP`, `udptl`, ….
        package var kind: String
        package var transport: String
        package var rtp: Stream
        /// Nil when RTCP is multiplexed, or there is none.
        package var rtcp: Stream?

        package init(kind: String, transport: String, rtp: Stream, rtcp: Stream? = nil) {
            self.kind = kind
            self.transport = transport
            self.rtp = rtp
            self.rtcp = rtcp
        }
    }

    /// One side of the call, or one of the branches of a fork.
    package struct Tag: Equatable, Sendable {
        package var tag: String
        package var label: String?
        package var created: WallTime
        package var media: [Medium]
        /// The tags that it exchanges media with.
        package var peers: [String]

        package init(tag: String, label: String? = nil, created: WallTime, media: [Medium], peers: [String] = []) {
            self.tag = tag
            self.label = label
            self.created = created
            self.media = media
            self.peers = peers
        }
    }

    package var created: WallTime
    package var lastSignal: WallTime
    package var rtp: NGTraffic
    package var rtcp: NGTraffic
    package var sources: [Source]
    package var tags: [Tag]

    package init(
        created: WallTime, lastSignal: WallTime, rtp: NGTraffic, rtcp: NGTraffic, sources: [Source], tags: [Tag]
    ) {
        self.created = created
        self.lastSignal = lastSignal
        self.rtp = rtp
        self.rtcp = rtcp
        self.sources = sources
        self.tags = tags
    }
}
