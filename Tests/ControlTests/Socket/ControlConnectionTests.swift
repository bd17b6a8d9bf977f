import ControlProtocol
import Core
import Testing

@testable import Control

@Suite("One control connection")
struct ControlConnectionTests {
    private let counters = CounterBlock()
    private let start = Instant(nanoseconds: 1_000_000_000)

    @Test(
        "requests come out typed, whatever way they were split",
        arguments: [
            ("status", "", ControlCommand.status), ("calls", ",\"params\":{}", .calls(CallsQuery())),
            ("calls", ",\"params\":null", .calls(CallsQuery())),
            ("calls", ",\"params\":{\"order\":\"silence\",\"limit\":3}", .calls(CallsQuery(order: .silence, limit: 3))),
            ("report", ",\"params\":{\"grouping\":\"hour\"}", .report(ReportQuery(grouping: .hour))),
            ("audit", "", .audit(AuditQuery())), ("call", ",\"params\":{\"id\":\"k3\"}", .call("k3")),
            ("hangup", ",\"params\":{\"id\":\"k3\"}", .hangup("k3")), ("config", "", .configuration),
            ("records", "", .records(RecordQuery())), ("suspensions", "", .suspensions),
            ("lift", ",\"params\":{\"user\":\"ada\"}", .lift(LiftQuery(user: "ada"))),
            (
                "lift", ",\"params\":{\"user\":\"ada\",\"address\":\"192.0.2.7\"}",
                .lift(LiftQuery(user: "ada", address: IPAddress("192.0.2.7")))
            ),
            (
                "records",
                ",\"params\":{\"limit\":7,\"match\":\"1001\",\"cause\":\"no_media\",\"trunk\":\"t\",\"since\":\"1970-01-01T00:00:00.001Z\"}",
                .records(
                    RecordQuery(
                        limit: 7, match: "1001", cause: .noMedia, trunk: "t", since: WallTime(milliseconds: 1)))
            ),
        ])
    func commands(method: String, params: String, command: ControlCommand) {
        var connection = ControlConnection()
        let octets = Array("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\(method)\"\(params)}\n".utf8)
        let requests = octets.flatMap { connection.receive([$0], now: start, counters: counters) }
        #expect(requests == [ControlRequest(id: .number(1), command: command)])
        #expect(!connection.hasOutput)
        #expect(counters[.controlRequests] == 1)
    }

