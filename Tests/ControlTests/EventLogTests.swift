@testable import Control
import Configuration
import ControlProtocol
import Core
import Synchronization
import Testing

@Suite("the log") struct EventLogTests {
    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ text: String) {
            lines.withLock { $0 += text.split(separator: "\n").map { $0 + "\n" } }
        }
        var all: [String] { lines.withLock { $0 } }
    }

    @Test("a line is level, name and fields in alphabetical order; nothing a peer sent starts a line of its own")
    func format() {
        let lines = Lines()
        let log = EventLog(level: .notice, writer: LogWriter(output: { lines.add($0) }))
        log.log(.warning, "name", ["b": "two words", "a": "1", "c": "x\r\nerror fake=1", "d": "", "e": "say \"hi\" \\"])
        log.log(.debug, "unseen")
        log.flush()
        #expect(
            lines.all == ["warning name a=1 b=\"two words\" c=\"x??error fake=1\" d=\"\" e=\"say \\\"hi\\\" \\\\\"\n"])
    }

    @Test("an event carries its call, and set-ups are for debugging")
    func events() {
        let lines = Lines()
        let log = EventLog(level: .notice, writer: LogWriter(output: { lines.add($0) }))
        let at = WallTime(milliseconds: 0)
        log.log(Event(at: at, name: .callSetup, callID: "abc"))
        log.log(Event(at: at, name: .callReleased, callID: "abc", fields: ["cause": "no_media"]))
        log.flush()
        #expect(lines.all == ["notice call.released call=abc cause=no_media\n"])
    }

    @Test("a reader that stalls stalls nobody; what was dropped is counted once it reads on")
    func stalledReader() {
        let lines = Lines()
        let gate = Mutex<Void>(())
        let writer = LogWriter(limit: 10) { line in
            gate.withLock { _ in }
            lines.add(line)
        }
        gate.withLock { _ in
            for number in 0..<100 { writer.write("\(number)\n") }
        }
        writer.flush()
        writer.write("last\n")
        writer.flush()
        let dropped = lines.all.compactMap { $0.hasPrefix("warning log.lost") ? Int($0.dropFirst(23).dropLast()) : nil }
        #expect(dropped.reduce(0, +) + lines.all.count - dropped.count == 101)
        #expect(dropped.reduce(0, +) >= 80)
        #expect(lines.all.last == "last\n")
    }
}
