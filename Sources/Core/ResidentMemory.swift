internal import CMemory
internal import Glibc

/// Memory that is there before it is needed.
///
/// The kernel gives a page when it is first written to, which takes about a microsecond, in virtual machines two. A table of all
/// transactions is written to at random, so for as long as it is new every call pays for several pages, and the thread that
/// everybody waits for stands still meanwhile. Any thread; best before there is work.
public enum ResidentMemory {
    /// Gives a dictionary with reserved capacity all its pages. It keeps them until it grows or is made anew.
    public static func populate<Key, Value>(_ table: [Key: Value]) {
        guard table.capacity >= leastCapacity else { return }
        // SAFETY: see `populate(object:)`; a dictionary is one reference to the object that its slots are part of.
        unsafe populate(object: unsafeBitCast(table, to: UnsafeMutableRawPointer.self))
    }

    /// As for a dictionary.
    public static func populate<Element>(_ set: Set<Element>) {
        guard set.capacity >= leastCapacity else { return }
        // SAFETY: as for a dictionary.
        unsafe populate(object: unsafeBitCast(set, to: UnsafeMutableRawPointer.self))
    }

    /// As for a dictionary.
    static func populate<Element>(_ array: [Element]) {
        guard array.capacity >= leastCapacity else { return }
        // SAFETY: as for a dictionary.
        unsafe populate(object: unsafeBitCast(array, to: UnsafeMutableRawPointer.self))
    }

    /// Has `octets` of the calling thread's heap ready, and kept: what is allocated next, in pieces of less than a mebibyte,
    /// is taken from there without the kernel, and what is freed goes back there.
    ///
    /// Less where that would be more than an eighth of the machine's memory, or of what the process may have.
    public static func reserveHeap(octets: Int) {
        let wanted = min(octets, allowedOctets / 8)
        guard wanted >= pieceOctets else { return }
        cmemory_keep_free(Int32(clamping: 2 * wanted))
        // SAFETY: each piece is freed once, and nothing else knows of it.
        let pieces = unsafe (0..<wanted / pieceOctets).map { _ in unsafe malloc(pieceOctets) }
        for unsafe piece in unsafe pieces {
            guard let piece = unsafe piece else { continue }
            unsafe populate(piece, octets: pieceOctets)
        }
        for unsafe piece in unsafe pieces { unsafe free(piece) }
    }

    /// A smaller table shares its pages with others.
    private static let leastCapacity = 1_024
    /// Less than what gets a mapping of its own.
    private static let pieceOctets = 512 << 10

    /// Gives memory of the caller's all its pages; its content stays.
    ///
    /// SAFETY: mapped, and writable.
    @unsafe
    public static func populate(_ start: UnsafeMutableRawPointer, octets: Int) { unsafe cmemory_populate(start, octets) }

    /// SAFETY: `object` was allocated by malloc.
    @unsafe
    private static func populate(object: UnsafeMutableRawPointer) {
        unsafe populate(object, octets: cmemory_size(object))
    }

    /// What the allocator has given out, of all threads; large tables whole, used or not.
    public static var allocatedOctets: Int { cmemory_allocated() }

    /// What the kernel keeps in memory for this process; zero when it does not say.
    public static var residentOctets: Int {
        let fields = text(ofFile: "/proc/self/statm")?.split(separator: " ") ?? []
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(getpagesize()) : 0
    }

    /// What the process may have: the machine's memory, or less by its control groups (version 2).
    private static var allowedOctets: Int {
        let machine = max(0, sysconf(Int32(_SC_PHYS_PAGES))) * Int(getpagesize())
        guard let groups = text(ofFile: "/proc/self/cgroup"), let line = groups.split(separator: "\n").first(where: { $0.hasPrefix("0::/") })
        else { return machine }
        var path = line.dropFirst(3)
        var allowed = machine
        while !path.isEmpty {
            if let limit = text(ofFile: "/sys/fs/cgroup\(path)/memory.max").flatMap({ Int($0.filter(\.isNumber)) }) {
                allowed = min(allowed, limit)
            }
            path = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        }
        return allowed
    }

    private static func text(ofFile path: String) -> String? {
        guard let file = unsafe fopen(path, "re") else { return nil }
        defer { unsafe fclose(file) }
        var octets = [UInt8](repeating: 0, count: 4096)
        let count = unsafe octets.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, $0.count, file) }
        return String(decoding: octets[..<count], as: UTF8.self)
    }
}
