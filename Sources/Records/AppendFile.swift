import Glibc

/// A file that is only appended to. Closed with its owner.
struct AppendFile: ~Copyable {
    let path: String
    private let descriptor: Int32

    /// Opens or creates it, readable by the group.
    init(path: String) throws(RecordError) {
        // SAFETY: open reads the C string only during the call.
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw .file(path: path, operation: "opened", errno: errno) }
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Appends all of `octets` with one write, or, when the disk takes only a part, the part it took.
    ///
    /// - Returns: the number of octets written; at least one.
    func append(_ octets: UnsafeRawBufferPointer) throws(RecordError) -> Int {
        while true {
            // SAFETY: the kernel reads as many octets as there are, and only during the call.
            let written = unsafe write(descriptor, octets.baseAddress, octets.count)
            if written > 0 { return written }
            // Nothing written without an error happens on no disk; it must not become an endless loop either.
            let reason = written == 0 ? ENOSPC : errno
            if reason != EINTR { throw .file(path: path, operation: "written", errno: reason) }
        }
    }

    /// The same.
    func append(_ octets: [UInt8]) throws(RecordError) -> Int {
        // SAFETY: the pointer is used inside the closure only.
        try unsafe octets.withUnsafeBytes { octets in
            Result { () throws(RecordError) in try unsafe append(octets) }
        }.get()
    }

    /// The size in octets.
    func size() throws(RecordError) -> Int {
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0 else { throw .file(path: path, operation: "measured", errno: errno) }
        return size
    }

    func truncate(to size: Int) throws(RecordError) {
        guard ftruncate(descriptor, size) == 0 else { throw .file(path: path, operation: "truncated", errno: errno) }
    }

    /// Returns when everything appended is on the disk.
    func synchronize() throws(RecordError) {
        guard fdatasync(descriptor) == 0 else { throw .file(path: path, operation: "synchronized", errno: errno) }
    }

    /// Takes the file's lock for as long as it is open; false when someone else has it.
    func lock() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }
}
