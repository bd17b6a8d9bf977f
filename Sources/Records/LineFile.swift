import Glibc

/// Reads a file of lines piece by piece, however large it is.
enum LineFile {
    /// Octets read at a time.
    static let pieceSize = 256 << 10

    /// Calls `body` for each line, its end left out, and where in the file it begins. The last one need not have an end.
    ///
    /// - Throws: the file cannot be read, or what `body` throws. One that is not there has no lines.
    static func forEachLine(
        path: String, _ body: (ArraySlice<UInt8>, Int) throws(RecordError) -> Void
    ) throws(RecordError) {
        // SAFETY: open reads the C string only during the call.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            guard errno != ENOENT else { return }
            throw .file(path: path, operation: "opened", errno: errno)
        }
        defer { close(descriptor) }
        var piece: [UInt8] = []
        /// Where in the file `piece` begins.
        var offset = 0
        while true {
            let unread = piece.count
            piece += repeatElement(0, count: pieceSize)
            // SAFETY: the kernel writes no more than there is room for behind what is unread.
            let received = unsafe piece.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress! + unread, pieceSize) }
            let reason = errno
            piece.removeLast(pieceSize - max(0, received))
            guard received >= 0 else {
                if reason == EINTR { continue }
                throw .file(path: path, operation: "read", errno: reason)
            }
            var start = 0
            while let end = piece[start...].firstIndex(of: UInt8(ascii: "\n")) {
                if end > start { try body(piece[start..<end], offset + start) }
                start = end + 1
            }
            if received == 0 {
                if start < piece.count { try body(piece[start...], offset + start) }
                return
            }
            offset += start
            piece.removeFirst(start)
        }
    }
}
