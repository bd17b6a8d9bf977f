import ArgumentParser
import ControlProtocol
import Foundation
import Glibc

/// The terminal, or whatever stands in its place.
enum Console {
    /// Of standard output. Without a terminal there is no width to keep to: nothing is left out or cut.
    static var style: TextStyle {
        let environment = ProcessInfo.processInfo.environment
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let isColoured = isTerminal && environment["TERM"] != "dumb" && environment["NO_COLOR", default: ""].isEmpty
        return TextStyle(
            width: environment["COLUMNS"].flatMap(Int.init) ?? (isTerminal ? terminalWidth : 10_000),
            isUnicode: isUnicode(environment), isColoured: isColoured)
    }

    static func write(_ text: String) {
        FileHandle.standardOutput.write(Data(text.utf8))
    }

    /// Says in one sentence what went wrong and ends with the exit code for it.
    static func end(_ error: any Error) -> Never {
        if let failure = error as? ControlClientError {
            sayError("relayctl: \(failure.sentence)")
            exit(failure.exitCode)
        }
        if RelayControl.exitCode(for: error) == .validationFailure {
            sayError(RelayControl.fullMessage(for: error))
            exit(2)
        }
        RelayControl.exit(withError: error)
    }

    private static func sayError(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }

    /// The first of these that is set decides (POSIX, Environment Variables, §8.2).
    private static func isUnicode(_ environment: [String: String]) -> Bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
        let name = (locale ?? "").lowercased()
        return name.contains("utf-8") || name.contains("utf8")
    }

    private static var terminalWidth: Int {
        var size = winsize()
        // SAFETY: the kernel fills in the structure during the call.
        let result = unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size)
        return result == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }
}
