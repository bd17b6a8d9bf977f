/// Hands out session slots, and a new generation with each use of one.
///
/// A slot is free, taken, or kept: put by with its sockets by whoever hands it out, and taken again by its number.
public struct SessionAllocator: Sendable {
    public let workers: Int
    /// Free slots of each worker as global indices, in a circle: the one freed longest ago is used next.
    private var free: [[UInt32]]
    private var nextFree: [Int]
    private var freeCounts: [Int]
    private var inUse: [Int]
    private var generations: [UInt32]
    private var states: [State]

    private enum State: UInt8 { case free, taken, kept }

    public init(workers: Int, capacity: Int) {
        precondition(workers > 0 && capacity > 0)
        self.workers = workers
        free = (0..<workers).map { worker in stride(from: worker, to: capacity, by: workers).map { UInt32($0) } }
        nextFree = Array(repeating: 0, count: workers)
        freeCounts = free.map(\.count)
        inUse = Array(repeating: 0, count: workers)
        generations = Array(repeating: 0, count: capacity)
        states = Array(repeating: .free, count: capacity)
    }

    public var capacity: Int { states.count }

    /// Sessions taken and not given back.
    public var count: Int { inUse.reduce(0, +) }

    /// Sessions on one worker.
    public func count(onWorker worker: Int) -> Int { inUse[worker] }

    /// The most it may have.
    public func capacity(ofWorker worker: Int) -> Int { free[worker].count }

    /// On the worker with the fewest sessions; nil when no slot is free.
    public mutating func take() -> SessionID? {
        var best: Int?
        for worker in 0..<workers where freeCounts[worker] > 0 {
            if best == nil || inUse[worker] < inUse[best!] { best = worker }
        }
        return best.flatMap { take(onWorker: $0) }
    }

    /// Nil when none of its slots is free.
    public mutating func take(onWorker worker: Int) -> SessionID? {
        guard freeCounts[worker] > 0 else { return nil }
        let index = free[worker][nextFree[worker]]
        nextFree[worker] = (nextFree[worker] + 1) % free[worker].count
        freeCounts[worker] -= 1
        return begin(index)
    }

    /// Takes a slot that was kept.
    public mutating func take(kept index: UInt32) -> SessionID {
        precondition(states[Int(index)] == .kept, "a slot is taken once")
        return begin(index)
    }

    private mutating func begin(_ index: UInt32) -> SessionID {
        inUse[Int(index) % workers] += 1
        generations[Int(index)] &+= 1
        states[Int(index)] = .taken
        return SessionID(index: index, generation: generations[Int(index)])
    }

    /// The session that has this slot, if it is the one whose generation has these low 24 bits, as taps and tokens carry them.
    public func session(index: UInt32, lowGeneration: UInt32) -> SessionID? {
        guard index < states.count, states[Int(index)] == .taken, generations[Int(index)] & 0xff_ffff == lowGeneration else {
            return nil
        }
        return SessionID(index: index, generation: generations[Int(index)])
    }

    /// Only after `closed` or `openFailed`.
    public mutating func giveBack(_ session: SessionID) {
        end(session)
        putBack(session.index)
    }

    /// Only after `closed`: puts the slot by instead of giving it back.
    public mutating func keep(_ session: SessionID) {
        end(session)
        states[Int(session.index)] = .kept
    }

    /// Gives back a slot that was kept.
    public mutating func giveBack(kept index: UInt32) {
        precondition(states[Int(index)] == .kept, "a slot is given back once")
        putBack(index)
    }

    private mutating func end(_ session: SessionID) {
        let index = Int(session.index)
        precondition(states[index] == .taken && generations[index] == session.generation, "a session is given back once")
        inUse[index % workers] -= 1
    }

    private mutating func putBack(_ index: UInt32) {
        states[Int(index)] = .free
        let worker = Int(index) % workers
        let size = free[worker].count
        free[worker][(nextFree[worker] + freeCounts[worker]) % size] = index
        freeCounts[worker] += 1
    }
}
