import Core
import SIP

/// What caller and callee have in common: a simple user agent's sending and repeating, on the world's clock.
class Peer {
    unowned let world: SimulatedWorld
    let address: SocketAddress
    let media: SocketAddress
    let script: CallScript
    var flow: WorkerStub.Flow?
    let midDialog = MidDialog()
    let name: String
    private var sequence: Int

    /// - Parameter sequence: the CSeq number of its last request so far.
    init(
        world: SimulatedWorld, name: String, sequence: Int, address: SocketAddress, media: SocketAddress, script: CallScript
    ) {
        self.name = name
        self.sequence = sequence
        self.world = world
        self.address = address
        self.media = media
        self.script = script
    }

    func nextSequence() -> Int {
        sequence += 1
        return sequence
    }

    /// It has nothing more to say.
    var isOver: Bool { preconditionFailure("each side knows its own end") }

    /// Begins a request inside the dialog.
    func inDialog(_ method: Method, sequence: Int, branch: String? = nil) -> MessageBuilder {
        preconditionFailure("each side has its own From and To")
    }

    func send(_ octets: [UInt8]) { world.transmit(octets, from: address, to: SimulatedWorld.relayd) }

    /// Sends now, then 0.5 s later, twice that, … at most every 4 s, until `isDone` or for 32 s.
    func send(_ octets: [UInt8], until isDone: @escaping () -> Bool, givenUp: @escaping () -> Void = {}) {
        send(octets)
        let end = world.now + .seconds(32)
        func again(after interval: Duration) {
            world.plan(after: interval) { [self] in
                if isDone() { return }
                guard world.now < end else { return givenUp() }
                send(octets)
                again(after: min(interval * 2, .seconds(4)))
            }
        }
        again(after: .milliseconds(500))
    }

    func respond(
        _ status: Int, to request: SIPMessage, tag: String?, headers: [(String, String)] = [], body: [UInt8]? = nil
    ) -> [UInt8] {
        var builder = MessageBuilder.response(
            to: request, status: status, toTag: tag, source: SimulatedWorld.relayd)
        if request.method == .invite || request.method == .update, status > 100, status < 300 {
            builder.add(.contact, "<sip:\(name)@\(address)>")
        }
        for (name, value) in headers { builder.add(name: name, value) }
        guard let body else { return builder.finish() }
        return builder.finish(body: body, contentType: "application/sdp")
    }

    /// A description of one audio medium, or of what `lines` say.
    func description(lines: String? = nil, title: String) -> [UInt8] {
        let media = lines ?? "m=audio \(media.port) RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        return Array(
            ("v=0\r\no=- 1 1 IN IP4 \(self.media.ip)\r\ns=\(title)\r\nc=IN IP4 \(self.media.ip)\r\nt=0 0\r\n" + media
                + "a=ptime:20\r\na=x-kept:yes\r\n").utf8)
    }

    /// An answer to an offer of several media that takes each that is offered; nil for an offer of one.
    func mirrored(_ offer: ArraySlice<UInt8>) -> String? {
        guard let offered = (try? SessionDescription(parsing: offer))?.media, offered.count > 1 else { return nil }
        return offered.enumerated().map { index, medium in
            let port = medium.port == 0 ? 0 : Int(media.port) + 2 * index
            return "m=\(medium.kind) \(port) \(medium.transport) \(medium.formats.joined(separator: " "))\r\n"
        }.joined()
    }

    func startMedia(to body: ArraySlice<UInt8>, for duration: Duration?) {
        guard flow == nil, let description = try? SessionDescription(parsing: body),
            let port = description.media.first?.port, port != 0
        else { return }
        let flow = world.worker.startFlow(to: port, at: world.now)
        flow.end = duration.map { world.now + $0 }
        self.flow = flow
    }

    /// Goes on sending where it sent before.
    func restartMedia() { flow = flow.map { world.worker.startFlow(to: $0.port, at: world.now) } }

    func stopMedia() { flow?.end = min(flow?.end ?? world.now, world.now) }
}
