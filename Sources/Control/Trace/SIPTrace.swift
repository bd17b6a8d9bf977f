package import Core
package import Uring

/// Every SIP message relayd received or sent, as octets, in memory that is set aside at start: the newest push out the oldest.
///
/// Recording copies the octets and writes one header; nothing is parsed, searched or allocated until somebody asks. Even that
/// can wait until what a message led to is on its way: see `note`. Control thread only.
package final class SIPTrace {
    package enum Direction: UInt8, Sendable, BitwiseCopyable { case received, sent }

    package enum Transport: UInt8, Sendable, BitwiseCopyable {
        case udp, tcp, tls
        /// No message but what ICMP said of one: a line that says it, then the message.
        case icmp

        package init(_ transport: Core.Transport) {
            self =
                switch transport {
                case .udp: .udp
                case .tcp: .tcp
                case .tls: .tls
                }
        }
    }

    /// What is known of a message without looking into it.
    package struct Header: Sendable, BitwiseCopyable {
        /// Microseconds since 1970, UTC, when relayd took it or gave it to the kernel.
        package let microseconds: Int64
        package let peer: SocketAddress
        package let local: SocketAddress
        package let direction: Direction
        package let transport: Transport
        fileprivate let length: UInt32
        /// Of its first octet, counted over all that was ever written.
        fileprivate let position: UInt64

        package var count: Int { Int(length) }
    }

    /// What one message costs besides its octets.
    private static let headerOctets = MemoryLayout<Header>.stride
    /// A message of fewer octets has room of this many all the same.
    private static let leastOctets = 320

    private var memory: FlatMemory
    /// That of message `n` is at `n % slotCount`.
    private var headers: [Header] = []
    private let slotCount: Int
    private var position: UInt64 = 0
    private var firstKept: UInt64 = 0
    private var keptCount: UInt64 = 0

    /// A message that `settle` will keep.
    private struct Note {
        let octets: [UInt8]
        let direction: Direction
        let transport: Transport
        let peer: SocketAddress
        let local: SocketAddress
        let microseconds: Int64
    }

    private var notes: [Note] = []

    /// The oldest message that is still there; equal to `next` when none is.
    package var oldest: UInt64 {
        settle()
        return firstKept
    }

    /// How many messages were ever recorded: the number the next one gets.
    package var next: UInt64 {
        settle()
        return keptCount
    }

    /// - Parameter octets: of memory, headers included.
    /// - Throws: `ENOMEM`.
    package init(octets: Int) throws(Errno) {
        slotCount = max(1, octets / (Self.headerOctets + Self.leastOctets))
        headers.reserveCapacity(slotCount)
        memory = try FlatMemory(count: max(1, octets - slotCount * Self.headerOctets))
    }

    /// Takes all its memory: see `ResidentMemory`.
    package func populate() { memory.populate() }

    /// Keeps a copy, and before it of what was noted. What does not fit at all is not kept.
    package func record(
        _ octets: Span<UInt8>, _ direction: Direction, peer: SocketAddress, local: SocketAddress, transport: Transport = .udp,
        microseconds: Int64
    ) {
        settle()
        keep(octets, direction, peer: peer, local: local, transport: transport, microseconds: microseconds)
    }

    /// Keeps a copy with the next call of `settle`, or once somebody asks for it.
    ///
    /// The copy goes into memory that no cache holds. A message that is relayed need not wait for that.
    package func note(
        _ octets: [UInt8], _ direction: Direction, peer: SocketAddress, local: SocketAddress, transport: Transport, microseconds: Int64
    ) {
        notes.append(
            Note(
                octets: octets, direction: direction, transport: transport, peer: peer, local: local,
                microseconds: microseconds))
    }

    /// Keeps what was noted, in its order.
    package func settle() {
        guard !notes.isEmpty else { return }
        for note in notes {
            keep(
                note.octets.span, note.direction, peer: note.peer, local: note.local, transport: note.transport,
                microseconds: note.microseconds)
        }
        notes.removeAll(keepingCapacity: true)
    }

    private func keep(
        _ octets: Span<UInt8>, _ direction: Direction, peer: SocketAddress, local: SocketAddress, transport: Transport,
        microseconds: Int64
    ) {
        let capacity = UInt64(memory.count)
        let count = UInt64(octets.count)
        guard count <= capacity else { return }
        // In one piece: what would go over the end starts at the beginning.
        let offset = position % capacity
        if capacity - offset < count { position += capacity - offset }
        let end = position + count
        while firstKept < keptCount,
            keptCount - firstKept >= UInt64(slotCount) || headers[slot(firstKept)].position + capacity < end
        { firstKept += 1 }
        memory.write(octets, at: Int(position % capacity))
        let header = Header(
            microseconds: microseconds, peer: peer, local: local, direction: direction, transport: transport,
            length: UInt32(count), position: position)
        if headers.count < slotCount { headers.append(header) } else { headers[slot(keptCount)] = header }
        position = end
        keptCount += 1
    }

    /// Nil for a message that is not there any more, or not yet.
    package func header(of number: UInt64) -> Header? {
        guard (oldest..<next).contains(number) else { return nil }
        return headers[slot(number)]
    }

    /// A copy of the message that `header` belongs to, which must still be there.
    package func octets(of header: Header) -> [UInt8] { memory.copy(range(of: header)) }

    /// Whether `text` stands somewhere in the message, to spare the ones without it a closer look.
    package func contains(_ text: [UInt8], in header: Header) -> Bool { memory.contains(text, in: range(of: header)) }

    private func range(of header: Header) -> Range<Int> {
        let start = Int(header.position % UInt64(memory.count))
        return start..<start + header.count
    }

    private func slot(_ number: UInt64) -> Int { Int(number % UInt64(slotCount)) }
}

extension FlatMemory {
    fileprivate borrowing func copy(_ range: Range<Int>) -> [UInt8] {
        let all = octets
        var copy: [UInt8] = []
        copy.reserveCapacity(range.count)
        for index in range { copy.append(all[index]) }
        return copy
    }

    fileprivate borrowing func contains(_ text: [UInt8], in range: Range<Int>) -> Bool {
        guard let first = text.first else { return true }
        guard range.count >= text.count else { return false }
        let all = octets
        for start in range.lowerBound...range.upperBound - text.count where all[start] == first {
            var matched = 1
            while matched < text.count, all[start + matched] == text[matched] { matched += 1 }
            if matched == text.count { return true }
        }
        return false
    }
}
