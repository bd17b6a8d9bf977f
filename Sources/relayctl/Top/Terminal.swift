import Glibc
import Synchronization

/// The terminal of this process as a full screen: raw keys, its own buffer, no cursor. It is as before once this is over, also
/// when a signal ends the process.
struct Terminal: ~Copyable {
    private let saved: termios

    /// Nil when standard input or output is no terminal.
    init?() {
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else { return nil }
        var settings = termios()
        // SAFETY: the structure outlives both calls.
        guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
        saved = settings
        Restoration.prepare(settings)
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
        // SAFETY: as above.
        _ = unsafe tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
        Self.put("\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l")
    }

    deinit { Restoration.restore() }

    /// Columns and lines.
    var size: (width: Int, height: Int) {
        var size = winsize()
        // SAFETY: the kernel fills in the structure during the call.
        let isKnown = unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 && size.ws_row > 0
        return isKnown ? (Int(size.ws_col), Int(size.ws_row)) : (80, 24)
    }

    /// Shows these lines and nothing else, in one write, so that nothing flickers.
    func show(_ lines: [String]) {
        var text = "\u{1b}[H"
        for (index, line) in lines.enumerated() { text += "\(index == 0 ? "" : "\r\n")\(line)\u{1b}[K" }
        Self.put(text + "\u{1b}[J")
    }

    /// Waits for keys, at most so long.
    ///
    /// - Returns: empty when none came or a signal did; nil when the terminal is gone.
    func read(milliseconds: Int32) -> [UInt8]? {
        var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        // SAFETY: one structure, which outlives the call.
        guard unsafe poll(&input, 1, milliseconds) > 0 else { return [] }
        var octets = [UInt8](repeating: 0, count: 256)
        // SAFETY: the kernel writes at most the count.
        let count = unsafe octets.withUnsafeMutableBytes { unsafe Glibc.read(STDIN_FILENO, $0.baseAddress, $0.count) }
        guard count > 0 else { return count < 0 && errno == EINTR ? [] : nil }
        return Array(octets[..<count])
    }

    private static func put(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            // SAFETY: the kernel reads the count of the buffer during the call.
            let count = unsafe rest.withUnsafeBytes { unsafe write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// What a signal handler needs to put the terminal back; all of it is made before.
private enum Restoration {
    // SAFETY: written once, by the main thread before any handler is installed; handlers only read it.
    nonisolated(unsafe) private static var settings = termios()
    private static let isDue = Atomic<Bool>(false)
    private static let sequence: StaticString = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l"

    static func prepare(_ settings: termios) {
        unsafe self.settings = settings
        isDue.store(true, ordering: .sequentiallyConsistent)
        signal(SIGWINCH) { _ in }  // only to wake the wait for keys
        // Crashes too: a shell that shows nothing is no place to look for their reason.
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE] {
            signal(number) { number in
                Restoration.restore()
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }

    /// Only what a signal handler may call. Once.
    static func restore() {
        guard isDue.exchange(false, ordering: .sequentiallyConsistent) else { return }
        _ = unsafe write(STDOUT_FILENO, sequence.utf8Start, sequence.utf8CodeUnitCount)
        _ = unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    }
}
