/// Hands out session slots, on the worker with the fewest sessions first, and a new generation with each use of a slot.
public struct SessionAllocator: Sendable {
    private let workers: Int
    /// Free slots of each worker as global indices; the one freed longest ago is used next.
    private var free: [[UInt32]]
    private var nextFree: [Int]
    private var inUse: [Int]
    private var generations: [UInt32]
    private var isTaken: [Bool]

    public init(workers: Int, capacity: Int) {
        precondition(workers > 0 && capacity > 0)
        self.workers = workers
        free = (0..<workers).map { worker in stride(from: worker, to: capacity, by: workers).map { UInt32($0) } }
        nextFree = Array(repeating: 0, count: workers)
        inUse = Array(repeating: 0, count: workers)
        generations = Array(repeating: 0, count: capacity)
        isTaken = Array(repeating: false, count: capacity)
    }

    /// Sessions taken and not given back.
    public var count: Int { inUse.reduce(0, +) }

    /// Sessions on one worker.
    public func count(onWorker worker: Int) -> Int { inUse[worker] }

    /// Nil when every slot is taken.
    public mutating func take() -> SessionID? {
        var best: Int?
        for worker in 0..<workers where inUse[worker] < free[worker].count {
            if best == nil || inUse[worker] < inUse[best!] { best = worker }
        }
        guard let worker = best else { return nil }
        // `free` is a circle: taken from `nextFree`, given back `inUse` places behind it.
        let index = free[worker][nextFree[worker]]
        nextFree[worker] = (nextFree[worker] + 1) % free[worker].count
        inUse[worker] += 1
        generations[Int(index)] &+= 1
        isTaken[Int(index)] = true
        return SessionID(index: index, generation: generations[Int(index)])
    }

    /// The session that has this slot, if it is the one whose generation has these low 24 bits, as taps and tokens carry them.
    public func session(index: UInt32, lowGeneration: UInt32) -> SessionID? {
        guard index < isTaken.count, isTaken[Int(index)], generations[Int(index)] & 0xff_ffff == lowGeneration else { return nil }
        return SessionID(index: index, generation: generations[Int(index)])
    }

    /// Only after `closed` or `openFailed`.
    public mutating func giveBack(_ session: SessionID) {
        let index = Int(session.index)
        precondition(isTaken[index] && generations[index] == session.generation, "a session is given back once")
        isTaken[index] = false
        let worker = index % workers
        let size = free[worker].count
        free[worker][(nextFree[worker] + size - inUse[worker]) % size] = session.index
        inUse[worker] -= 1
    }
}
