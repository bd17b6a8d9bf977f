internal import CURing
internal import Glibc
internal import Synchronization

/// A thread of the system with a name and, on request, a CPU of its own.
public final class Thread: Sendable {
    private let handle: pthread_t
    private let joined = Atomic<Bool>(false)

    /// Starts a thread that runs `body` with `context` and ends with it.
    ///
    /// Pass a function of file scope: a closure written inside `main` belongs to the main actor and traps elsewhere.
    ///
    /// - Parameters:
    ///   - name: at most 15 octets are shown by the system.
    ///   - cpu: the only CPU it may run on; nil leaves that to the scheduler, and so does a CPU that does not exist.
    /// - Throws: the kernel's errno; `EAGAIN` when there are too many threads.
    public init<Context: Sendable>(
        name: String, cpu: Int? = nil, context: Context, body: @escaping @Sendable (Context) -> Void
    ) throws(Errno) {
        let start = Start(name: String(name.prefix(15)), cpu: cpu) { body(context) }
        var handle = pthread_t()
        let argument = unsafe Unmanaged.passRetained(start)
        // SAFETY: the new thread takes over the reference; when none starts it is released here.
        let result = unsafe pthread_create(&handle, nil, runThread, argument.toOpaque())
        guard result == 0 else {
            unsafe argument.release()
            throw Errno(code: result)
        }
        self.handle = handle
    }

    /// Waits until it has ended. Once.
    public func join() {
        guard !joined.exchange(true, ordering: .relaxed) else { return }
        pthread_join(handle, nil)
    }

    /// From now on the calling thread, and every thread that it starts without a CPU of its own, runs on other CPUs than these;
    /// as before where it may run on no others.
    public static func keepOff(cpus: [Int]) {
        let numbers = cpus.map { Int32(clamping: $0) }
        // SAFETY: the array outlives the call and its count goes with it.
        _ = unsafe curing_keep_off(numbers, Int32(numbers.count))
    }

    /// The calling thread answers to others: it is to run soon after it wakes, also beside threads of this process that have much
    /// to do, like the one that stores records. Where the kernel has no such wish (before Linux 6.12) nothing changes.
    public static func runSoon() { _ = curing_set_time_slice(100_000) }

    /// How many CPUs this process may use.
    public static var cpuCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    fileprivate final class Start: Sendable {
        let name: String
        let cpu: Int?
        let run: @Sendable () -> Void

        init(name: String, cpu: Int?, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.cpu = cpu
            self.run = run
        }
    }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    // SAFETY: `Thread.init` passed exactly one retained reference.
    let start = unsafe Unmanaged<Thread.Start>.fromOpaque(argument!).takeRetainedValue()
    unsafe start.name.withCString { name in _ = unsafe curing_name_thread(name) }
    if let cpu = start.cpu { curing_pin_thread(Int32(cpu)) }
    start.run()
    return nil
}
