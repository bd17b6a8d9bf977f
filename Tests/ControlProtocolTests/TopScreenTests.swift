import Core
import Testing

@testable import ControlProtocol

@Suite("The live screen")
struct TopScreenTests {
    @Test("it looks as in the golden files", arguments: [(80, 24), (200, 50)])
    func golden(width: Int, height: Int) throws {
        var screen = busyScreen()
        let style = TextStyle(width: width)
        try expectGolden(text(&screen, height: height, style), "top.\(width)x\(height).txt")
        _ = screen.press(.character("x"))
        try expectGolden(text(&screen, height: height, style), "top.confirm.\(width)x\(height).txt")
    }

    @Test("whatever the size, it keeps inside it", arguments: [(20, 5), (40, 10), (80, 24), (81, 25), (300, 100)])
    func fits(width: Int, height: Int) {
        var screen = busyScreen()
        for key in [TopScreen.Key.character("d"), .character("/"), .character("4"), .enter, .character("x")] {
            _ = screen.press(key)
            let lines = screen.lines(height: height, TextStyle(width: width))
            #expect(lines.count <= height)
            // A table has a least width; the terminal does not wrap what is beyond.
            for line in lines where width >= 80 { #expect(line.count <= width, "\(line)") }
        }
    }

    @Test("a call is ended only after y to the question, and the question names it")
    func hangUp() {
        var screen = busyScreen()
        #expect(screen.press(.character("x")) == nil)
        #expect(screen.mode == .confirming(id: "k3f2a9c1"))
        #expect(text(&screen).contains("End call k3f2a9c1 from 493012345678 to 442079460123 on both sides? y/n"))
        #expect(screen.press(.character("n")) == nil)
        #expect(screen.mode == .list)
        #expect(text(&screen).contains("goes on"))
        _ = screen.press(.down)
        _ = screen.press(.character("x"))
        #expect(screen.press(.character("y")) == .hangUp(id: "p81xzz07"))
    }

    @Test("a call that ends while the question is up takes the question with it")
    func endsMeanwhile() {
        var screen = busyScreen()
        _ = screen.press(.character("x"))
        screen.update(Samples.metrics, calls: Array(Samples.calls.dropFirst()), seconds: 3)
        #expect(screen.mode == .list)
        #expect(screen.press(.character("y")) == nil)
        #expect(screen.selected == "p81xzz07")
    }

    @Test("the selection stays with its call when the order changes, and at its place when the call ends")
    func selection() {
        var screen = busyScreen()
        _ = screen.press(.down)
        screen.update(Samples.metrics, calls: Samples.calls.reversed(), seconds: 2)
        #expect(screen.selected == "p81xzz07")
        screen.update(Samples.metrics, calls: [Samples.calls[2], Samples.calls[0]], seconds: 3)
        #expect(screen.selected == "00qrstuv" || screen.selected == "k3f2a9c1")
        _ = screen.press(.end)
        #expect(screen.selected == "k3f2a9c1")
        _ = screen.press(.pageUp)
        #expect(screen.selected == "00qrstuv")
    }

    @Test("letters go into the filter until Return, Escape clears it, and q then quits")
    func filter() {
        var screen = busyScreen()
        #expect(screen.press(.character("/")) == nil)
        #expect(screen.press(.character("q")) == .refresh)
        #expect(screen.press(.backspace) == .refresh)
        #expect(screen.press(.character("4")) == .refresh)
        #expect(screen.filter == "4")
        #expect(screen.press(.enter) == nil)
        #expect(screen.press(.escape) == .refresh)
        #expect(screen.filter.isEmpty)
        #expect(screen.press(.character("s")) == .refresh && screen.order == .silence)
        #expect(screen.press(.character("q")) == .quit)
    }

    @Test("rates come from two answers, and not from a daemon that was started anew")
    func rates() {
        var screen = TopScreen()
        #expect(text(&screen).contains("Asking relayd"))
        screen.update(Samples.metrics, calls: [], seconds: 10)
        #expect(!text(&screen).contains("/s"))
        var later = Samples.metrics
        later.status.calls.attempted += 30
        later.status.workers[0].packetsReceived += 200_000
        screen.update(later, calls: [], seconds: 12)
        #expect(text(&screen).contains("15 new/s"))
        #expect(text(&screen).contains("Packets 100000/s"))
        screen.update(Samples.metrics, calls: [], seconds: 14)
        #expect(!text(&screen).contains("new/s"))
    }

    @Test("long lists scroll with the selection")
    func scrolling() {
        var screen = TopScreen()
        let calls = (0..<500).map { number in
            var call = Samples.calls[0]
            call.id = "call\(number)"
            return call
        }
        screen.update(Samples.metrics, calls: calls, seconds: 1)
        #expect(text(&screen).contains("call0 "))
        _ = screen.press(.end)
        #expect(text(&screen).contains("> call499") || text(&screen).contains(">  call499"))
        _ = screen.press(.home)
        #expect(text(&screen).contains("call0 "))
        #expect(text(&screen).contains("1/500"))
    }

    @Test(
        "keys are read from what terminals send, in one piece or several",
        arguments: [
            ("q", [TopScreen.Key.character("q")]), ("\u{1b}[A\u{1b}[B", [.up, .down]), ("\u{1b}OA", [.up]),
            ("\u{1b}[5~\u{1b}[6~", [.pageUp, .pageDown]), ("\u{1b}", [.escape]), ("\r", [.enter]), ("\u{7f}", [.backspace]),
            ("é4", [.character("é"), .character("4")]), ("\u{1b}[1;5C", []), ("\u{1}\u{2}", []),
        ])
    func keys(text: String, expected: [TopScreen.Key]) {
        var whole = KeyDecoder()
        #expect(whole.keys(in: Array(text.utf8), isPause: true) == expected)
        var pieces = KeyDecoder()
        var keys: [TopScreen.Key] = []
        for octet in text.utf8 { keys += pieces.keys(in: [octet], isPause: false) }
        keys += pieces.keys(in: [], isPause: true)
        #expect(keys == expected)
    }

    private func busyScreen() -> TopScreen {
        var screen = TopScreen()
        screen.update(Samples.metrics, calls: Samples.calls, seconds: 1)
        return screen
    }

    private func text(_ screen: inout TopScreen, height: Int = 24, _ style: TextStyle = TextStyle(width: 80)) -> String {
        screen.lines(height: height, style).map { $0 + "\n" }.joined()
    }
}
