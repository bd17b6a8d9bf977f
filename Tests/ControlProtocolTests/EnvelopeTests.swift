import Core
import FoundationEssentials
import Testing

@testable import ControlProtocol

@Suite("JSON-RPC 2.0 envelopes")
struct EnvelopeTests {
    @Test(
        "a line that is no request is refused with its own id where it has one",
        arguments: [
            ("nonsense", ControlError.Kind.parseError, RequestID.null, "JSON"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1", .parseError, .null, "JSON"),
            ("\u{0}\u{1}", .parseError, .null, "JSON"),
            ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}]", .invalidRequest, .null, "Batches"),
            ("  []", .invalidRequest, .null, "Batches"),
            ("42", .invalidRequest, .null, "object"),
            ("null", .invalidRequest, .null, "object"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\\ud800\"}", .invalidRequest, .number(1), "string"),
            ("\"status\"", .invalidRequest, .null, "object"),
            ("{}", .invalidRequest, .null, "jsonrpc"),
            ("{\"id\":3,\"method\":\"status\"}", .invalidRequest, .number(3), "jsonrpc"),
            ("{\"jsonrpc\":\"1.0\",\"id\":3,\"method\":\"status\"}", .invalidRequest, .number(3), "jsonrpc"),
            ("{\"jsonrpc\":\"2.0\",\"id\":\"a\"}", .invalidRequest, .string("a"), "method"),
            ("{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":7}", .invalidRequest, .number(4), "string"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"status\"}", .invalidRequest, .null, "id"),
            ("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"status\"}", .invalidRequest, .null, "id"),
            ("{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"status\"}", .invalidRequest, .null, "id"),
        ])
    func refusals(line: String, kind: ControlError.Kind, id: RequestID, word: String) throws {
        let refusal = try #require(throws: RequestEnvelope.Refusal.self) {
            _ = try RequestEnvelope(line: Array(line.utf8))
        }
        #expect(refusal.error.kind == kind)
        #expect(refusal.id == id)
        #expect(refusal.error.message.contains(word))
    }

    @Test(
        "an id comes back as it was sent",
        arguments: [
            ("\"id\":7,", RequestID.number(7)), ("\"id\":-1,", .number(-1)), ("\"id\":\"x\",", .string("x")),
            ("\"id\":\"7\",", .string("7")), ("\"id\":null,", .null), ("", nil),
        ] as [(String, RequestID?)])
    func identifiers(text: String, id: RequestID?) throws {
        let request = try RequestEnvelope(line: Array("{\"jsonrpc\":\"2.0\",\(text)\"method\":\"status\"}".utf8))
        #expect(request.id == id)
        #expect(request.method == "status")
    }

    @Test("deep nesting is refused, not followed until the stack ends")
    func deepNesting() {
        let depth = 30_000
        let params = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        let line = Array("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\",\"params\":\(params)}".utf8)
        #expect(throws: RequestEnvelope.Refusal.self) { _ = try RequestEnvelope(line: line) }
    }

    @Test(
        "each kind of error has its own code and keeps it and its name on the wire",
        arguments: zip(
            ControlError.Kind.allCases, [-32700, -32600, -32601, -32602, -32603, -32000, -32001, -32002, -32003]))
    func errorCodes(kind: ControlError.Kind, code: Int) throws {
        let error = ControlError(kind, "A sentence.")
        let line = ControlLine.error(error, to: .string("q"))
        let text = "{\"error\":{\"code\":\(code),\"data\":{\"name\":\"\(kind.rawValue)\"},\"message\":\"A sentence.\"},"
            + "\"id\":\"q\",\"jsonrpc\":\"2.0\"}\n"
        #expect(String(decoding: line, as: UTF8.self) == text)
        let message = try #require(ServerMessage(line: line.dropLast()))
        #expect(message.kind == .error(.string("q"), error))
    }

    @Test("responses, events and requests are one line each, whatever their text holds")
    func lines() throws {
        let event = Event(at: WallTime(milliseconds: 0), name: .callSetup, callID: "a\nb", fields: ["x": "\n\u{2028}"])
        let lines = [
            try ControlLine.response(to: .null, result: ["a\nb"]),
            try ControlLine.notification("event", params: event),
            try ControlLine.request(.call, id: .number(1), params: CallParameters(id: "\r\n")),
            try ControlLine.request(.status, id: .number(1)),
        ]
        for line in lines {
            #expect(line.firstIndex(of: 0x0a) == line.count - 1)
            #expect(ServerMessage(line: line.dropLast()) != nil)
        }
        #expect(try ServerMessage(line: lines[1].dropLast())?.params(as: Event.self) == event)
        #expect(!String(decoding: lines[3], as: UTF8.self).contains("params"))
    }

    @Test(
        "what is no JSON-RPC message of a server is not taken for one",
        arguments: ["", "{}", "[]", "HTTP/1.1 400 Bad Request", "{\"jsonrpc\":\"2.0\",\"id\":1}", "{\"jsonrpc\":2,\"result\":1}"])
    func nonsense(line: String) {
        #expect(ServerMessage(line: Array(line.utf8)) == nil)
    }

    @Test(
        "a misspelling finds the name that was meant, nonsense finds none",
        arguments: [
            ("statsu", "status"), ("Calls", "calls"), ("recrods", "records"), ("hang", "hangup"), ("event", "events"),
            ("configuration", "config"), ("zzzzzz", nil), ("", nil),
        ] as [(String, String?)])
    func suggestions(name: String, meant: String?) {
        #expect(closest(to: name, among: ControlMethod.allCases.map(\.rawValue)) == meant)
    }
}
