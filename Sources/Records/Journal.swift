import Core
import Foundation

/// Call records as JSON lines. What `append` has returned from survives the death of the
/// process in any way; a power cut can cost what came after the last `synchronize`.
///
/// The store is made from this file: `readBatch` gives what the store does not have yet, after a start all of it.
/// Used by the store thread only.
struct Journal: ~Copyable {
    /// How the file is opened; another one in tests.
    typealias Opener = @Sendable (_ path: String) throws(RecordError) -> AppendFile

    let path: String
    /// Octets written.
    private(set) var size: Int
    /// Everything before this octet is in the store.
    private(set) var storedSize = 0
    /// Lines that were no record: torn by a crash of the machine, or edited.
    private(set) var rejectedLines = 0

    private let directory: String
    private let opener: Opener
    private var file: AppendFile
    private let decoder = JSONDecoder()
    /// What is written next, and where each line ends in it.
    private var lines = OctetBuffer(capacity: writeSize + 4_096)
    private var ends: [Int] = []
    /// What stands at the end of the file is a piece of a line.
    private var endsInsideLine: Bool
    private var isSynchronized = true

    init(directory: String, opener: @escaping Opener) throws(RecordError) {
        let path = directory + "/journal.jsonl"
        let file = try opener(path)
        let size = try file.size()
        // The file's name has to outlive a power cut as its content does.
        try FileNames.synchronizeDirectory(directory)
        endsInsideLine = try Self.endsInsideLine(path: path, size: size)
        self.directory = directory
        self.opener = opener
        self.path = path
        self.size = size
        self.file = file
    }

    /// Opens the file again: what made a write fail may be a file that is gone or was replaced.
    mutating func reopen() throws(RecordError) {
        file = try opener(path)
        size = try file.size()
        endsInsideLine = try Self.endsInsideLine(path: path, size: size)
        // Another file than before: the store is asked about everything in it, and takes what it lacks.
        if size < storedSize { storedSize = 0 }
    }

    private static func endsInsideLine(path: String, size: Int) throws(RecordError) -> Bool {
        guard size > 0 else { return false }
        return try read(path: path, from: size - 1, limit: 1).last != UInt8(ascii: "\n")
    }

    var isInStore: Bool { storedSize >= size }

    /// Writes one record. After a throw the file is as it was, or ends in a piece that the next record does not join.
    mutating func append(_ record: CallRecord) throws(RecordError) {
        var written = 0
        try append(CollectionOfOne(record), written: &written)
    }

    /// Writes records, in order and some with each write. After a throw the file ends behind the last one of `written`, or in a
    /// piece that the next record does not join.
    ///
    /// - Parameter written: how many are in the file, also after a throw.
    mutating func append(_ records: some Collection<CallRecord>, written: inout Int) throws(RecordError) {
        clear()
        for record in records {
            lines.append(line: record)
            ends.append(lines.count)
            guard lines.count >= Self.writeSize else { continue }
            try write(&written)
            clear()
        }
        if !ends.isEmpty { try write(&written) }
    }

    private mutating func clear() {
        lines.removeAll()
        ends.removeAll(keepingCapacity: true)
        if endsInsideLine { lines.append(UInt8(ascii: "\n")) }
    }

    /// As much as one write takes, and a line.
    private static let writeSize = 64 << 10

    private mutating func write(_ written: inout Int) throws(RecordError) {
        let taken = try unsafe file.append(lines.octets)
        isSynchronized = false
        let whole = taken == lines.count ? ends.count : ends.count { $0 <= taken }
        written += whole
        let end = whole > 0 ? ends[whole - 1] : 0
        if whole > 0 { endsInsideLine = false }
        size += end
        guard taken < lines.count else { return }
        // The disk is full in the middle of a line.
        do {
            try file.truncate(to: size)
        } catch {
            size += taken - end
            endsInsideLine = true
        }
        throw .file(path: path, operation: "written", errno: ENOSPC)
    }

    /// Puts what was written on the disk. Does nothing when it already is.
    mutating func synchronize() throws(RecordError) {
        guard !isSynchronized else { return }
        // Only once: after a failure the kernel forgets which pages it could not write, so asking again proves nothing.
        isSynchronized = true
        try file.synchronize()
    }

    var needsSynchronizing: Bool { !isSynchronized }

    /// Records the store does not have yet.
    struct Batch {
        var records: [CallRecord] = []
        var rejectedLines = 0
        /// What `markStored` takes once they are in the store.
        var end: Int
    }

    /// The next lines after what is in the store, about `limit` octets of them; at least one line, if there is any.
    func readBatch(limit: Int = 1 << 20) throws(RecordError) -> Batch {
        var limit = limit
        while true {
            let wanted = min(limit, size - storedSize)
            let octets = try Self.read(path: path, from: storedSize, limit: wanted)
            guard octets.count == wanted else { throw .file(path: path, operation: "read", errno: ENODATA) }
            let isAtEnd = storedSize + wanted == size
            // A last line without its end can be whole all the same.
            let end = isAtEnd ? octets.endIndex : octets.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 }
            if let end { return batch(from: octets[..<end]) }
            limit *= 2
        }
    }

    private func batch(from lines: Data) -> Batch {
        var batch = Batch(end: storedSize + lines.count)
        for line in lines.split(separator: UInt8(ascii: "\n")) {
            if let record = try? decoder.decode(CallRecord.self, from: line) {
                batch.records.append(record)
            } else {
                batch.rejectedLines += 1
            }
        }
        return batch
    }

    mutating func markStored(_ batch: Batch) {
        storedSize = batch.end
        rejectedLines += batch.rejectedLines
    }

    /// Everything written so far is in the store.
    mutating func markAllStored() { storedSize = size }

    /// Puts the file aside under the time of day and starts an empty one; only the newest `count` of those stay.
    ///
    /// Call it when the store has everything, durably: what is put aside is not read again.
    mutating func rotate(at time: WallTime, keeping count: Int) throws(RecordError) {
        precondition(isInStore, "a journal that is put aside is not read again")
        var time = time
        while FileManager.default.fileExists(atPath: nameAside(at: time)) { time = time + .milliseconds(1) }
        let aside = nameAside(at: time)
        // At every moment there is a journal under its name: the old one until the new one replaces it.
        FileNames.remove(path + ".new")
        let fresh = try opener(path + ".new")
        try FileNames.link(path, to: aside)
        do {
            try FileNames.replace(path, by: path + ".new")
        } catch {
            FileNames.remove(aside)
            throw error
        }
        file = fresh
        size = 0
        storedSize = 0
        rejectedLines = 0
        endsInsideLine = false
        isSynchronized = true
        try FileNames.synchronizeDirectory(directory)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        let old = names.filter { $0.hasPrefix("journal-") && $0.hasSuffix(".jsonl") }.sorted().dropLast(count)
        // One that cannot be removed is tried again at the next rotation.
        for name in old { FileNames.remove("\(directory)/\(name)") }
    }

    private func nameAside(at time: WallTime) -> String {
        "\(directory)/journal-\(time.description.filter { $0 != ":" && $0 != "-" }).jsonl"
    }

    private static func read(path: String, from offset: Int, limit: Int) throws(RecordError) -> Data {
        guard limit > 0 else { return Data() }
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            try handle.seek(toOffset: UInt64(offset))
            return try handle.read(upToCount: limit) ?? Data()
        } catch {
            throw .file(path: path, operation: "read", errno: EIO)
        }
    }
}
