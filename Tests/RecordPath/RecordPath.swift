import Core
import Foundation
import Records

/// Hands N records to the keeper as a daemon with R calls a second does, and prints what one cost its threads.
///
///     record-path N [R] [P]      P records are in the store before; R is 2,000 unless said, P 0
///
/// CPU time is the kernel's figure, from the first record to the answer to a question about the last: of this thread while it
/// hands records over, and of all others.
@main
struct RecordPath {
    static func main() throws {
        let numbers = CommandLine.arguments.dropFirst().compactMap(Int.init)
        let count = numbers.first ?? 10_000
        let rate = numbers.count > 1 ? numbers[1] : 2_000
        let present = numbers.count > 2 ? numbers[2] : 0
        let directory = FileManager.default.temporaryDirectory.appending(path: "record-path-\(getpid())").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var calls = Calls()
        do {
            let store = try RecordStore(path: directory + "/records.sqlite")
            for _ in stride(from: 0, to: present, by: 1_000) { _ = try store.insert((0..<1_000).map { _ in calls.next() }) }
            try store.checkpoint()
        }

        let keeper = try RecordKeeper(directory: directory)
        wait(for: keeper)
        let records = (0..<count).map { _ in calls.next() }
        let piece = max(1, rate / 200)
        let before = cpuTimeOfOthers()
        var handing = 0
        var due = DispatchTime.now()
        for start in stride(from: 0, to: count, by: piece) {
            let began = cpuTime(CLOCK_THREAD_CPUTIME_ID)
            for record in records[start..<min(count, start + piece)] { precondition(keeper.submit(record)) }
            handing += cpuTime(CLOCK_THREAD_CPUTIME_ID) - began
            due = due + .nanoseconds(1_000_000_000 * piece / rate)
            while DispatchTime.now() < due {
                usleep(UInt32(clamping: Int(due.uptimeNanoseconds) - Int(DispatchTime.now().uptimeNanoseconds)) / 1_000 + 1)
            }
        }
        wait(for: keeper)
        let spent = cpuTimeOfOthers() - before
        precondition(keeper.counters[.recordsStored] == count, "\(keeper.counters[.recordsStored]) of \(count) are in the store")
        print(
            "\(count) records at \(rate)/s beside \(present): "
                + "\(text(spent, count)) µs each in the thread that writes them, \(text(handing, count)) µs to hand one over")
        _ = keeper.stop()
    }

    private static func wait(for keeper: RecordKeeper) {
        let isAnswered = DispatchSemaphore(value: 0)
        // In the future there are none.
        keeper.query(RecordQuery(since: WallTime(milliseconds: 1 << 42))) { _ in isAnswered.signal() }
        isAnswered.wait()
    }

    private static func text(_ nanoseconds: Int, _ count: Int) -> String {
        String(format: "%.2f", Double(nanoseconds) / Double(max(1, count)) / 1_000)
    }

    /// Nanoseconds of the threads that the keeper and SQLite have: all but this one.
    private static func cpuTimeOfOthers() -> Int { cpuTime(CLOCK_PROCESS_CPUTIME_ID) - cpuTime(CLOCK_THREAD_CPUTIME_ID) }

    private static func cpuTime(_ clock: clockid_t) -> Int {
        var time = timespec()
        // SAFETY: the structure is used only during the call.
        _ = unsafe clock_gettime(clock, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

/// Calls between two carriers: six of ten are answered, and last up to six minutes; numbers and Call-IDs do not come again.
private struct Calls {
    private var random = SeededRandom(seed: 1)
    private var number = 0

    mutating func next() -> CallRecord {
        number += 1
        let isAnswered = random.next() % 10 < 6
        let lasted = Duration.milliseconds(Int64(random.next() % 360_000))
        let released = WallTime(milliseconds: 1_800_000_000_000 + Int64(number) * 3)
        let setup = released + (isAnswered ? Duration.milliseconds(-2_500) - lasted : .milliseconds(-1_200))
        var record = CallRecord(
            id: "\(setup.milliseconds)-\(digits(12))", callerCallID: "\(digits(16))\(digits(16))@198.51.100.10",
            calleeCallID: digits(20), callerTrunk: "carrier-a", calleeTrunk: "carrier-b", callerNumber: "49\(digits(11))",
            calledNumber: "44\(digits(11))", callerAddress: SocketAddress("198.51.100.10:5060")!,
            calleeAddress: SocketAddress("203.0.113.20:5060"), setupAt: setup, ringAt: setup + .milliseconds(900),
            answerAt: isAnswered ? setup + .milliseconds(2_500) : nil, releaseAt: released,
            durationMilliseconds: isAnswered ? lasted.components.seconds * 1_000 : 0,
            talkSeconds: isAnswered ? Int(lasted.components.seconds) : 0, cause: isAnswered ? .normal : .rejected,
            sipCode: isAnswered ? 200 : 486, q850: isAnswered ? 16 : 17, endedBy: isAnswered ? .caller : .callee,
            noMediaTimeoutSeconds: 60)
        record.verdict = isAnswered ? .normal : .busy
        record.explanation = isAnswered
            ? "The call went as calls should: answered after 2.5 s, both sides were heard, and the caller hung up."
            : "The callee refused the call with SIP 486 Busy Here after 1.2 s."
        if isAnswered {
            let packets = UInt64(lasted.components.seconds) * 50
            record.fromCaller = .init(packets: packets, octets: packets * 172, lost: 3, lastMediaAt: released + .milliseconds(-4))
            record.fromCallee = .init(packets: packets, octets: packets * 172, lastMediaAt: released + .milliseconds(-11))
            record.fromCaller.mos = Double(4_400 + random.next() % 100) / 1_000
            record.fromCaller.lowestMOS = 4.103
            record.fromCaller.jitterMilliseconds = 1.734
            record.fromCaller.highestJitterMilliseconds = 14.031
            record.fromCaller.lossPercent = (300_000 / Double(packets + 3)).rounded() / 1_000
            record.fromCallee.mos = 4.372
            record.fromCallee.lowestMOS = 4.3
            record.fromCallee.jitterMilliseconds = 0.4
            record.fromCallee.highestJitterMilliseconds = 2.26
            record.fromCallee.lossPercent = 0
        }
        return record
    }

    private mutating func digits(_ count: Int) -> String {
        String(decoding: (0..<count).map { _ in UInt8(ascii: "0") + UInt8(random.next() % 10) }, as: UTF8.self)
    }
}