    @Test(
        "what cannot be carried out is answered at once with code and sentence",
        arguments: [
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"cals\"}", -32601, "did you mean \\\"calls\\\"?"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"shutdown\"}", -32601, "there are status, metrics, calls"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"call\"}", -32602, "needs \\\"id\\\""),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"call\",\"params\":{\"id\":7}}", -32602, "\\\"id\\\" of \\\"call\\\" must be a string"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"call\",\"params\":[\"k3\"]}", -32602, "object"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\",\"params\":{\"x\":1}}", -32602, "takes no params"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"records\",\"params\":{\"casue\":\"x\"}}", -32602, "did you mean \\\"cause\\\"?"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"records\",\"params\":{\"cause\":\"no_medai\"}}", -32602, "did you mean \\\"no_media\\\"?"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"records\",\"params\":{\"limit\":0}}", -32602, "from 1 to 10000"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"records\",\"params\":{\"limit\":\"5\"}}", -32602, "\\\"limit\\\""),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"records\",\"params\":{\"since\":\"today\"}}", -32602, "UTC time"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"lift\"}", -32602, "needs \\\"user\\\""),
            (
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"lift\",\"params\":{\"user\":\"ada\",\"address\":\"home\"}}", -32602,
                "is no IP address"
            ),
            ("garbage", -32700, "JSON"),
            ("[]", -32600, "Batches"),
        ])
    func refusals(line: String, code: Int, words: String) {
        var connection = ControlConnection()
        #expect(connection.receive(Array((line + "\n").utf8), now: start, counters: counters).isEmpty)
        let answer = String(decoding: connection.nextOutput(), as: UTF8.self)
        #expect(answer.contains("\"code\":\(code)"), "\(answer)")
        #expect(answer.contains(words), "\(answer)")
        #expect(answer.contains(line.first == "{" ? "\"id\":1" : "\"id\":null"))
        #expect(counters[.controlErrors] == 1)
        #expect(connection.disposition(at: start) == .open)
    }

    @Test("a line too long is refused once; the next one is served")
    func tooLong() {
        var connection = ControlConnection()
        var requests: [ControlRequest] = []
        for _ in 0..<5 {
            requests += connection.receive(Array(repeating: 0x20, count: 20_000), now: start, counters: counters)
        }
        requests += connection.receive(Array("\n".utf8) + Self.request("status"), now: start, counters: counters)
        #expect(requests.map(\.command) == [.status])
        #expect(drain(&connection).count == 1)
    }

    @Test("a notification is carried out and never answered, not even with an error")
    func notification() {
        var connection = ControlConnection()
        let line = Array("{\"jsonrpc\":\"2.0\",\"method\":\"hangup\",\"params\":{\"id\":\"k3\"}}\n{\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n".utf8)
        let requests = connection.receive(line, now: start, counters: counters)
        #expect(requests == [ControlRequest(id: nil, command: .hangup("k3"))])
        connection.reply(to: requests[0], .failure(ControlError(.notFound, "No.")), now: start, counters: counters)
        #expect(!connection.hasOutput)
        #expect(counters[.controlErrors] == 2)
    }

    @Test("replies carry the id of their request, in whatever order they are ready")
    func replies() {
        var connection = ControlConnection()
        let requests = connection.receive(
            Self.request("records", id: "\"slow\"") + Self.request("calls", id: "2"), now: start, counters: counters)
        connection.reply(to: requests[1], .success(.calls([])), now: start, counters: counters)
        connection.reply(to: requests[0], .failure(ControlError(.unavailable, "Later.")), now: start, counters: counters)
        let lines = drain(&connection)
        #expect(lines[0] == "{\"id\":2,\"jsonrpc\":\"2.0\",\"result\":[]}")
        #expect(lines[1].contains("\"id\":\"slow\"") && lines[1].contains("-32002"))
    }

    @Test("events reach subscribers only")
    func subscription() {
        var connection = ControlConnection()
        let event = EncodedEvent(Event(at: WallTime(milliseconds: 0), name: .callSetup, callID: "k3"))
        connection.send(event, now: start, counters: counters)
        #expect(!connection.hasOutput)
        #expect(connection.receive(Self.request("events"), now: start, counters: counters).isEmpty)
        connection.send(event, now: start, counters: counters)
        let lines = drain(&connection)
        #expect(lines[0] == "{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{\"ok\":true}}")
        #expect(lines[1].contains("\"method\":\"event\"") && lines[1].contains("call.setup"))
        #expect(counters[.controlEventsDropped] == 0)
    }

    @Test("a slow subscriber loses events, is told how many, gets every reply, and then events again")
    func slowSubscriber() throws {
        var limits = ControlConnection.Limits()
        limits.eventOctets = 1_000
        var connection = ControlConnection(limits: limits)
        _ = connection.receive(Self.request("events"), now: start, counters: counters)
        for index in 0..<50 { connection.send(Self.event(index), now: start, counters: counters) }
        let dropped = counters[.controlEventsDropped]
        #expect(dropped > 30 && dropped < 50)
        let request = try #require(connection.receive(Self.request("calls", id: "2"), now: start, counters: counters).first)
        connection.reply(to: request, .success(.calls([])), now: start, counters: counters)
        let lines = drain(&connection)
        #expect(lines.count { $0.contains("call.setup") } == 50 - Int(dropped))
        #expect(lines[lines.count - 2].contains("\"id\":2"))
        #expect(lines[lines.count - 1].contains("events.dropped") && lines[lines.count - 1].contains("\"count\":\"\(dropped)\""))
        connection.send(Self.event(51), now: start, counters: counters)
        #expect(drain(&connection).count == 1)
    }

    @Test("a client that asks and never reads is closed; one huge reply alone closes nobody")
    func overflow() {
        var limits = ControlConnection.Limits()
        limits.replyOctets = 10_000
        var connection = ControlConnection(limits: limits)
        let record = ConfigurationRow(key: "k", value: String(repeating: "v", count: 20_000), origin: "default", reload: "now")
        func ask() {
            for request in connection.receive(Self.request("config"), now: start, counters: counters) {
                connection.reply(to: request, .success(.configuration([record])), now: start, counters: counters)
            }
        }
        ask()
        #expect(connection.disposition(at: start) == .open)
        ask()
        #expect(connection.disposition(at: start) == .close)
    }

    @Test("a client that takes nothing for 30 s is closed, one that takes a little is not")
    func stall() {
        var connection = ControlConnection()
        _ = connection.receive(Self.request("x"), now: start, counters: counters)
        #expect(connection.disposition(at: start + .seconds(29)) == .open)
        connection.didSend(1, now: start + .seconds(29))
        #expect(connection.disposition(at: start + .seconds(58)) == .open)
        #expect(connection.disposition(at: start + .seconds(59)) == .close)
        connection.didSend(connection.nextOutput().count, now: start + .seconds(59))
        #expect(connection.disposition(at: start + .seconds(900)) == .open)
    }

    @Test("after the client's last word it still gets its answers, then the connection closes")
    func halfClosed() {
        var connection = ControlConnection()
        let requests = connection.receive(
            Self.request("events") + Self.request("calls", id: "2"), now: start, counters: counters)
        connection.endInput()
        #expect(!connection.isSubscribed)
        _ = drain(&connection)
        #expect(connection.disposition(at: start) == .open)
        connection.reply(to: requests[0], .success(.calls([])), now: start, counters: counters)
        #expect(connection.disposition(at: start) == .open)
        #expect(drain(&connection).count == 1)
        #expect(connection.disposition(at: start) == .close)
    }

    @Test("output comes in order whatever the kernel takes of it", arguments: 1...40)
    func partialSends(step: Int) {
        var connection = ControlConnection()
        _ = connection.receive(Self.request("events"), now: start, counters: counters)
        var expected = connection.nextOutput()
        for index in 0..<200 {
            let event = Self.event(index)
            expected += event.line
            connection.send(event, now: start, counters: counters)
        }
        var sent: [UInt8] = []
        while connection.hasOutput {
            let chunk = connection.nextOutput(atMost: step * 7)
            sent += chunk.prefix(step)
            connection.didSend(min(step, chunk.count), now: start)
        }
        #expect(sent == expected)
    }

    @Test("damaged requests are answered or carried out, one outcome a line, and never stop the daemon")
    func damagedRequests() {
        var random = SeededRandom(seed: 25)
        let original = Array("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"records\",\"params\":{\"limit\":7,\"cause\":\"normal\"}}".utf8)
        for round in 0..<3_000 {
            var line = original
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                let place = Int.random(in: 0..<line.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: line[place] = UInt8.random(in: 11...255, using: &random)
                case 1: line.insert(line[Int.random(in: 0..<line.count, using: &random)], at: place)
                default: line.removeSubrange(place..<min(line.count, place + 3))
                }
            }
            var connection = ControlConnection()
            let requests = connection.receive(line + [0x0a], now: start, counters: counters)
            let answers = drain(&connection).count
            // A damaged `id` key makes a notification, which gets no answer.
            #expect(requests.count + answers <= 1, "round \(round)")
            #expect(counters[.controlRequests] == UInt64(round + 1))
        }
    }

    private static func request(_ method: String, id: String = "1") -> [UInt8] {
        Array("{\"jsonrpc\":\"2.0\",\"id\":\(id),\"method\":\"\(method)\"}\n".utf8)
    }

    private static func event(_ index: Int) -> EncodedEvent {
        EncodedEvent(Event(at: WallTime(milliseconds: Int64(index)), name: .callSetup, callID: "call\(index)"))
    }

    /// Sends all there is and returns it by lines.
    private func drain(_ connection: inout ControlConnection) -> [String] {
        var octets: [UInt8] = []
        while connection.hasOutput {
            let chunk = connection.nextOutput(atMost: 100)
            octets += chunk
            connection.didSend(chunk.count, now: start)
        }
        return String(decoding: octets, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
