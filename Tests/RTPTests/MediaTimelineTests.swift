import Core
import RTP
import Testing

@Suite("Time line")
struct MediaTimelineTests {
    /// Packets of one stream with its time line.
    struct Recording: ~Copyable {
        var stream = TestStream()
        let timeline = MediaTimeline()

        mutating func send(_ count: Int) {
            for _ in 0..<count {
                stream.statistics.advance(to: second, timeline: timeline)
                stream.send()
            }
        }

        var second: UInt32 { UInt32(stream.next.arrival / 1_000_000_000) }

        /// As housekeeping does for a stream that may have fallen silent.
        mutating func look() { stream.statistics.advance(to: second, timeline: timeline) }
    }

    @Test("a bucket holds its values, and holds them at its limits")
    func bucket() {
        let bucket = TimelineBucket(packets: 50, lost: 3, jitterMilliseconds: 17)
        #expect(bucket.packets == 50 && bucket.lost == 3 && bucket.jitterMilliseconds == 17)
        let full = TimelineBucket(packets: 70_000, lost: 256, jitterMilliseconds: .max)
        #expect(full.packets == .max && full.lost == .max && full.jitterMilliseconds == .max)
    }

    @Test("nothing is there before a second is over")
    func empty() {
        var recording = Recording()
        recording.look()
        #expect(recording.timeline.snapshot() == nil)
        recording.send(50)
        #expect(recording.timeline.snapshot() == nil)
        recording.send(1)
        let snapshot = recording.timeline.snapshot()
        #expect(snapshot?.firstSecond == 90_000 && snapshot?.buckets.map(\.packets) == [50])
    }

    @Test("packets, losses and jitter land in their seconds, and silence is zeros")
    func seconds() {
        var recording = Recording()
        recording.send(50)
        recording.stream.lose(5)
        recording.send(45)
        recording.send(10)
        recording.stream.next.arrival += 160 * 1_000_000  // one late packet: 1280 ticks, a jitter of 10 ms
        recording.send(32)
        recording.stream.pause(milliseconds: 3000)
        recording.send(50)
        recording.look()
        let buckets = recording.timeline.snapshot()?.buckets ?? []
        #expect(buckets.map(\.packets) == [50, 45, 42, 0, 0, 0, 50])
        #expect(buckets.map(\.lost) == [0, 5, 0, 0, 0, 0, 0])
        #expect(buckets.map(\.jitterMilliseconds).prefix(3) == [0, 0, 10])
    }

    @Test("what comes late is taken from the next seconds' losses, never below zero")
    func lateAcrossSeconds() {
        var recording = Recording()
        recording.send(48)
        let late = recording.stream.make()
        recording.send(10)
        recording.stream.take(late)
        recording.send(41)
        recording.stream.lose(3)
        recording.send(50)
        let buckets = recording.timeline.snapshot()?.buckets ?? []
        #expect(buckets.map(\.lost).reduce(0) { $0 + Int($1) } == Int(recording.stream.statistics.lost))
        #expect(buckets.map(\.lost) == [1, 0, 2])
    }

    @Test("the last 120 seconds are kept, the oldest first", arguments: [119, 120, 121, 127, 128, 129, 300])
    func ring(count: Int) {
        var recording = Recording()
        for second in 0..<count {
            recording.send(second % 50 + 1)
            recording.stream.pause(milliseconds: UInt64(1000 - 20 * (second % 50 + 1)))
        }
        recording.look()
        let snapshot = recording.timeline.snapshot()
        let first = max(0, count - 120)
        #expect(snapshot?.firstSecond == UInt32(90_000 + first))
        #expect(snapshot?.buckets.map { Int($0.packets) } == (first..<count).map { $0 % 50 + 1 })
    }

    @Test("silence longer than the ring leaves nothing of what was before", arguments: [119, 120, 128, 129, 1000])
    func longSilence(seconds: Int) {
        var recording = Recording()
        for _ in 0..<130 { recording.send(50) }
        recording.stream.pause(milliseconds: UInt64(seconds) * 1000)
        recording.send(51)
        let buckets = recording.timeline.snapshot()?.buckets ?? []
        let before = max(0, 119 - seconds)
        #expect(buckets.count == 120 && buckets.last?.packets == 50)
        #expect(buckets.filter { $0.packets == 0 }.count == 119 - before)
    }

    @Test("a cleared time line starts again")
    func clear() {
        var recording = Recording()
        recording.send(200)
        recording.timeline.clear()
        recording.stream.statistics = StreamStatistics()
        #expect(recording.timeline.snapshot() == nil)
        recording.send(51)
        #expect(recording.timeline.snapshot()?.firstSecond == 90_004)
        #expect(recording.timeline.snapshot()?.buckets.map(\.packets) == [50])
    }

    @Test("a reader on another thread sees whole seconds in order while the writer runs")
    func concurrentReader() async {
        let shared = Shared()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for second in UInt32(1)...200_000 {
                    // Every fifth second is left out: it becomes a silent one.
                    if second % 5 == 0 { continue }
                    shared.timeline.append(TimelineBucket(word: second), for: second)
                }
            }
            group.addTask {
                var last: UInt32 = 0
                while last < 199_999 {
                    guard let (first, buckets) = shared.timeline.snapshot() else { continue }
                    for (offset, bucket) in buckets.enumerated() {
                        let second = first + UInt32(offset)
                        let isRight = bucket.word == (second % 5 == 0 ? 0 : second)
                        if !isRight { Issue.record("second \(second) reads \(bucket.word)") }
                        last = second
                    }
                }
            }
        }
    }

    final class Shared: Sendable {
        let timeline = MediaTimeline()
    }
}
