import Configuration
import Core
import Synchronization
import Uring

/// Asks proxies to end dialogs whose media have died, one after the other, on a thread that may block.
final class CallbackSender: Sendable {
    /// What became of one, once it is known.
    struct Outcome: Sendable {
        let termination: DialogTermination
        let url: CallbackURL
        /// Nil when the proxy did as it was asked.
        let failure: String?
    }

    private struct Job {
        let termination: DialogTermination
        let at: Instant
    }

    private let url: CallbackURL
    private let format: CallbackFormat
    private let report: @Sendable (Outcome) -> Void
    private let jobs = Mutex<[Job]>([])
    private let event: EventDescriptor
    private let isStopping = Atomic<Bool>(false)

    private static let queueLimit = 4_096
    /// Of one call, from the connection on.
    private static let timeLimit = Duration.seconds(3)
    /// A dialog that could not be ended for so long has ended otherwise, or the proxy has.
    private static let staleness = Duration.seconds(120)

    /// Starts the thread.
    ///
    /// - Parameter report: called on that thread, once for everything given to `send`.
    init(url: CallbackURL, format: CallbackFormat, report: @escaping @Sendable (Outcome) -> Void) throws(Errno) {
        self.url = url
        self.format = format
        self.report = report
        event = try EventDescriptor()
        _ = try Thread(name: "callback", context: self, body: runCallbackSender)
    }

    /// From any thread; never waits.
    func send(_ termination: DialogTermination, now: Instant) {
        let hasRoom = jobs.withLock { jobs in
            guard jobs.count < Self.queueLimit else { return false }
            jobs.append(Job(termination: termination, at: now))
            return true
        }
        if hasRoom { event.signal() } else { finish(termination, "too many wait for the proxy") }
    }

    /// Ends the thread after the call under way, if any. What waits is dropped.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        event.signal()
    }

    fileprivate func run() {
        while true {
            event.wait()
            event.clear()
            for job in jobs.withLock({ jobs in
                defer { jobs = [] }
                return jobs
            }) {
                guard !isStopping.load(ordering: .acquiring) else { return }
                let isStale = MonotonicClock.now - job.at > Self.staleness
                finish(job.termination, isStale ? "the proxy was not reachable in time" : call(job.termination))
            }
            guard !isStopping.load(ordering: .acquiring) else { return }
        }
    }

    private func finish(_ termination: DialogTermination, _ failure: String?) {
        report(Outcome(termination: termination, url: url, failure: failure))
    }

    /// - Returns: why it failed.
    private func call(_ termination: DialogTermination) -> String? {
        guard let server = url.server(proxy: termination.proxy) else { return "the proxy's address is not known" }
        var response = HTTPResponse()
        do throws(Errno) {
            let socket = try BlockingTCPSocket(connectingTo: server, deadline: MonotonicClock.now + Self.timeLimit)
            try socket.write(termination.httpRequest(to: server, path: url.path, format: format))
            while !response.isComplete {
                let octets = try socket.read()
                if octets.isEmpty { break }
                response.append(octets)
            }
        } catch {
            return "\(error)"
        }
        return response.failure
    }
}

private func runCallbackSender(_ sender: CallbackSender) { sender.run() }
