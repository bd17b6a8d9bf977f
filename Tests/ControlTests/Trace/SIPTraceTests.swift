import ControlProtocol
import Core
import Testing

@testable import Control

@Suite("The trace of SIP messages")
struct SIPTraceTests {
    static let local = SocketAddress("192.0.2.1:5060")!
    static let peer = SocketAddress("198.51.100.10:5060")!

    private func message(
        _ method: String = "OPTIONS", callID: String = "a", from: String = "1001", to: String = "2002", body: String = ""
    ) -> [UInt8] {
        Array(
            """
            \(method) sip:\(to)@192.0.2.1 SIP/2.0\r
            Via: SIP/2.0/UDP 198.51.100.10;branch=z9hG4bK1\r
            From: <sip:\(from)@a.example>;tag=1\r
            To: <sip:\(to)@b.example>\r
            Call-ID: \(callID)\r
            CSeq: 1 \(method)\r
            Content-Length: \(body.utf8.count)\r
            \r
            \(body)
            """.utf8)
    }

    private func record(_ octets: [UInt8], in trace: SIPTrace, peer: SocketAddress = SIPTraceTests.peer, at time: Int64 = 0) {
        trace.record(octets.span, .received, peer: peer, local: Self.local, microseconds: time)
    }

    private func filled(_ messages: [[UInt8]]) throws -> SIPTrace {
        let trace = try SIPTrace(octets: 1 << 20)
        for (index, message) in messages.enumerated() { record(message, in: trace, at: Int64(index)) }
        return trace
    }

    private func query(_ adjust: (inout TraceQuery) -> Void) -> TraceQuery {
        var query = TraceQuery()
        adjust(&query)
        return query
    }

    @Test("a message comes back with its octets, time, direction and addresses")
    func whole() throws {
        let trace = try SIPTrace(octets: 1 << 20)
        let octets = message(body: "\u{0}binary\r\n")
        trace.record(octets.span, .sent, peer: Self.peer, local: Self.local, transport: .tls, microseconds: 1_800_000_000_123_456)
        let found = try #require(try trace.page(TraceQuery()).messages.first)
        #expect(found.text == String(decoding: octets, as: UTF8.self))
        #expect(found.microseconds == 1_800_000_000_123_456)
        #expect(found.direction == .sent && found.transport == "TLS")
        #expect(found.peer == Self.peer && found.local == Self.local)
        #expect(found.text(TextStyle(width: 80)).hasPrefix("2027-01-15 08:00:00.123456  sent  TLS 192.0.2.1:5060 > 198.51.100.10:5060\nOPTIONS sip:2002@192.0.2.1 SIP/2.0\n"))
    }

