import Core
import Foundation
import Glibc
import Testing

@testable import ControlProtocol

@Suite("A client over a real socket")
struct ControlClientTests {
    @Test("asks, gets the typed answer, and then events in order")
    func conversation() throws {
        let event = Samples.events[0]
        let server = try OneClientServer(answers: [
            ControlLine.response(to: .number(1), result: Samples.calls),
            ControlLine.response(to: .number(2), result: Acknowledgement())
                + ControlLine.notification("something.else", params: ["a": 1])
                + ControlLine.notification(ControlMethod.eventNotification, params: event),
        ])
        var client = try ControlClient(path: server.path)
        #expect(try client.calls() == Samples.calls)
        try client.subscribe()
        #expect(try client.nextEvent() == event)
        #expect(try client.nextEvent() == nil)
        #expect(server.received().map { String(decoding: $0, as: UTF8.self) } == [
            "{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"calls\",\"params\":{}}\n", "{\"id\":2,\"jsonrpc\":\"2.0\",\"method\":\"events\"}\n",
        ])
    }

    @Test("the daemon's refusal comes as it was said, exit code 1")
    func refusal() throws {
        let error = ControlError(.notFound, "There is no call \"x\".")
        let server = try OneClientServer(answers: [ControlLine.error(error, to: .number(1))])
        let failure = try failure(at: server.path)
        #expect(failure == .refused(error))
        #expect(failure.exitCode == 1)
        #expect(failure.sentence == "There is no call \"x\".")
    }

    @Test(
        "a daemon that closes midway or talks nonsense: exit code 70",
        arguments: [
            ("", ControlClientError.closed), ("{\"jsonrpc\":\"2.0\",\"id\":1,\"resu", .closed),
            ("HTTP/1.1 400 Bad Request\r\n\r\n", .nonsense), ("{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n", .nonsense),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"version\":4}}\n", .nonsense),
        ])
    func misbehaviour(answer: String, expected: ControlClientError) throws {
        let server = try OneClientServer(answers: [Array(answer.utf8)])
        let failure = try failure(at: server.path)
        #expect(failure == expected)
        #expect(failure.exitCode == 70)
    }

    @Test("a daemon that says nothing is given up after the time limit, exit code 70")
    func silence() throws {
        let server = try OneClientServer(answers: [], staysSilent: true)
        let failure = try failure(at: server.path, timeLimitSeconds: 1)
        #expect(failure == .silent(seconds: 1))
        #expect(failure.exitCode == 70)
    }

    @Test("nothing there, nobody listening, a path too long: exit code 69 and what to do")
    func unreachable() throws {
        let server = try OneClientServer(answers: [])
        server.close()
        let long = "/tmp/" + String(repeating: "x", count: 200)
        for (path, expected) in [
            ("/nonexistent/relayd.sock", ControlClientError.missing(path: "/nonexistent/relayd.sock")),
            (server.path, .nobodyListening(path: server.path)), (long, .pathTooLong(path: long, limit: 107)),
        ] {
            let failure = try failure(at: path)
            #expect(failure == expected)
            #expect(failure.exitCode == 69)
            #expect(failure.sentence.contains(path))
            #expect(failure.sentence.contains("--socket PATH"))
        }
    }

    @Test("the usual socket: the user's own, else the system's where that exists")
    func defaultPath() {
        func path(_ environment: [String: String], userID: UInt32 = 7, existing: [String] = []) -> String {
            defaultControlSocketPath(environment: environment, userID: userID, exists: existing.contains)
        }
        let system = "/run/relayd/relayd.sock"
        let user = ["XDG_RUNTIME_DIR": "/run/user/7"]
        #expect(path(["RUNTIME_DIRECTORY": "/run/a:/run/b"], userID: 0) == "/run/a/relayd.sock")
        #expect(path(user, userID: 0) == system)
        #expect(path(user, existing: [system]) == system)
        #expect(path(user, existing: [system, "/run/user/7/relayd.sock"]) == "/run/user/7/relayd.sock")
        #expect(path(user) == "/run/user/7/relayd.sock")
        #expect(path([:]) == "/tmp/relayd-7/relayd.sock")
    }

    @Test(
        "times as people type them",
        arguments: [
            ("90s", "2026-01-31T08:13:34.120Z"), ("2h", "2026-01-31T06:15:04.120Z"), ("7d", "2026-01-24T08:15:04.120Z"),
            ("2026-01-30", "2026-01-30T00:00:00.000Z"), ("2026-01-30 12:30", "2026-01-30T12:30:00.000Z"),
            ("2026-01-30T12:30:15Z", "2026-01-30T12:30:15.000Z"), ("2026-01-3", nil), ("-5m", nil), ("soon", nil), ("", nil),
        ] as [(String, String?)])
    func typedTimes(text: String, time: String?) {
        #expect(WallTime(typed: text, now: Samples.setup)?.description == time)
    }

    private func failure(at path: String, timeLimitSeconds: Int = 5) throws -> ControlClientError {
        try #require(throws: ControlClientError.self) {
            var client = try ControlClient(path: path, timeLimitSeconds: timeLimitSeconds)
            _ = try client.status()
        }
    }
}

/// Takes one connection on a thread of its own, answers one line a request, and closes.
private final class OneClientServer: Sendable {
    let path: String
    private let listener: Int32
    private let requests = Requests()

    /// - Parameter staysSilent: read, and answer nothing, until the client goes.
    init(answers: [[UInt8]], staysSilent: Bool = false) throws {
        path = "/tmp/relayctl-test-\(UUID().uuidString.prefix(13)).sock"
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = self.path
        // SAFETY: the short path fits with its zero, and each pointer lives for its call only.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let listener = self.listener
        let bound = unsafe withUnsafePointer(to: address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(listener, 1) == 0)
        let requests = self.requests
        Thread.detachNewThread {
            defer { requests.finish() }
            let client = accept(listener, nil, nil)
            guard client >= 0 else { return }
            let stream = FileHandle(fileDescriptor: client, closeOnDealloc: true)
            for answer in answers {
                requests.add(Array(stream.availableData))
                try? stream.write(contentsOf: Data(answer))
            }
            if staysSilent { while !stream.availableData.isEmpty {} }
        }
    }

    deinit {
        close()
        try? FileManager.default.removeItem(atPath: path)
    }

    /// What came, once the connection has ended.
    func received() -> [[UInt8]] { requests.all() }

    func close() { shutdown(listener, Int32(SHUT_RDWR)) }

    private final class Requests: @unchecked Sendable {
        private let condition = NSCondition()
        private var requests: [[UInt8]] = []
        private var isFinished = false

        func add(_ request: [UInt8]) { condition.withLock { requests.append(request) } }

        func finish() {
            condition.withLock {
                isFinished = true
                condition.broadcast()
            }
        }

        func all() -> [[UInt8]] {
            condition.withLock {
                while !isFinished { condition.wait() }
                return requests
            }
        }
    }
}
