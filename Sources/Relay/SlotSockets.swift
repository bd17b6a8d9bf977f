internal import Core

/// Which sockets each session slot has, as control knows it: those of a session that has ended stay for the next one.
///
/// A session that is closed leaves its four sockets bound, and their receives armed, with its slot. One that is opened there with
/// the same addresses costs neither a system call nor a wake-up: the worker learns of it with the first packet, before that is
/// looked at. With other addresses, or when they are not quiet, the worker closes them first; a session that waits for that is
/// opened a moment later, as `opened` says. Control has them closed when they are kept for long.
///
/// Nothing of one session reaches the next:
/// - What comes while no session is open is read, counted as `droppedNoSession` and noted in `ActivityTable.lastStray`, which also
///   says so as long as a receive does not go on. Sockets are quiet when their worker has looked at all that had come a second
///   after that or after the end, by `WorkerLink.heardUntil`: so whatever was on the way then is gone. What an old peer sends
///   later is a stranger's, as on any port, and judged by the source lock.
/// - `closed` is sent once the sockets hear everybody again: disconnected, which also ends what ICMP says of the old peer, and
///   with receives that tell where a datagram comes from. Sockets of which something failed are closed and not kept.
/// - What is done for one session alone carries its generation, receives that of the sockets.
/// - The tables that others read are cleared before the worker hears of the session.
struct SlotSockets {
    enum State: UInt8 {
        case none
        case inUse
        /// No session has them.
        case kept
        /// The worker is about to close them.
        case closing
    }

    private struct Slot {
        var state = State.none
        var pair: UInt16 = 0
        var callerPort: UInt16 = 0
        var calleePort: UInt16 = 0
    }

    /// Every combination of addresses there was: as many as interfaces are combined.
    private var pairs: [(caller: IPAddress, callee: IPAddress)] = []
    private var slots: [Slot]
    /// Slots whose sockets no session has.
    private(set) var keptCount = 0

    init(capacity: Int) { slots = Array(repeating: Slot(), count: capacity) }

    subscript(slot: UInt32) -> State {
        get { slots[Int(slot)].state }
        set {
            if slots[Int(slot)].state == .kept { keptCount -= 1 }
            if newValue == .kept { keptCount += 1 }
            slots[Int(slot)].state = newValue
        }
    }

    /// True when the slot's sockets have these addresses.
    func has(_ caller: SocketAddress, _ callee: SocketAddress, in slot: UInt32) -> Bool {
        let slot = slots[Int(slot)]
        guard slot.state != .none, slot.callerPort == caller.port, slot.calleePort == callee.port else { return false }
        return pairs[Int(slot.pair)].caller == caller.ip && pairs[Int(slot.pair)].callee == callee.ip
    }

    /// The slot has these sockets, and a session has them.
    mutating func set(_ caller: SocketAddress, _ callee: SocketAddress, in slot: UInt32) {
        var pair = pairs.firstIndex { $0.caller == caller.ip && $0.callee == callee.ip }
        if pair == nil {
            pair = pairs.count
            pairs.append((caller.ip, callee.ip))
        }
        self[slot] = .inUse
        slots[Int(slot)].pair = UInt16(pair!)
        slots[Int(slot)].callerPort = caller.port
        slots[Int(slot)].calleePort = callee.port
    }
}
