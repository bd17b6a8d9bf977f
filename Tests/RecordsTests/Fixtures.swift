import Core
import Dispatch
import Foundation
import Synchronization

@testable import Records

/// A directory that is gone with the test.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        path = FileManager.default.temporaryDirectory.appending(path: "relayd-records-\(UUID().uuidString)").path
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var journal: String { path + "/journal.jsonl" }
    var store: String { path + "/records.sqlite" }

    func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    func names(_ prefix: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasPrefix(prefix) }.sorted()
    }
}

/// A record with every field set, all different for different numbers.
func record(_ number: Int) -> CallRecord {
    let setup = WallTime(milliseconds: 1_700_000_000_000 + Int64(number) * 1_001)
    var record = CallRecord(
        id: "id-\(number)", callerCallID: "a-\(number)@host", calleeCallID: "b-\(number)@host", callerTrunk: "alpha",
        calleeTrunk: number.isMultiple(of: 2) ? "beta" : "gamma", callerNumber: "+49\(number)", calledNumber: "0030\(number)",
        callerAddress: SocketAddress(ip: IPAddress(ipv4: 0xc000_0201), port: 5_060),
        calleeAddress: SocketAddress("[2001:db8::1]:5080"), setupAt: setup, ringAt: setup + .milliseconds(250),
        answerAt: setup + .milliseconds(1_500), releaseAt: setup + .seconds(61), durationMilliseconds: 59_500, talkSeconds: 58,
        deadAirSeconds: 1, fromCaller: .init(packets: 3_000, octets: 516_000, lost: 2, lastMediaAt: setup + .seconds(60)),
        fromCallee: .init(packets: 2_990, octets: 514_280, lost: 12, lastMediaAt: setup + .seconds(59)),
        cause: number.isMultiple(of: 3) ? .noMedia : .normal, sipCode: 200, q850: 16, endedBy: .callee,
        noMediaTimeoutSeconds: 60)
    record.fromCaller.mos = 4.25
    record.fromCaller.lowestMOS = 3.5
    record.fromCaller.jitterMilliseconds = 2.125
    record.fromCaller.highestJitterMilliseconds = 14.5
    record.fromCaller.lossPercent = 0.0625
    record.fromCaller.roundTripMilliseconds = 45.5
    record.fromCallee.mos = 3.75
    return record
}

/// A record with no optional field, and text that has to be escaped.
func bareRecord(_ number: Int) -> CallRecord {
    CallRecord(
        id: "bare-\(number)", callerCallID: "x\n\"y\\/", callerNumber: "O'Neill", calledNumber: "\u{1F4DE}",
        callerAddress: SocketAddress(ip: .ipv4Loopback, port: 1), setupAt: WallTime(milliseconds: -1),
        releaseAt: WallTime(milliseconds: 0), fromCaller: .init(octets: UInt64(Int64.max)), cause: .rejected, sipCode: 486,
        q850: 17, endedBy: .callee)
}

extension CallRecord {
    /// As in the journal.
    var line: [UInt8] {
        var line = OctetBuffer(capacity: 16)
        line.append(line: self)
        return line.array
    }
}

extension RecordKeeper {
    /// The answer to a query, waited for.
    func answer(_ query: RecordQuery = RecordQuery(limit: 10_000)) -> Result<[CallRecord], RecordError> {
        let answer = Mutex<Result<[CallRecord], RecordError>>(.failure(.stopped))
        let isAnswered = DispatchSemaphore(value: 0)
        self.query(query) { result in
            answer.withLock { $0 = result }
            isAnswered.signal()
        }
        isAnswered.wait()
        return answer.withLock { $0 }
    }
}

/// Collects what the store thread reports, and waits until there is enough of it.
final class Collector<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])
    private let added = DispatchSemaphore(value: 0)

    func add(_ element: Element) {
        elements.withLock { $0.append(element) }
        added.signal()
    }

    var all: [Element] { elements.withLock { $0 } }

    /// False when it takes longer than ten seconds.
    func wait(for count: Int) -> Bool {
        for _ in 0..<count where added.wait(timeout: .now() + .seconds(10)) == .timedOut { return false }
        return true
    }
}
