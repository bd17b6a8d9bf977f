import Glibc

/// The steps of changing names that must be one system call each.
enum FileNames {
    /// Gives the file another name; it keeps the one it has.
    static func link(_ path: String, to other: String) throws(RecordError) {
        // SAFETY: link reads the C strings only during the call.
        guard unsafe Glibc.link(path, other) == 0 else { throw .file(path: other, operation: "created", errno: errno) }
    }

    /// Puts `other` in the place of `path`: whoever opens `path` finds one of the two.
    static func replace(_ path: String, by other: String) throws(RecordError) {
        // SAFETY: rename reads the C strings only during the call.
        guard unsafe rename(other, path) == 0 else { throw .file(path: path, operation: "replaced", errno: errno) }
    }

    static func remove(_ path: String) {
        // SAFETY: unlink reads the C string only during the call.
        _ = unsafe unlink(path)
    }

    /// Creates the directory and those above it that are missing, for the user and the group.
    static func makeDirectory(_ path: String) throws(RecordError) {
        // SAFETY: mkdir reads the C string only during the call.
        if unsafe mkdir(path, 0o750) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw .file(path: path, operation: "created", errno: errno)
        }
        try makeDirectory(String(path[..<slash]))
        // SAFETY: as above.
        guard unsafe mkdir(path, 0o750) == 0 || errno == EEXIST else {
            throw .file(path: path, operation: "created", errno: errno)
        }
    }

    /// Returns when the names in the directory are on the disk.
    static func synchronizeDirectory(_ path: String) throws(RecordError) {
        // SAFETY: open reads the C string only during the call.
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .file(path: path, operation: "opened", errno: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .file(path: path, operation: "synchronized", errno: errno) }
    }
}
