import Core
import Relay
import Uring

/// Feeds fabricated completions of many calls through the packet path, for `callgrind`: no socket, no ring, no kernel.
///
///     packet-path PACKETS
///
/// What is counted per packet: the decision from the completion to the verdict (token, header, source lock, sequence,
/// counters, activity), writing its sequence number, and giving the buffer back. What is not: filling the send's submission
/// entry.
@main
enum PacketPathLoop {
    static let calls = 256
    static let turnLength = 256

    static func main() throws {
        guard let argument = CommandLine.arguments.dropFirst().first, let packets = Int(argument), packets > 0 else {
            print("usage: packet-path PACKETS")
            return
        }
        var run = try PacketRun()
        run.lockSources()
        let forwarded = run.relay(packets: packets)
        precondition(forwarded == packets, "every packet of a locked source is forwarded")
        print("\(forwarded) forwarded")
    }
}

struct PacketRun: ~Copyable {
    private var path: PacketPath
    private var pool: BufferPool
    /// Two turns of completions: RTP of caller and callee of each call, each in a buffer of its own.
    private var completions: [Completion] = []
    /// Of the packets that come next: each stream sends one in two turns.
    private var sequence: UInt16 = 1
    private var now = Instant(nanoseconds: 1_000_000_000)

    init() throws {
        let calls = PacketPathLoop.calls
        let activity = ActivityTable(sessionCapacity: calls)
        path = PacketPath(
            sessionCapacity: calls, counters: CounterBlock(), activity: activity, statistics: StatisticsTable(activity: activity))
        pool = try BufferPool.withoutRing(count: 2 * calls)
        for call in 0..<calls {
            path.open(session: call, generation: 1)
            for leg in Leg.allCases {
                let source = Self.source(call: call, leg: leg)
                let control = SocketAddress(ip: source.ip, port: source.port + 1)
                let expected = ExpectedSource(rtp: source, rtcp: control, signalling: source.ip)
                _ = path.expect(session: call, leg: leg, expected)
            }
        }
    }

    /// A first packet from each side, with its source: both lock, as their SDP addresses are used.
    mutating func lockSources() {
        for stream in 0..<2 * PacketPathLoop.calls {
            let call = stream / 2
            let leg: Leg = stream % 2 == 0 ? .caller : .callee
            let token = Self.token(PacketPath.receiveMessage, call: call, leg: leg)
            let first = pool.fabricate(
                Self.packet(ssrc: UInt32(stream)).span, from: Self.source(call: call, leg: leg), in: UInt16(stream), token: token)
            let verdict = path.receive(first, in: pool, now: now)
            precondition(verdict.isLocking, "the address of the SDP locks with its first packet")
        }
        // From here on the sockets would be connected, and packets come without their source.
        for stream in 0..<2 * PacketPathLoop.calls {
            let leg: Leg = stream % 2 == 0 ? .caller : .callee
            let token = Self.token(PacketPath.receivePlain, call: stream / 2, leg: leg)
            completions.append(
                pool.fabricate(Self.packet(ssrc: UInt32(stream)).span, from: nil, in: UInt16(stream), token: token))
        }
    }

    /// Relays in turns, the streams one after the other. Answers how many were forwarded.
    mutating func relay(packets: Int) -> Int {
        var forwarded = 0
        var left = packets
        while left > 0 {
            let first = left / PacketPathLoop.turnLength % 2 * PacketPathLoop.turnLength
            let count = min(left, PacketPathLoop.turnLength)
            if first == 0 { sequence &+= 1 }
            for index in first..<(first + count) {
                let completion = completions[index]
                number(completion)
                if path.receive(completion, in: pool, now: now).isForwarded { forwarded += 1 }
                pool.recycle(completion.bufferID)
            }
            left -= count
            pool.publish()
            path.publishCounters()
            now += .milliseconds(1)
        }
        return forwarded
    }

    /// Writes the next sequence number into a packet.
    private mutating func number(_ completion: Completion) {
        let offset = pool.slice(completion).offset
        pool.fill(BufferSlice(offset: offset + 3, count: 1), with: UInt8(truncatingIfNeeded: sequence))
        if sequence & 0xff == 0 { pool.fill(BufferSlice(offset: offset + 2, count: 1), with: UInt8(sequence >> 8)) }
    }

    private static func token(_ kind: UInt8, call: Int, leg: Leg) -> Token {
        Token(kind: kind, generation: 1, index: UInt32(call * 4 + (leg == .caller ? 0 : 2)))
    }

    private static func source(call: Int, leg: Leg) -> SocketAddress {
        SocketAddress(ip: IPAddress(ipv4: 0xc000_0200 + UInt32(call)), port: leg == .caller ? 4000 : 4002)
    }

    /// 20 ms of G.711.
    private static func packet(ssrc: UInt32) -> [UInt8] {
        var octets = [UInt8](repeating: 0x55, count: 172)
        octets.replaceSubrange(0..<8, with: [0x80, 8, 0, 1, 0, 0, 0, 0])
        for shift in 0..<4 { octets[8 + shift] = UInt8(truncatingIfNeeded: ssrc >> UInt32(24 - 8 * shift)) }
        return octets
    }
}
