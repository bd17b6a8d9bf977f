import Core
import Testing

@testable import Control

@Suite("One connection of a proxy")
struct NGConnectionTests {
    private let counters = CounterBlock()
    private let start = Instant(nanoseconds: 1_000_000_000)
    private func octets(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test("messages come out whole and in order, whatever way they were split", arguments: [1, 2, 7, 1_000])
    func messages(step: Int) {
        var connection = NGConnection()
        let messages = ["1 d7:command4:pinge", "2 {\"command\":\"ping\"}", "3 d7:command4:liste"]
        let stream = octets(messages.joined())
        var received: [[UInt8]] = []
        for start in stride(from: 0, to: stream.count, by: step) {
            received += connection.receive(Array(stream[start..<min(start + step, stream.count)]), counters: counters)
        }
        #expect(received == messages.map(octets))
        #expect(!connection.isOver(at: start))
    }

    @Test("out of step there is no way back: what came before is carried out, the connection closes, and it is counted")
    func framing() {
        var connection = NGConnection()
        #expect(connection.receive(octets("1 d7:command4:pinge2 x"), counters: counters).count == 1)
        #expect(connection.isOver(at: start))
        #expect(connection.receive(octets("3 d7:command4:pinge"), counters: counters).isEmpty)
        #expect(counters[.ngMalformed] == 1)
    }

    @Test("a client that reads no answers is closed at a megabyte, or after ten seconds")
    func slowClient() {
        var connection = NGConnection()
        connection.send([UInt8](repeating: 0, count: 1 << 20), now: start)
        #expect(!connection.isOver(at: start))
        connection.didSend(1, now: start + .seconds(9))
        #expect(!connection.isOver(at: start + .seconds(18)))
        #expect(connection.isOver(at: start + .seconds(19)))
        connection.send([0, 0], now: start + .seconds(9))
        #expect(connection.isOver(at: start + .seconds(9)))
    }

    @Test("a client that says no more gets its answer first; one that gets none is closed a second later")
    func farewell() {
        var connection = NGConnection()
        _ = connection.receive(octets("1 d7:command4:pinge2 d7:command4:pinge"), counters: counters)
        connection.endInput(now: start)
        #expect(!connection.isOver(at: start))
        connection.send(octets("1 d6:result4:ponge"), now: start)
        connection.didSend(connection.nextOutput().count, now: start)
        #expect(!connection.isOver(at: start + .milliseconds(999)))
        #expect(connection.isOver(at: start + .seconds(1)))

        connection.send(octets("2 d6:result4:ponge"), now: start)
        #expect(!connection.isOver(at: start), "the answer is not sent yet")
        connection.didSend(connection.nextOutput().count, now: start)
        #expect(connection.isOver(at: start))
    }
}
