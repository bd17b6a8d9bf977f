internal import Synchronization

/// One second of a stream, in one word so that it is written and read whole.
@frozen
public struct TimelineBucket: Equatable, Sendable, BitwiseCopyable {
    /// Packets in bits 0 to 15, lost in 16 to 23, jitter in 24 to 31.
    public let word: UInt32

    @inlinable
    public init(word: UInt32) { self.word = word }

    /// Values past the field's end are held at it.
    public init(packets: UInt64, lost: UInt64, jitterMilliseconds: UInt64) {
        let low = UInt32(UInt16(clamping: packets)) | UInt32(UInt8(clamping: lost)) << 16
        word = low | UInt32(UInt8(clamping: jitterMilliseconds)) << 24
    }

    /// Packets that came, 65535 standing for more too.
    public var packets: UInt16 { UInt16(truncatingIfNeeded: word) }
    /// Packets found missing in this second, less those that came late; 255 stands for more too.
    public var lost: UInt8 { UInt8(truncatingIfNeeded: word >> 16) }
    /// The highest value of the jitter estimate (RFC 3550 §A.8), in milliseconds; 255 stands for more too.
    public var jitterMilliseconds: UInt8 { UInt8(truncatingIfNeeded: word >> 24) }
}

/// The last two minutes of a stream in buckets of one second: 524 octets of flat memory, nothing else.
///
/// The stream's worker writes, any thread reads: relaxed atomics, one word for a bucket, rather than copies made by the
/// worker, because a word a second costs the worker nothing, and a reader gets an answer without asking a busy thread. A
/// bucket is never seen half written. The ring has more places than it shows, so that the writer can move on while a reader
/// is under way; a reader so slow that it was overtaken starts again.
public struct MediaTimeline: ~Copyable, Sendable {
    /// Seconds that a reader gets at most.
    public static let seconds = 120

    private let words: InlineArray<128, Atomic<UInt32>>
    /// The first second with a bucket.
    private let first = Atomic<UInt32>(0)
    /// Up to which second the words may have changed; never behind `newest`.
    private let reserved = Atomic<UInt32>(0)
    /// The newest second with a bucket; zero when there is none.
    private let newest = Atomic<UInt32>(0)

    public init() {
        words = InlineArray { _ in Atomic<UInt32>(0) }
    }

    /// Up to 120 seconds, the oldest first, the newest one that is over last. Seconds without a packet are buckets of zeros.
    /// Any thread.
    ///
    /// - Returns: the buckets, and the second of the first one on the monotonic clock; nil before any.
    package func snapshot() -> (firstSecond: UInt32, buckets: [TimelineBucket])? {
        guard newest.load(ordering: .relaxed) != 0 else { return nil }
        var buckets: [TimelineBucket] = []
        buckets.reserveCapacity(Self.seconds)
        while true {
            // Acquiring: what was written for this second, and before, is seen.
            let last = newest.load(ordering: .acquiring)
            guard last != 0 else { return nil }
            let oldest = max(first.load(ordering: .relaxed), last > 119 ? last - 119 : 1)
            guard oldest <= last else { return nil }
            buckets.removeAll(keepingCapacity: true)
            for second in oldest...last {
                buckets.append(TimelineBucket(word: words[Int(second & 127)].load(ordering: .relaxed)))
            }
            // Pairs with the fence of `append`: a word that was overwritten brings the reservation with it. Up to eight
            // seconds ahead fall on places that were not read.
            atomicMemoryFence(ordering: .acquiring)
            if reserved.load(ordering: .relaxed) <= last &+ 8 { return (oldest, buckets) }
        }
    }

    /// Writer only: a new stream takes the place. One that was never used is left untouched, so that it takes no memory.
    public func clear() {
        if newest.load(ordering: .relaxed) != 0 { newest.store(0, ordering: .releasing) }
    }

    /// Writer only: a second is over. Those between it and the one written before were silent.
    ///
    /// - Parameter second: of the monotonic clock, not zero; one that is not later than all before is ignored.
    package func append(_ bucket: TimelineBucket, for second: UInt32) {
        let before = newest.load(ordering: .relaxed)
        guard second > before else { return }
        reserved.store(second, ordering: .relaxed)
        atomicMemoryFence(ordering: .releasing)
        if before == 0 {
            first.store(second, ordering: .relaxed)
        } else {
            var silent = max(before &+ 1, second > 127 ? second &- 127 : 1)
            while silent < second {
                words[Int(silent & 127)].store(0, ordering: .relaxed)
                silent &+= 1
            }
        }
        words[Int(second & 127)].store(bucket.word, ordering: .relaxed)
        newest.store(second, ordering: .releasing)
    }
}
