import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("the NG protocol over streams", .inTurn, .serialized)
struct NGStreamTests {
    enum Transport: String, CaseIterable, CustomTestStringConvertible {
        case tcp, unix

        var testDescription: String { rawValue }
    }

    @Test("a call is made on one connection and ended on another, in both formats", arguments: Transport.allCases)
    func call(over transport: Transport) async throws {
        try await serve(over: transport) { bed, connect in
            let first = try connect()
            let second = try connect()
            let offer = try ask(first, "1 ", request("offer", ["from-tag": "a", "sdp": sdp(bed.host, port: 30_000)]))
            let relayed = try #require(offer["sdp"])
            #expect(relayed.contains("c=IN IP4 \(bed.host)") && !relayed.contains("m=audio 30000"))
            let answer = try ask(
                first, "2 ", request("answer", ["from-tag": "a", "to-tag": "b", "sdp": sdp(bed.host, port: 30_002)]))
            #expect(answer["result"] == "ok")
            #expect(try bed.daemon.control.calls().map(\.state) == [.connected])

            try second.send("3 d7:call-id4:call7:command6:delete12:delete-delayi0ee")
            #expect(try second.receive(3) == "3 d")
            try await eventually("the call is gone") { try bed.daemon.control.calls().isEmpty }
        }
    }

    @Test("answers go where they belong, whatever way messages are cut and joined", arguments: Transport.allCases)
    func framing(over transport: Transport) async throws {
        try await serve(over: transport) { _, connect in
            let first = try connect()
            let second = try connect()
            try first.send("a d7:comm")
            try second.send("b {\"command\": \"ping\"}\nc d7:command4:pinge")
            let pong = "b {\"result\":\"pong\"}c d6:result4:ponge"
            #expect(try second.receive(pong.utf8.count) == pong)
            try first.send("and4:pinge")
            #expect(try first.receive(18) == "a d6:result4:ponge")
            // As a script does: it asks, says no more, and reads to the end.
            let script = try connect()
            try script.send("d d7:command4:pinge")
            script.endOutput()
            #expect(try script.receive() == "d d6:result4:ponge")
        }
    }

    @Test("what is no NG message closes its connection and no other", arguments: Transport.allCases)
    func garbage(over transport: Transport) async throws {
        try await serve(over: transport) { bed, connect in
            let good = try connect()
            let bad = try connect()
            try bad.send("GET / HTTP/1.1\r\n\r\n")
            #expect(try bad.receive() == "")
            #expect(try bed.daemon.control.counter(.ngMalformed) == 1)
            try good.send("a d7:command4:pinge")
            #expect(try good.receive(18) == "a d6:result4:ponge")
        }
    }

    @Test("there is a limit of connections: one more is closed and counted, and a freed place is taken again")
    func limit() async throws {
        try await serve(over: .unix) { bed, connect in
            var connections: [StreamPeer] = []
            for _ in 0..<64 {
                let connection = try connect()
                try connection.send("a d7:command4:pinge")
                #expect(try connection.receive(18) == "a d6:result4:ponge")
                connections.append(connection)
            }
            #expect(try connect().receive() == "")
            #expect(try bed.daemon.control.counter(.ngConnectionsRefused) == 1)
            connections.removeLast()
            try await eventually("a place is free") {
                let connection = try connect()
                try? connection.send("a d7:command4:pinge")
                return try connection.receive(18) == "a d6:result4:ponge"
            }
        }
    }

    @Test("status says where it is served; the unix socket is for owner and group, and goes with the daemon")
    func status() async throws {
        let directory = try TemporaryDirectory("ng")
        defer { directory.remove() }
        let path = directory.file("run/ng.sock")
        try await Testbed.with { settings in
            settings.ng = [
                "listen = \"\(settings.listen.ip):2223\"", "tcp = \"\(settings.listen.ip):2224\"", "socket = \"\(path)\"",
            ]
        } body: { bed in
            let served = ["udp:\(bed.host):2223", "tcp:\(bed.host):2224", "unix:\(path)"]
            #expect(try bed.daemon.control.status().ngAddresses == served)
            let text = try await bed.daemon.relayctl(["status"]).output
            for address in served { #expect(text.contains(address)) }
            #expect(try permissions(path) == 0o660)
            #expect(try permissions(directory.file("run")) == 0o750)
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    // MARK: Helpers

    private func serve(
        over transport: Transport, body: (Testbed, () throws -> StreamPeer) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory("ng")
        defer { directory.remove() }
        let path = directory.file("ng.sock")
        try await Testbed.with { settings in
            settings.ng = [transport == .tcp ? "tcp = \"\(settings.listen.ip):2224\"" : "socket = \"\(path)\""]
        } body: { bed in
            try await body(bed) {
                switch transport {
                case .tcp: try StreamPeer(connectingTo: SocketAddress(ip: bed.host, port: 2224))
                case .unix: try StreamPeer(connectingTo: path)
                }
            }
        }
    }

    private func permissions(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }
}

/// A request about the call `call`, in JSON.
func request(_ command: String, _ keys: [String: String]) throws -> String {
    let data = try JSONEncoder().encode(keys.merging(["command": command, "call-id": "call"]) { key, _ in key })
    return String(decoding: data, as: UTF8.self)
}

/// Sends a request in JSON and reads its whole answer.
func ask(_ peer: StreamPeer, _ cookie: String, _ request: String) throws -> [String: String] {
    try peer.send(cookie + request)
    var answer = ""
    while true {
        let next = try peer.receive(1)
        try #require(!next.isEmpty, "closed after \(answer)")
        answer += next
        guard next == "}", answer.hasPrefix(cookie) else { continue }
        if let keys = try? JSONDecoder().decode([String: String].self, from: Data(answer.utf8.dropFirst(cookie.utf8.count))) {
            return keys
        }
    }
}

func sdp(_ host: IPAddress, port: UInt16) -> String {
    "v=0\r\no=- 1 1 IN IP4 \(host)\r\ns=-\r\nc=IN IP4 \(host)\r\nt=0 0\r\nm=audio \(port) RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
}
