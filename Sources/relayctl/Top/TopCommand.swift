import ArgumentParser
import ControlProtocol
import Glibc

struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "A live screen of calls and trunks, from which calls can be ended.",
        discussion: """
            d, s, m, c, n sort by duration, silence, MOS, caller and called number; / filters; the arrows choose a call; \
            x ends it after a question; q quits.
            """)
    @OptionGroup var global: GlobalOptions

    @Option(help: ArgumentHelp("Seconds between two looks.", valueName: "seconds"))
    var interval = 1.0

    @Flag(help: "Print one screen and end, without a terminal too.")
    var once = false

    func validate() throws {
        guard (0.2...60).contains(interval) else { throw ValidationError("--interval must be from 0.2 to 60.") }
        if global.json { throw ValidationError("top is for people: use calls --json, metrics --json.") }
    }

    func run() throws {
        var screen = TopScreen()
        if once {
            var client = try global.connect()
            try refresh(&screen, &client, limit: 200)
            let style = Console.style
            return Console.write(screen.lines(height: 240, style).map { $0 + "\n" }.joined())
        }
        // Before the screen is taken: without a daemon there is only a sentence to show.
        var link: Link? = Link(client: try global.connect())
        guard let terminal = Terminal() else {
            throw ValidationError("top needs a terminal; --once prints one screen without.")
        }
        var keys = KeyDecoder()
        var dueAt = 0.0
        while true {
            let size = terminal.size
            let now = Self.seconds
            if now >= dueAt {
                look(&screen, &link, limit: max(size.height, 50))
                dueAt = now + interval
            }
            var style = Console.style
            style.width = size.width
            terminal.show(screen.lines(height: size.height, style))
            let wait = Int32(max(10, min(interval, dueAt - Self.seconds) * 1_000))
            guard let octets = terminal.read(milliseconds: wait) else { return }
            var pressed = keys.keys(in: octets, isPause: octets.isEmpty || octets == [0x1b])
            if octets.isEmpty { pressed += keys.keys(in: [], isPause: true) }
            for key in pressed {
                switch screen.press(key) {
                case .quit: return
                case .refresh: dueAt = 0
                case .hangUp(let id):
                    hangUp(id, &screen, &link)
                    dueAt = 0
                case nil: break
                }
            }
        }
    }

    /// A client is not copied; this is where there is one or none.
    private struct Link: ~Copyable {
        var client: ControlClient
    }

    private func refresh(_ screen: inout TopScreen, _ client: inout ControlClient, limit: Int) throws(ControlClientError) {
        let snapshot = try client.metrics()
        let query = CallsQuery(order: screen.order, match: screen.filter.isEmpty ? nil : screen.filter, limit: limit)
        screen.update(snapshot, calls: try client.calls(query), seconds: Self.seconds)
    }

    /// A daemon that is gone may come back: it is looked for again each time.
    private func look(_ screen: inout TopScreen, _ link: inout Link?, limit: Int) {
        do throws(ControlClientError) {
            if link == nil { link = Link(client: try global.connect()) }
            try refresh(&screen, &link!.client, limit: limit)
            if screen.notice?.isBad == true { screen.notice = nil }
        } catch {
            link = nil
            screen.notice = (error.sentence, true)
        }
    }

    private func hangUp(_ id: String, _ screen: inout TopScreen, _ link: inout Link?) {
        do throws(ControlClientError) {
            if link == nil { link = Link(client: try global.connect()) }
            try link!.client.hangup(id: id)
            screen.notice = ("Call \(id) is being ended.", false)
        } catch {
            if case .refused = error {} else { link = nil }
            screen.notice = (error.sentence, true)
        }
    }

    private static var seconds: Double {
        var time = timespec()
        // SAFETY: the kernel fills in the structure during the call.
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
