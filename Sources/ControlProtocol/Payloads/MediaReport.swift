package import Core

/// How the stream that one party sends was heard, measured on its packets alone. All counts are of the whole call.
package struct MediaReport: Codable, Equatable, Sendable {
    /// Of windows of five seconds; nil before the first.
    package struct Quality: Codable, Equatable, Sendable {
        /// MOS-CQE by ITU-T G.107, 1 to 4.5.
        package var averageMOS: Double
        package var lowestMOS: Double
        package var highestMOS: Double
        package var lowestAt: WallTime

        package init(averageMOS: Double, lowestMOS: Double, highestMOS: Double, lowestAt: WallTime) {
            self.averageMOS = averageMOS
            self.lowestMOS = lowestMOS
            self.highestMOS = highestMOS
            self.lowestAt = lowestAt
        }
    }

    /// One second.
    package struct Second: Codable, Equatable, Sendable {
        package var packets: Int
        package var lost: Int
        package var jitterMilliseconds: Int

        package init(packets: Int, lost: Int = 0, jitterMilliseconds: Int = 0) {
            self.packets = packets
            self.lost = lost
            self.jitterMilliseconds = jitterMilliseconds
        }
    }

    package var quality: Quality?
    package var lossPercent = 0.0
    /// Stretches of packets missing one after the other, and the most missing in one of them.
    package var lossBursts = 0
    package var largestSequenceGap = 0
    package var reordered = 0
    package var duplicates = 0
    /// RFC 3550 §A.8: now, and the highest it was.
    package var jitterMilliseconds = 0.0
    package var highestJitterMilliseconds = 0.0
    /// The longest time between two packets; silence after comfort noise and hold are none.
    package var longestGapMilliseconds = 0.0
    /// From relayd to this party and back, by its RTCP; nil when that did not tell.
    package var roundTripMilliseconds: Double?
    package var ssrc: UInt32?
    package var ssrcChanges = 0
    package var payloadType: Int?
    package var payloadTypeChanges = 0
    /// Times that the sequence, and the timestamps, went on somewhere else.
    package var restarts = 0
    package var timestampJumps = 0
    /// DTMF: telephone-events (RFC 4733), INFO requests, and tones in the audio where these are listened for.
    package var telephoneEvents = 0
    package var infoDigits = 0
    package var inBandDigits = 0
    /// Packets (RFC 3389).
    package var comfortNoisePackets = 0
    package var rtcpPackets: UInt64 = 0
    /// RTP of the other party sent to this one, and RTP of this one that was held back as a proxy or operator asked.
    package var sentPackets: UInt64 = 0
    package var withheldPackets: UInt64 = 0
    /// The last two minutes at the most, oldest first, up to the last whole second.
    package var timeline: [Second] = []
    /// When the first second of the time line began.
    package var timelineStart: WallTime?

    package init() {}
}
