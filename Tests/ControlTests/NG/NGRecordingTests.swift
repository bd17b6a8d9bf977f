import Configuration
import Control
import Core
import NG
import Relay
import Testing

/// `start recording`, `stop recording`, `record-call`.
@Suite struct NGRecordingTests {
    private static func world() -> NGWorld { NGWorld { $0.ng.recordingDirectory = "/var/spool/relayd" } }

    @Test("a recording has every session of the call, also one that comes later, and ends with the call")
    func sessions() throws {
        let world = Self.world()
        world.establish("c@h/../x")
        let entries = NGWorld.entries("c@h/../x", "a", "b")
        #expect(world.ask("start recording", entries).result == "ok")
        let first = try #require(world.recordings.last)
        #expect(first.sessions.count == 1 && first.comments.contains("Call-ID: c@h/../x"))
        #expect(first.fileName.hasPrefix("c@h_.._x-") && first.fileName.hasSuffix("-1.pcapng"), "\(first.fileName)")
        #expect(first.sessions[0].caller.ip == IPAddress("203.0.113.1") && first.sessions[0].caller.port % 2 == 0)
        #expect(world.ask("start recording", entries).result == "ok")
        #expect(world.recordings.count == 1, "it is being recorded already")
        _ = world.offer(
            "c@h/../x", from: "a", to: "b", NGWorld.audio("198.51.100.1", more: "m=audio 31000 RTP/AVP 0\r\n"))
        #expect(world.recordings.last?.sessions.count == 2 && world.recordings.last?.key == first.key)
        _ = world.delete("c@h/../x", ["delete-delay": .integer(0)])
        #expect(world.stoppedRecordings == [first.key])
        world.checkEnd()
        #expect(world.problems == [])
    }

    @Test("the flag of an offer begins one, 'off' and the command end it, and the next is a file of its own")
    func flag() {
        let world = Self.world()
        _ = world.offer("c", from: "a", NGWorld.audio("198.51.100.1"), ["record-call": .text("on")])
        _ = world.answer("c", from: "a", to: "b", NGWorld.audio("198.51.100.2"))
        #expect(world.recordings.last?.sessions.count == 1 && world.stoppedRecordings.isEmpty)
        _ = world.offer("c", from: "a", to: "b", NGWorld.audio("198.51.100.1"), ["record-call": .text("off")])
        #expect(world.stoppedRecordings.count == 1)
        #expect(world.ask("stop recording", NGWorld.entries("c", "a")).result == "ok")
        #expect(world.ask("start recording", NGWorld.entries("c", "a", "b", nil, ["recording-file": .text("../../etc/x")])).result == "ok")
        #expect(Set(world.recordings.map(\.fileName)).count == 2)
        #expect(world.recordings.last?.fileName == "_.._.._etc_x.pcapng", "nobody leaves the directory")
        #expect(world.ask("stop recording", NGWorld.entries("c", "a")).result == "ok")
        #expect(world.stoppedRecordings.count == 2)
    }

    @Test("without a directory the command is refused and the flag has no effect, which is said")
    func unconfigured() {
        let world = NGWorld()
        let offer = world.offer("c", from: "a", NGWorld.audio("198.51.100.1"), ["record-call": .text("yes")])
        #expect(offer.result == "ok" && offer.warning?.contains("ng.recording_directory") == true)
        let start = world.ask("start recording", NGWorld.entries("c", "a"))
        #expect(start.result == "error" && start.reason?.contains("ng.recording_directory") == true)
        #expect(world.ask("start recording", NGWorld.entries("x", "a")).reason == "Unknown call-id")
        #expect(world.recordings.isEmpty)
    }
}
