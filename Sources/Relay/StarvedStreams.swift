internal import Uring

/// Streams whose receives ended for want of buffers, in the order in which they did.
///
/// Were each armed again at once, the first ones would take the buffers that are free, and take them again the next time:
/// under overload some calls would have everything and others nothing. So they wait in line, and only as many are armed as
/// there are buffers for.
@safe
struct StarvedStreams: ~Copyable {
    private let places: UnsafeMutablePointer<UInt32>
    private let mask: Int
    private var head = 0
    private var tail = 0

    /// - Parameter streams: of the worker; one stands in line once, and may stand there once more after its slot was used anew.
    init(streams: Int) {
        var size = 2
        while size < 2 * streams { size *= 2 }
        mask = size - 1
        // SAFETY (all): zeros are a stream's number; places are taken modulo their count.
        unsafe places = ZeroedMemory.allocate(UInt32.self, count: size)
    }

    deinit { unsafe ZeroedMemory.free(places) }

    var isEmpty: Bool { head == tail }

    /// False when the line is full.
    mutating func append(_ stream: Int) -> Bool {
        guard tail &- head <= mask else { return false }
        unsafe places[tail & mask] = UInt32(truncatingIfNeeded: stream)
        tail &+= 1
        return true
    }

    mutating func next() -> Int? {
        guard head != tail else { return nil }
        defer { head &+= 1 }
        return Int(unsafe places[head & mask])
    }
}
