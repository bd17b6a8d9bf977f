import Glibc

/// What keeps records from being written or read.
package enum RecordError: Error, Equatable, CustomStringConvertible {
    /// The operating system refused something on a file.
    case file(path: String, operation: String, errno: Int32)
    /// Another daemon keeps its records in this directory.
    case inUse(directory: String)
    /// SQLite refused, in its words.
    case store(String)
    /// The keeper was stopped before it could answer.
    case stopped

    package var description: String {
        switch self {
        case .file(let path, let operation, let errno):
            // SAFETY: strerror returns a static or thread-local C string, copied before anything else runs here.
            "\(path) cannot be \(operation): \(unsafe String(cString: strerror(errno)))"
        case .inUse(let directory): "\(directory) is in use by another relayd; give each its own records.directory"
        case .store(let reason): "the record store refused: \(reason)"
        case .stopped: "relayd is stopping"
        }
    }
}
