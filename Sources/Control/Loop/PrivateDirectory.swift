import Glibc
import Uring

/// The directory of a unix socket.
enum PrivateDirectory {
    /// Makes `path` for this user and its group, unless it exists.
    ///
    /// - Throws: `EACCES` for a directory below `/tmp` that others could have prepared: it belongs to somebody else, or
    ///   somebody else may write to it.
    static func make(_ path: String) throws(Errno) {
        if unsafe mkdir(path, 0o750) == 0 { return }
        guard errno == EEXIST else { throw Errno(code: errno) }
        guard path.hasPrefix("/tmp/") else { return }
        var facts = stat()
        // SAFETY: the C string and the structure live through the call.
        guard unsafe lstat(path, &facts) == 0 else { throw Errno(code: errno) }
        let isOurs = facts.st_uid == getuid() && facts.st_mode & 0o022 == 0 && facts.st_mode & S_IFMT == S_IFDIR
        if !isOurs { throw Errno(code: EACCES) }
    }
}
