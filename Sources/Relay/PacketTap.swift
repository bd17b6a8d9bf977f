public import Core
internal import Synchronization

/// One datagram of a tapped session, as its worker saw it.
public struct TappedPacket: Sendable, BitwiseCopyable, Equatable {
    /// Low 24 bits of the generation, as tokens carry it.
    public var session: SessionID
    /// The leg it came in on.
    public var leg: Leg
    /// It came in on the leg's RTCP port.
    public var isOnRTCPPort: Bool
    /// It left by the other leg's RTCP port.
    public var leftByRTCPPort: Bool
    /// False for a stranger's: another source than the leg's.
    public var isAccepted: Bool
    /// Accepted, and kept from the other side as a `MediaTreatment` says.
    public var isWithheld: Bool
    /// Of the monotonic clock, of the turn in which it was handled.
    public var at: Instant
    public var source: SocketAddress
    /// Where it was sent; nil when it was not.
    public var destination: SocketAddress?
}

/// Copies of a worker's datagrams, for a thread that may take its time: a ring of flat memory that the worker fills and one
/// reader empties. Nothing waits. What has no room is counted and lost: a copy must never cost a packet.
///
/// The memory is only reserved until it is used: pages that were never written take none. `tail` is moved by the worker after
/// the octets are written, `head` by the reader after they are read, each releasing what the other acquires.
@safe
public final class PacketTap: @unchecked Sendable {
    // SAFETY of @unchecked: places between `head` and `tail` are read by the one reader, all others written by the one worker.
    private let memory: UnsafeMutableRawPointer
    private let capacity: Int
    /// Octets given back, since the start.
    private let head = Atomic<Int>(0)
    private let padding: InlineArray<14, Int> = .init(repeating: 0)
    /// Octets put in, since the start.
    private let tail = Atomic<Int>(0)
    private let lost = Atomic<UInt64>(0)

    private struct Header: BitwiseCopyable {
        /// Of the datagram; negative: nothing follows up to the end of the memory.
        var count: Int
        var packet: TappedPacket
    }

    private static let alignment = 16
    private static let headerSize = (MemoryLayout<Header>.size + alignment - 1) / alignment * alignment

    /// - Parameter capacity: octets, rounded up to a power of two; a datagram takes its length and about 120 more.
    public init(capacity: Int = 4 << 20) {
        var size = 1 << 16
        while size < capacity { size *= 2 }
        self.capacity = size
        unsafe memory = .allocate(byteCount: size, alignment: 4096)
    }

    deinit { unsafe memory.deallocate() }

    /// Datagrams that had no room. From any thread.
    public var lostCount: UInt64 { lost.load(ordering: .relaxed) }

    /// By the worker.
    func put(_ packet: TappedPacket, _ octets: Span<UInt8>) {
        let size = Self.headerSize + (octets.count + Self.alignment - 1) / Self.alignment * Self.alignment
        let end = tail.load(ordering: .relaxed)
        let free = capacity - (end - head.load(ordering: .acquiring))
        var place = end & (capacity - 1)
        var skipped = 0
        // A datagram lies in one piece.
        if place + size > capacity {
            skipped = capacity - place
            place = 0
        }
        guard skipped + size <= free else {
            lost.store(lost.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
            return
        }
        if skipped > 0 {
            let mark = Header(count: -1, packet: packet)
            // SAFETY: places are multiples of 16 and `skipped` is what is left of the memory; a header that does not fit into
            // it is not written, and the reader goes on likewise.
            if skipped >= Self.headerSize { unsafe (memory + (end & (capacity - 1))).storeBytes(of: mark, as: Header.self) }
        }
        // SAFETY: `size` octets from `place` on are inside the memory and free by the lines above.
        unsafe (memory + place).storeBytes(of: Header(count: octets.count, packet: packet), as: Header.self)
        unsafe octets.withUnsafeBytes { source in
            if let base = source.baseAddress { unsafe (memory + place + Self.headerSize).copyMemory(from: base, byteCount: source.count) }
        }
        tail.store(end &+ skipped &+ size, ordering: .releasing)
    }

    /// By the reader: the oldest datagram, nil when there is none.
    public func next() -> (packet: TappedPacket, octets: [UInt8])? {
        while true {
            let start = head.load(ordering: .relaxed)
            guard start != tail.load(ordering: .acquiring) else { return nil }
            let place = start & (capacity - 1)
            guard place + Self.headerSize <= capacity else {
                head.store(start &+ capacity - place, ordering: .releasing)
                continue
            }
            // SAFETY: between `head` and `tail` lie whole entries, each begun by a header where one fits.
            let header = unsafe (memory + place).loadUnaligned(as: Header.self)
            guard header.count >= 0 else {
                head.store(start &+ capacity - place, ordering: .releasing)
                continue
            }
            let octets = unsafe [UInt8](
                UnsafeRawBufferPointer(start: memory + place + Self.headerSize, count: header.count))
            let size = Self.headerSize + (header.count + Self.alignment - 1) / Self.alignment * Self.alignment
            head.store(start &+ size, ordering: .releasing)
            return (header.packet, octets)
        }
    }
}
