import Foundation
package import Glibc
import Synchronization

/// A program in a session of its own, so that nothing it starts outlives it. Output goes to one file.
package final class ChildProcess: Sendable {
    package enum Exit: Equatable, Sendable {
        case exited(code: Int32)
        case signalled(Int32)
    }

    package struct StartFailed: Error, CustomStringConvertible {
        package let description: String
    }

    package let name: String
    package let processID: pid_t
    package let outputPath: String
    private let result = Mutex<Exit?>(nil)

    /// - Parameters:
    ///   - executable: a path, or a name that is looked up in PATH.
    ///   - environment: added to the one of this process.
    ///   - outputPath: where standard output goes; standard error too unless `errorPath` is given.
    package init(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        workingDirectory: String? = nil, outputPath: String, errorPath: String? = nil
    ) throws {
        name = (executable as NSString).lastPathComponent
        self.outputPath = outputPath
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0)=\($1)" }
        // posix_spawn cannot change directory portably; env(1) does and then becomes the program.
        let command = workingDirectory.map { ["env", "-C", $0, executable] + arguments } ?? [executable] + arguments
        processID = try Self.spawn(command, environment: variables, outputPath: outputPath, errorPath: errorPath)
        LiveGroups.add(processID)
    }

    deinit { kill() }

    /// What was written so far.
    package var output: String { textOfFile(outputPath) }

    /// Nil while it runs.
    package var exit: Exit? {
        result.withLock { result in
            if result == nil { result = Self.reap(processID, options: WNOHANG) }
            if result != nil { LiveGroups.remove(processID) }
            return result
        }
    }

    package func exit(within limit: Duration) async throws -> Exit {
        try await eventually("\(name) (process \(processID)) ends", within: limit) { exit }
    }

    package func signal(_ number: Int32) {
        guard exit == nil else { return }
        _ = Glibc.kill(processID, number)
    }

    /// Ends the whole group at once and waits for it. Safe to call more than once.
    package func kill() {
        guard exit == nil else { return }
        _ = Glibc.kill(-processID, SIGKILL)
        result.withLock { result in
            if result == nil { result = Self.reap(processID, options: 0) ?? .signalled(SIGKILL) }
        }
        LiveGroups.remove(processID)
    }

    private static func reap(_ processID: pid_t, options: Int32) -> Exit? {
        var status: Int32 = 0
        // SAFETY: `status` outlives the call.
        guard unsafe waitpid(processID, &status, options) == processID else { return nil }
        return status & 0x7f == 0 ? .exited(code: status >> 8 & 0xff) : .signalled(status & 0x7f)
    }

    private static func spawn(
        _ command: [String], environment: [String], outputPath: String, errorPath: String?
    ) throws -> pid_t {
        // SAFETY: attributes and actions are initialised before use and destroyed after it; posix_spawn copies everything.
        var attributes = posix_spawnattr_t()
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawnattr_init(&attributes)
        unsafe posix_spawn_file_actions_init(&actions)
        defer {
            unsafe posix_spawnattr_destroy(&attributes)
            unsafe posix_spawn_file_actions_destroy(&actions)
        }
        // A session, and so a group, of its own: without a terminal nothing stops it for touching one. Default handlers and
        // an empty mask, whatever this process ignores or blocks.
        let setSession: Int32 = 0x80  // POSIX_SPAWN_SETSID, which is behind _GNU_SOURCE
        var signals = sigset_t()
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe posix_spawnattr_setflags(
            &attributes, Int16(setSession | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let create = O_WRONLY | O_CREAT | O_APPEND
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, outputPath, create, 0o644)
        if let errorPath {
            unsafe posix_spawn_file_actions_addopen(&actions, 2, errorPath, create, 0o644)
        } else {
            unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        }

        var argumentPointers = unsafe command.map { unsafe strdup($0) } + [nil]
        var environmentPointers = unsafe environment.map { unsafe strdup($0) } + [nil]
        defer {
            for unsafe pointer in unsafe argumentPointers { unsafe free(pointer) }
            for unsafe pointer in unsafe environmentPointers { unsafe free(pointer) }
        }
        var processID: pid_t = 0
        let error = unsafe posix_spawnp(
            &processID, command[0], &actions, &attributes, &argumentPointers, &environmentPointers)
        guard error == 0 else {
            throw StartFailed(description: "\(command[0]) does not start: \(errorText(error))")
        }
        return processID
    }
}

/// The groups that are running, so that an interrupt ends them with this process.
private enum LiveGroups {
    /// A slot is 0 when free. Any thread and the signal handler touch it, therefore compare and exchange.
    static let slots = InlineArray<512, Atomic<Int32>> { _ in Atomic(0) }

    static func add(_ group: Int32) {
        _ = handlers
        for index in slots.indices
        where slots[index].compareExchange(expected: 0, desired: group, ordering: .sequentiallyConsistent).exchanged {
            return
        }
        preconditionFailure("more than 512 child processes at once")
    }

    static func remove(_ group: Int32) {
        for index in slots.indices {
            _ = slots[index].compareExchange(expected: group, desired: 0, ordering: .sequentiallyConsistent)
        }
    }

    private static let handlers: Void = {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { number in
                for index in LiveGroups.slots.indices {
                    let group = LiveGroups.slots[index].load(ordering: .sequentiallyConsistent)
                    if group > 0 { _ = kill(-group, SIGKILL) }
                }
                _exit(128 + number)
            }
        }
    }()
}
