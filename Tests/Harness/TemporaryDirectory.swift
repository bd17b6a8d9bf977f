import Foundation

/// A directory of its own for one daemon, peer or test; gone with its owner.
///
/// With `RELAYD_KEEP` set it stays, for a look at its logs.
/// Hold it, or say `defer { directory.remove() }`: a local that is not used any more may be gone before its scope ends.
package final class TemporaryDirectory: Sendable {
    package let path: String

    package init(_ purpose: String) throws {
        let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        // Short: a unix socket inside it may have 107 octets in all.
        path = "\(base)/relayd-\(purpose)-\(String(UInt32.random(in: 0...UInt32.max), radix: 36))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { remove() }

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Safe to call more than once.
    package func remove() {
        guard ProcessInfo.processInfo.environment["RELAYD_KEEP"] == nil else { return }
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// The whole of a text file that another process may be writing; empty when there is none yet.
package func textOfFile(_ path: String) -> String {
    // Not `FileManager.contents`: of a file in /proc it reads the first page alone.
    guard let data = try? FileHandle(forReadingAtPath: path)?.readToEnd() else { return "" }
    return String(decoding: data, as: UTF8.self)
}
