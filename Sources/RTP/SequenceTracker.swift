/// Follows the sequence numbers of one source (RFC 3550 §A.1, §A.3).
///
/// Probation is not done here: whoever feeds it has already decided that the source is genuine. A new SSRC, and a jump
/// that the next packet confirms, start a new run; what earlier runs expected and received is kept in the sums.
@frozen
public struct SequenceTracker: Sendable, BitwiseCopyable {
    /// A step forward up to this is loss, not a restart (RFC 3550 §A.1).
    @usableFromInline static let maximumDropout: UInt16 = 3000
    /// A step back up to this is reordering.
    @usableFromInline static let maximumMisorder: UInt16 = 100

    public private(set) var ssrc: UInt32 = 0
    @usableFromInline var highest: UInt16 = 0
    @usableFromInline var hasStarted = false
    /// The sequence number that, coming next, proves a restart; past 65535 when there is none.
    @usableFromInline var restartAt: UInt32 = 0x10000
    /// Wraps of the 16-bit number in this run.
    @usableFromInline var cycles: UInt32 = 0
    @usableFromInline var base: UInt16 = 0
    @usableFromInline var receivedInRun: UInt64 = 0
    @usableFromInline var expectedBefore: UInt64 = 0
    @usableFromInline var receivedBefore: UInt64 = 0
    /// Immediate repeats of the newest packet. Repeats of older ones pass as reordered.
    @usableFromInline var repeats: UInt64 = 0
    @usableFromInline var misordered: UInt64 = 0
    @usableFromInline var restartCount: UInt32 = 0

    public enum Outcome: UInt8, Sendable, BitwiseCopyable {
        /// The first packet, or the first of a new SSRC.
        case started
        /// Newer than all before; loss may lie between.
        case advanced
        /// The newest one again.
        case duplicate
        /// Older than the newest.
        case late
        /// Too far away to belong to this run; a second one in sequence restarts it.
        case jumped
        case restarted
    }

    @inlinable @inline(always)
    public init() {}

    /// Takes one packet into account.
    @inlinable @inline(always)
    @discardableResult
    public mutating func receive(sequenceNumber: UInt16, ssrc: UInt32) -> Outcome {
        guard hasStarted, ssrc == self.ssrc else {
            begin(at: sequenceNumber, ssrc: ssrc)
            return .started
        }
        let step = sequenceNumber &- highest
        if step == 0 {
            receivedInRun &+= 1
            repeats &+= 1
            return .duplicate
        }
        if step < Self.maximumDropout {
            if sequenceNumber < highest { cycles &+= 1 }
            highest = sequenceNumber
            receivedInRun &+= 1
            restartAt = 0x10000
            return .advanced
        }
        if step > 0 &- Self.maximumMisorder {
            receivedInRun &+= 1
            misordered &+= 1
            return .late
        }
        if UInt32(sequenceNumber) == restartAt {
            begin(at: sequenceNumber &- 1, ssrc: ssrc)  // the one that jumped belongs to the new run
            highest = sequenceNumber
            if sequenceNumber == 0 { cycles = 1 }
            receivedInRun = 2
            restartCount &+= 1
            return .restarted
        }
        restartAt = UInt32(sequenceNumber &+ 1)
        return .jumped
    }

    @inlinable @inline(never)
    mutating func begin(at sequenceNumber: UInt16, ssrc: UInt32) {
        expectedBefore &+= expectedInRun
        receivedBefore &+= receivedInRun
        self.setSSRC(ssrc)
        hasStarted = true
        base = sequenceNumber
        highest = sequenceNumber
        cycles = 0
        receivedInRun = 1
        restartAt = 0x10000
    }

    @usableFromInline
    mutating func setSSRC(_ value: UInt32) { ssrc = value }

    @inlinable @inline(always)
    var expectedInRun: UInt64 {
        hasStarted ? UInt64(cycles) &<< 16 &+ UInt64(highest) &- UInt64(base) &+ 1 : 0
    }

    /// The highest sequence number of this run with its wraps above it, as receiver reports carry it.
    @inlinable
    public var extendedHighest: UInt32 { cycles &<< 16 | UInt32(highest) }

    /// Packets that should have come, over all runs.
    @inlinable @inline(always)
    public var expected: UInt64 { expectedBefore &+ expectedInRun }

    /// Packets that came and belong to a run, duplicates included.
    @inlinable @inline(always)
    public var received: UInt64 { receivedBefore &+ receivedInRun }

    /// Expected minus received, not below zero: a duplicate hides a loss (RFC 3550 §A.3).
    @inlinable @inline(always)
    public var lost: UInt64 { expected > received ? expected &- received : 0 }

    @inlinable
    public var duplicates: UInt64 { repeats }

    @inlinable
    public var reordered: UInt64 { misordered }

    @inlinable
    public var restarts: UInt32 { restartCount }
}
