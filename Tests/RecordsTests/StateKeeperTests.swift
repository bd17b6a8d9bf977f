import Foundation
import Records
import Synchronization
import Testing

@Suite struct StateKeeperTests {
    private let directory = FileManager.default.temporaryDirectory.appendingPathComponent("state-\(UUID().uuidString)").path
    private var path: String { directory + "/state" }

    /// `+key value` or `-key`.
    private static let read: StateKeeper.Reader = { line in
        guard let first = line.first, first == UInt8(ascii: "+") || first == UInt8(ascii: "-") else { return nil }
        return StateKeeper.Reading(
            key: [line.dropFirst().prefix { $0 != UInt8(ascii: " ") }], isPresent: first == UInt8(ascii: "+"))
    }

    init() throws { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) }

    private func loaded() throws -> Set<String> {
        Set(try StateKeeper.load(path: path, read: Self.read).map { String(decoding: $0, as: UTF8.self) })
    }

    private func keep(smallest: Int = 4 << 20, _ lines: [String]) throws {
        let keeper = try StateKeeper(path: path, smallest: smallest, read: Self.read) { Issue.record("\($0)") }
        for line in lines { keeper.append(Array((line + "\n").utf8)) }
        keeper.stop()
    }

    @Test("of each key the last line counts, over restarts, and a torn line costs nothing but itself")
    func last() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try keep(["+a 1", "+b 1", "+a 2", "-b", "+c 1"])
        #expect(try loaded() == ["+a 2", "+c 1"])
        let torn = try #require(FileHandle(forWritingAtPath: path))
        torn.seekToEndOfFile()
        torn.write(Data("?torn".utf8))
        try torn.close()
        try keep(["-a", "+d 1"])
        #expect(try loaded() == ["+c 1", "+d 1"])
    }

    @Test("the file is written anew when it has grown, and nothing is lost on the way")
    func renewal() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let keeper = try StateKeeper(path: path, smallest: 2_000, read: Self.read) { Issue.record("\($0)") }
        for round in 0..<2_000 { keeper.append(Array("+k\(round % 10) \(round)\n".utf8)) }
        keeper.stop()
        try keep(smallest: 2_000, ["-k3"])
        #expect(try loaded() == Set((1_990..<2_000).map { "+k\($0 % 10) \($0)" }).subtracting(["+k3 1993"]))
        let size = try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
        #expect(size < 4_000)
    }

    @Test("lines across the pieces a file is read in, and one that is longer than a piece, are whole")
    func pieces() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let long = String(repeating: "x", count: 600_000)
        let lines = (0..<20_000).map { "+key\($0) \(String(repeating: "y", count: $0 % 97))" } + ["+long \(long)", "+last 1"]
        try keep(lines)
        #expect(try loaded() == Set(lines))
    }

    @Test("a file that cannot be written is told at once")
    func refused() {
        #expect(throws: RecordError.self) {
            try StateKeeper(path: "/proc/nowhere/state", read: Self.read) { _ in }
        }
    }

    @Test("a secret is made once, for its user alone")
    func secret() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let first = try SecretFile.load(path: directory + "/key", count: 32)
        #expect(first.count == 32)
        #expect(try SecretFile.load(path: directory + "/key", count: 32) == first)
        let mode = try FileManager.default.attributesOfItem(atPath: directory + "/key")[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }
}