    @Test("what was noted is there as soon as somebody looks, in its order, also before what is recorded at once")
    func noted() throws {
        let trace = try SIPTrace(octets: 1 << 20)
        func note(_ text: String, at time: Int64) {
            trace.note(Array(text.utf8), .received, peer: Self.peer, local: Self.local, transport: .tcp, microseconds: time)
        }
        note("one", at: 1)
        note("two", at: 2)
        record(Array("three".utf8), in: trace, at: 3)
        note("four", at: 4)
        #expect(trace.next == 4)
        trace.settle()
        #expect(trace.next == 4 && trace.oldest == 0)
        let kept = try (0..<4).map { try #require(trace.header(of: $0)) }
        #expect(kept.map { trace.octets(of: $0) } == ["one", "two", "three", "four"].map { Array($0.utf8) })
        #expect(kept.map(\.microseconds) == [1, 2, 3, 4])
        #expect(kept[0].transport == .tcp && kept[2].transport == .udp)
        note("five", at: 5)
        #expect(try trace.page(TraceQuery()).messages.map(\.text) == ["one", "two", "three", "four", "five"])
        note("six", at: 6)
        #expect(trace.search(from: 5, TraceFilter()).found.map(\.number) == [5])
    }

    @Test("the newest messages are there, whole, whatever sizes came before, and never more than the memory holds")
    func dropsOldest() throws {
        let capacity = 16_384
        let trace = try SIPTrace(octets: capacity)
        var random = SeededRandom(seed: 11)
        var written: [[UInt8]] = []
        for number in 0..<2_000 {
            let octets = (0..<Int.random(in: 0...3_000, using: &random)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) }
            trace.record(octets.span, .received, peer: Self.peer, local: Self.local, microseconds: Int64(number))
            written.append(octets)
            #expect(trace.next == UInt64(number + 1))
            var kept = 0
            for present in trace.oldest..<trace.next {
                let header = try #require(trace.header(of: present))
                #expect(trace.octets(of: header) == written[Int(present)])
                #expect(header.microseconds == Int64(present))
                kept += header.count
            }
            #expect(kept <= capacity)
            // What is pushed out makes room for one message and, at the end of the memory, for what is left unused there.
            if number > 200, trace.next - trace.oldest < 30 { #expect(kept > capacity / 3) }
        }
        #expect(trace.header(of: trace.oldest - 1) == nil)
        #expect(trace.header(of: trace.next) == nil)
    }

    @Test("a message larger than the memory is not kept and does no harm")
    func tooLarge() throws {
        let trace = try SIPTrace(octets: 4_096)
        record([UInt8](repeating: 65, count: 8_000), in: trace)
        record(message(), in: trace)
        #expect(try trace.page(TraceQuery()).messages.count == 1)
    }

    @Test("filters: number with or without +, Call-ID, method, address, time")
    func filters() throws {
        let other = SocketAddress("203.0.113.9:5080")!
        let trace = try filled([
            message("INVITE", callID: "one", from: "+4930111", to: "4420222"), message("REGISTER", callID: "two", from: "4930111"),
            message("OPTIONS", callID: "one-and-more", from: "493011", to: "49301112"),
        ])
        record(message("BYE", callID: "three"), in: trace, peer: other, at: 2_000_000_000_000_000)
        func numbers(_ adjust: (inout TraceQuery) -> Void) throws -> [UInt64] { try trace.page(query(adjust)).messages.map(\.number) }
        #expect(try numbers { $0.number = "4930111" } == [0, 1])
        #expect(try numbers { $0.number = "+4930111" } == [0, 1])
        #expect(try numbers { $0.number = "4420222" } == [0])
        #expect(try numbers { $0.callIDs = ["one"] } == [0])
        #expect(try numbers { $0.callIDs = ["one", "two"] } == [0, 1])
        #expect(try numbers { $0.method = "register" } == [1])
        #expect(try numbers { $0.address = "203.0.113.9" } == [3])
        #expect(try numbers { $0.address = "203.0.113.9:5080" } == [3])
        #expect(try numbers { $0.address = "203.0.113.9:5060" }.isEmpty)
        #expect(try numbers { $0.since = WallTime(milliseconds: 1_900_000_000_000) } == [3])
        #expect(throws: ControlError.self) { try trace.page(query { $0.address = "carrier" }) }
    }

    @Test("what is no SIP is shown too, unless a filter knows better")
    func malformed() throws {
        let trace = try filled([Array("hello 4930111".utf8), message(), [0xff, 0xfe]])
        #expect(try trace.page(TraceQuery()).messages.map(\.number) == [0, 1, 2])
        #expect(try trace.page(query { $0.number = "4930111" }).messages.map(\.number) == [0])
        #expect(try trace.page(TraceQuery()).messages.last?.hexadecimal == "fffe")
    }

    @Test("a long look-back comes in pages that together are everything, once, in order")
    func pages() throws {
        let trace = try filled((0..<1_000).map { message(callID: $0 % 3 == 0 ? "x" : "y") })
        var query = query { $0.callIDs = ["x"] }
        query.limit = 50
        var seen: [UInt64] = []
        var pages = 0
        repeat {
            let page = try trace.page(query)
            #expect(page.messages.count <= 50)
            seen = page.messages.map(\.number) + seen
            query.before = page.older
            pages += 1
        } while query.before != nil
        #expect(seen == (0..<1_000).filter { $0 % 3 == 0 }.map(UInt64.init))
        #expect(pages == 7)
    }

    @Test("a search ends after its effort, found or not, and goes on from there")
    func effort() throws {
        let trace = try filled((0..<1_000).map { message(callID: $0 == 0 ? "x" : "y") })
        var effort = SIPTrace.Effort()
        effort.headers = 300
        let first = trace.search(before: trace.next, TraceFilter(callIDs: ["x"]), effort)
        #expect(first.found.isEmpty && first.next == 700)
        #expect(trace.search(before: 300, TraceFilter(callIDs: ["x"]), effort).found.map(\.number) == [0])
    }

    @Test("following shows each message once, and says how many were overwritten meanwhile")
    func follows() throws {
        let trace = try SIPTrace(octets: 8_192)
        record(message(), in: trace)
        let start = try trace.page(TraceQuery()).newer
        for _ in 0..<3 { record(message(), in: trace) }
        let page = try trace.page(query { $0.from = start })
        #expect(page.messages.map(\.number) == [1, 2, 3] && !page.hasNewer && page.missed == 0)
        for _ in 0..<100 { record(message(), in: trace) }
        let late = try trace.page(query { $0.from = page.newer })
        #expect(late.missed > 0 && late.messages.first?.number == 4 + late.missed)
        #expect(late.messages.last?.number == 103)
        #expect(try trace.page(query { $0.from = 1_000_000 }).messages.last?.number == 103)  // the daemon was started anew
    }
}
