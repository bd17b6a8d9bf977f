import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("relayctl top", .inTurn)
struct TopTests {
    @Test("on a terminal it shows the call, ends with q, and leaves the terminal as it was", .needs(.sipp))
    func terminal() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            let id = try #require(try bed.daemon.control.calls().first?.id)
            // script(1) is the terminal; somebody leans on q until it ends.
            let command = "stty rows 30 cols 120; \(Daemon.commandLineTool) top --socket \(bed.daemon.control.socketPath); stty -a"
            let result = try await run(
                "sh", ["-c", "while sleep 0.3 && printf q; do :; done | script -qec \"$0\" /dev/null", command],
                environment: ["TERM": "xterm", "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh"], within: .seconds(40))
            let text = result.output
            let screen = try #require(text.range(of: "\u{1b}[?1049h"))
            let end = try #require(text.range(of: "\u{1b}[?1049l"))
            #expect(text[screen.upperBound..<end.lowerBound].contains(id))
            #expect(text[screen.upperBound..<end.lowerBound].contains("customers > carrier"))
            #expect(text[end.upperBound...].contains(" icanon") && text[end.upperBound...].contains(" echo "))
            let once = try await bed.daemon.relayctl(["top", "--once"])
            #expect(once.code == 0 && once.output.contains(id))
            call.stopMedia()
        }
    }

    @Test("without a terminal it says so, and without a daemon too")
    func refusals() async throws {
        try await Testbed.with { bed in
            let result = try await bed.daemon.relayctl(["top"])
            #expect(result.code == 2)
            #expect(result.errors.contains("needs a terminal"))
        }
    }
}
