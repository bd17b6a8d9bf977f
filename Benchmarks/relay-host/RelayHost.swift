import Core
import Glibc
import Relay
import Uring

/// The relay without signalling: opens one session per call, says where, and relays until SIGTERM.
///
/// Prints `call callerPort calleePort` for each call and then `ready`.
@main
enum RelayHost {
    static func main() {
        guard let options = Options(Array(CommandLine.arguments.dropFirst())) else { exit(64) }
        // Before the workers start, so that none of them takes the signal.
        var termination = sigset_t()
        unsafe sigemptyset(&termination)
        unsafe sigaddset(&termination, SIGTERM)
        unsafe sigaddset(&termination, SIGINT)
        unsafe pthread_sigmask(SIG_BLOCK, &termination, nil)
        do {
            var control = try Control(options)
            try control.openSessions()
            print("ready")
            fflush(nil)
            var signal: Int32 = 0
            unsafe sigwait(&termination, &signal)
            try control.stop()
        } catch {
            Options.complain("relay-host: \(error)")
            exit(1)
        }
    }
}

/// The part of the control thread that a benchmark needs.
struct Control: ~Copyable {
    enum Failure: Error {
        case portsExhausted
        case mailboxFull
        case workerStopped(Int)
    }

    private static let doorbell = Token(kind: 1)
    private let options: Options
    private var ring: Ring
    private var pool: RelayPool
    private var sessions: SessionAllocator
    private var nextPort: UInt16
    /// The call of each session slot, and the ports it was opened with.
    private var calls: [UInt32: (call: Int, callerPort: UInt16, calleePort: UInt16)] = [:]

    init(_ options: Options) throws {
        let workers = max(1, options.cpus.count)
        var settings = RelaySettings(workers: workers, sessionCapacity: options.endpoints.count)
        settings.cpus = options.cpus
        if let window = options.window { settings.waitWindow = window }
        settings.usesKernelPath = options.isInKernel
        settings.kernelPathHasLoopback = options.address.isLoopback
        let ring = try Ring()
        pool = try RelayPool(settings: settings, controlRing: ring, doorbell: Self.doorbell)
        if let refusal = pool.kernelRefusal {
            Options.complain("relay-host: \(refusal)")
            exit(1)
        }
        self.ring = ring
        self.options = options
        sessions = SessionAllocator(workers: workers, capacity: options.endpoints.count)
        nextPort = options.firstPort
    }

    /// Opens a session for each call and tells it where the media of both sides comes from.
    mutating func openSessions() throws {
        for call in options.endpoints.indices {
            guard let session = sessions.take() else { preconditionFailure("one slot per call") }
            try open(session, call: call)
        }
        var opened = 0
        var batch = CompletionBatch()
        while opened < options.endpoints.count {
            pool.flushDoorbells(on: &ring)
            try ring.submitAndWait(timeout: .milliseconds(100))
            ring.takeCompletions(into: &batch)
            while let event = pool.nextEvent() {
                switch event {
                case .opened(let session):
                    opened += 1
                    try announce(session)
                case .openFailed(let session, _, _):
                    // The port is somebody else's: the next pair will do.
                    try open(session, call: calls[session.index]!.call)
                case .stopped(let worker): throw Failure.workerStopped(worker)
                case .locked, .closed, .digit: break
                }
            }
        }
        pool.flushDoorbells(on: &ring)
        try ring.submit()
    }

    /// Ends the workers, so that their sockets are closed when the process is.
    mutating func stop() throws {
        guard pool.send(.stop) else { throw Failure.mailboxFull }
        pool.flushDoorbells(on: &ring)
        try ring.submit()
        pool.join()
    }

    private mutating func open(_ session: SessionID, call: Int) throws {
        guard nextPort <= 65000 else { throw Failure.portsExhausted }
        let caller = SocketAddress(ip: options.address, port: nextPort)
        let callee = SocketAddress(ip: options.address, port: nextPort + 2)
        nextPort += 4
        calls[session.index] = (call, caller.port, callee.port)
        try send(.open(session, caller: caller, callee: callee))
    }

    /// Waits while the worker's mailbox is full.
    private mutating func send(_ command: RelayCommand) throws {
        for _ in 0..<1000 {
            if pool.send(command) { return }
            pool.flushDoorbells(on: &ring)
            try ring.submitAndWait(timeout: .milliseconds(1))
        }
        throw Failure.mailboxFull
    }

    private mutating func announce(_ session: SessionID) throws {
        let (call, callerPort, calleePort) = calls[session.index]!
        let endpoints = options.endpoints[call]
        for (leg, address) in [(Leg.caller, endpoints.caller), (.callee, endpoints.callee)] {
            let control = SocketAddress(ip: address.ip, port: address.port + 1)
            let expected = ExpectedSource(rtp: address, rtcp: control, signalling: address.ip)
            try send(.expect(session, leg, expected))
        }
        print(call, callerPort, calleePort)
    }
}
