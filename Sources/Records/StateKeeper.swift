import Dispatch
import Foundation
import Glibc
import Synchronization

/// Keeps what changes often and has to outlive a restart: a file of lines of which the last one about each key counts.
///
/// Lines are appended, and when the file has grown to several times what is needed it is written anew; both on a thread of its
/// own. What was given to `append` survives the death of the process once that thread has come to it: at once, or, when many
/// come, within `rest`; a power cut can cost the last moments, and a line torn by it is passed over.
package final class StateKeeper: Sendable {
    /// What a line is about.
    package struct Reading {
        /// Of the key. Each process hashes with a secret of its own, so no peer can choose keys that are taken for one another,
        /// and of a million the chance that any two are is 1 in 10⁷.
        let keyHash: Int
        /// False for one that only says that the key is gone.
        package let isPresent: Bool

        package init(key: some Sequence<ArraySlice<UInt8>>, isPresent: Bool) {
            var hasher = Hasher()
            for part in key {
                // SAFETY: the octets are only read, and inside this closure.
                unsafe part.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
                hasher.combine(part.count)
            }
            keyHash = hasher.finalize()
            self.isPresent = isPresent
        }
    }

    package typealias Reader = @Sendable (ArraySlice<UInt8>) -> Reading?

    private struct State {
        var lines: [UInt8] = []
        var isStopping = false
        var isRung = false
    }

    private let path: String
    private let read: Reader
    private let onTrouble: @Sendable (String) -> Void
    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)
    private let stopping = DispatchSemaphore(value: 0)
    private let isFinished = DispatchSemaphore(value: 0)
    private let smallest: Int

    /// What waits for a disk that takes nothing; beyond it the oldest is lost, with a warning.
    private static let queueLimit = 64 << 20

    /// Between two writes: a thousand phones a second do not wake the thread a thousand times.
    private static let rest = DispatchTimeInterval.milliseconds(100)

    /// The lines that count, in the order they were written: of each key the last, if that is present.
    ///
    /// - Throws: the file cannot be read. One that is not there is empty.
    package static func load(path: String, read: Reader) throws(RecordError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        try forEachCountingLine(path: path, read: read) { (line) throws(RecordError) in lines.append(Array(line)) }
        return lines
    }

    /// Goes through the file twice, so that what is kept in memory is where the last line of each key begins, and no line.
    private static func forEachCountingLine(
        path: String, read: Reader, _ body: (ArraySlice<UInt8>) throws(RecordError) -> Void
    ) throws(RecordError) {
        var last: [Int: Int] = [:]
        try LineFile.forEachLine(path: path) { (line, offset) throws(RecordError) in
            guard let reading = read(line) else { return }
            last[reading.keyHash] = reading.isPresent ? offset : nil
        }
        try LineFile.forEachLine(path: path) { (line, offset) throws(RecordError) in
            guard let reading = read(line), last[reading.keyHash] == offset else { return }
            try body(line)
        }
    }

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - smallest: octets below which the file is never written anew.
    ///   - onTrouble: called on the thread with a sentence for the log, when writing begins to fail and when it works again.
    package init(
        path: String, smallest: Int = 4 << 20, read: @escaping Reader, onTrouble: @escaping @Sendable (String) -> Void
    ) throws(RecordError) {
        self.path = path
        self.smallest = smallest
        self.read = read
        self.onTrouble = onTrouble
        // Fails here and now when it cannot be written at all.
        _ = try AppendFile(path: path)
        let thread = Thread { [self] in
            giveWay()
            run()
        }
        thread.name = "relayd-state"
        thread.start()
    }

    /// From any thread; never waits for a disk. The line has its end.
    package func append(_ line: [UInt8]) {
        let mustRing = state.withLock { state in
            if state.lines.count > Self.queueLimit { state.lines.removeAll() }
            state.lines += line
            defer { state.isRung = true }
            return !state.isRung
        }
        if mustRing { bell.signal() }
    }

    /// Returns once everything is written, or cannot be.
    package func stop() {
        let wasStopping = state.withLock { state in
            defer { state.isStopping = true }
            return state.isStopping
        }
        guard !wasStopping else { return }
        stopping.signal()
        bell.signal()
        _ = isFinished.wait(timeout: .now() + .seconds(3))
    }

    // MARK: The thread

    private func run() {
        var file: Output? = nil
        var isFailing = false
        while true {
            if isFailing { _ = bell.wait(timeout: .now() + .seconds(1)) } else { bell.wait() }
            let (lines, isStopping) = state.withLock { state in
                defer {
                    state.lines = []
                    state.isRung = false
                }
                return (state.lines, state.isStopping)
            }
            do {
                var output = try file ?? Output(path: path)
                try output.append(lines)
                if output.size > max(smallest, 4 * output.sizeWhenNew) { output = try renew() }
                file = output
                if isFailing { onTrouble("registrations are written again") }
                isFailing = false
            } catch {
                file = nil
                if !isFailing { onTrouble("\(error); registrations wait in memory") }
                isFailing = true
                state.withLock { $0.lines = lines + $0.lines }
            }
            if isStopping { break }
            // What comes meanwhile waits; the end does not.
            _ = stopping.wait(timeout: .now() + Self.rest)
        }
        isFinished.signal()
    }

    private final class Output {
        private let file: AppendFile
        private(set) var size: Int
        let sizeWhenNew: Int

        init(path: String, isNew: Bool = false) throws(RecordError) {
            file = try AppendFile(path: path)
            size = try file.size()
            sizeWhenNew = isNew ? size : 0
            // The last line may be torn: what follows begins a new one.
            if size > 0 { size += try file.append([UInt8(ascii: "\n")]) }
        }

        func append(_ octets: [UInt8]) throws(RecordError) {
            var rest = octets[...]
            while !rest.isEmpty {
                let count = try file.append(Array(rest))
                size += count
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Writes the file anew with what counts; at every moment there is a whole one under its name.
    private func renew() throws(RecordError) -> Output {
        let new = path + ".new"
        FileNames.remove(new)
        do {
            let file = try AppendFile(path: new)
            var octets: [UInt8] = []
            func flush() throws(RecordError) {
                var rest = octets[...]
                while !rest.isEmpty { rest = rest.dropFirst(try file.append(Array(rest))) }
                octets.removeAll(keepingCapacity: true)
            }
            try Self.forEachCountingLine(path: path, read: read) { (line) throws(RecordError) in
                octets += line
                octets.append(UInt8(ascii: "\n"))
                if octets.count >= LineFile.pieceSize { try flush() }
            }
            try flush()
            try file.synchronize()
        }
        try FileNames.replace(path, by: new)
        return try Output(path: path, isNew: true)
    }
}

/// A secret that is made once and kept beside the records, for the user alone.
package enum SecretFile {
    /// Reads it, or makes it.
    package static func load(path: String, count: Int) throws(RecordError) -> [UInt8] {
        if let data = FileManager.default.contents(atPath: path), data.count == count { return [UInt8](data) }
        var random = SystemRandomNumberGenerator()
        let secret = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        FileNames.remove(path)
        guard
            FileManager.default.createFile(
                atPath: path, contents: Data(secret), attributes: [.posixPermissions: 0o600])
        else { throw .file(path: path, operation: "written", errno: EIO) }
        return secret
    }
}
