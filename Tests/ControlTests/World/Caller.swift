import Core
import SIP

/// The calling user agent of one call.
final class Caller: Peer {
    let callID: String
    let number: String
    private(set) var statuses: [Int] = []
    private(set) var finalStatus: Int?
    private(set) var answer: SIPMessage?
    private(set) var byesReceived = 0
    private(set) var hasHungUp = false
    private(set) var hangUpStatus: Int?
    private var hasVanished = false
    private(set) var pracked: Set<Int> = []
    private var cancelStatus: Int?
    private let tag: String
    private var branch: String
    private var toTag: String?
    private var target = "sip:relayd@\(SimulatedWorld.relayd)"

    init(world: SimulatedWorld, number: String, script: CallScript) {
        self.number = number
        callID = world.random.token(count: 16) + "@a.example"
        tag = world.random.token(count: 8)
        branch = "z9hG4bK" + world.random.token(count: 12)
        super.init(
            world: world, name: "ada", sequence: 1, address: SimulatedWorld.callerAddress, media: SocketAddress("198.51.100.11:40000")!, script: script)
    }

    func start() {
        send(invite(), until: { [self] in hasVanished || !statuses.isEmpty })
        if let delay = script.cancelDelay { world.plan(after: delay) { [self] in cancel() } }
        if let delay = script.vanishDelay { world.plan(after: delay) { [self] in vanish() } }
    }

    func vanish() {
        hasVanished = true
        stopMedia()
    }

    private func invite() -> [UInt8] {
        var builder = request(.invite, sequence: 1)
        builder.add(.contact, "<sip:ada@\(address)>")
        builder.add(name: "X-Caller", callID)
        for (name, value) in script.offerHeaders { builder.add(name: name, value) }
        if let name = script.callerReliability { builder.add(name, "100rel") }
        guard script.offers else { return builder.finish() }
        return builder.finish(body: description(lines: script.offerMedia, title: "Ada calls"), contentType: "application/sdp")
    }

    func request(_ method: Method, sequence: Int, branch: String? = nil) -> MessageBuilder {
        var builder = MessageBuilder(
            request: method, uri: toTag == nil || method == .cancel ? "sip:\(number)@192.0.2.1" : target)
        builder.add(.via, "SIP/2.0/UDP \(address);branch=\(branch ?? self.branch);rport")
        builder.add(.from, "\"Ada\" <sip:4930@a.example>;tag=\(tag)")
        builder.add(.to, "<sip:\(number)@b.example>\(toTag.map { method == .cancel ? "" : ";tag=\($0)" } ?? "")")
        builder.add(.callID, callID)
        builder.add(.cseq, "\(sequence) \(method.text)")
        builder.add(.maxForwards, "70")
        return builder
    }

    override var isOver: Bool { hasVanished || hasHungUp || byesReceived > 0 }

    override func inDialog(_ method: Method, sequence: Int, branch: String? = nil) -> MessageBuilder {
        request(method, sequence: sequence, branch: branch ?? newBranch())
    }

    /// The caller's Call-ID in an INVITE that was placed for it: relayd passes on headers it does not know.
    static func callID(named invite: SIPMessage) -> String? {
        invite.headers.first { invite.nameText($0) == "X-Caller" }.map { invite.text($0) }
    }

    func newBranch() -> String { "z9hG4bK" + world.random.token(count: 12) }

    func receive(_ message: SIPMessage) {
        guard !hasVanished else { return }
        if message.isRequest {
            guard message.method == .bye else { return receiveMidDialog(request: message) }
            byesReceived += 1
            stopMedia()
            return send(respond(200, to: message, tag: nil))
        }
        if receiveMidDialog(response: message) { return }
        guard let status = message.status else { return }
        switch message.method {
        case .invite where message.cseq.number == 1: receiveResponse(status, message)
        case .bye: hangUpStatus = status
        case .cancel: cancelStatus = status
        default: break
        }
    }

    private func receiveResponse(_ status: Int, _ message: SIPMessage) {
        statuses.append(status)
        if let tag = message.toTag, status > 100 { toTag = String(decoding: tag, as: UTF8.self) }
        if let contact = message.contact { target = contact.uri.text }
        if status < 200, message.hasToken("100rel", in: .require), let sequence = message.number(.rseq), script.acknowledgesReliably,
            pracked.insert(sequence).inserted
        {
            acknowledge(message, sequence)
        }
        if status > 100, status < 200 { planEarlyUpdate() }
        guard status >= 200 else { return }
        let isFirst = finalStatus == nil
        finalStatus = finalStatus ?? status
        if status >= 300 {
            return send(request(.ack, sequence: 1).finish())
        }
        if isFirst {
            answer = message
            if let title = MidDialog.title(of: message.body) {
                midDialog.ownTitle = "Ada calls"
                midDialog.remoteTitle = title
            }
        }
        guard script.acknowledges else { return }
        let ack = request(.ack, sequence: 1, branch: newBranch())
        let isAnswering = !script.offers && !script.forgetsAnswer && !message.body.isEmpty
        send(isAnswering ? ack.finish(body: description(lines: script.offerMedia, title: "Ada calls"), contentType: "application/sdp") : ack.finish())
        guard isFirst else { return }
        if script.callerSendsMedia { startMedia(to: message.body, for: script.callerMediaDuration) }
        planChanges()
        if let hangUp = script.hangUp, hangUp.leg == .caller { world.plan(after: hangUp.delay) { [self] in self.hangUp() } }
    }

    /// PRACK: with the answer where the response made the offer, or with an offer where the script says so.
    private func acknowledge(_ response: SIPMessage, _ sequence: Int) {
        let headers = [("RAck", "\(sequence) 1 INVITE")]
        guard let title = MidDialog.title(of: response.body) else { return _ = ask(.prack, headers: headers) }
        midDialog.remoteTitle = title
        let answers = !script.offers && !script.forgetsAnswer && midDialog.ownTitle.isEmpty
        if answers {
            midDialog.ownTitle = "Ada answers"
            ask(.prack, offer: "", title: "Ada answers", headers: headers)
            if script.callerSendsMedia { startMedia(to: response.body, for: script.callerMediaDuration) }
        } else {
            if script.offers { midDialog.ownTitle = "Ada calls" }
            ask(.prack, offer: script.offersInPRACK && script.offers ? "" : nil, headers: headers)
        }
    }

    /// Not before a provisional response (RFC 3261 §9.1).
    func cancel() {
        guard finalStatus == nil, !hasVanished else { return }
        guard !statuses.isEmpty else { return world.plan(after: .milliseconds(200)) { [self] in cancel() } }
        send(request(.cancel, sequence: 1).finish(), until: { [self] in hasVanished || cancelStatus != nil })
    }

    func hangUp() {
        guard !hasVanished, byesReceived == 0, !hasHungUp else { return }
        hasHungUp = true
        stopMedia()
        send(
            request(.bye, sequence: nextSequence(), branch: newBranch()).finish(),
            until: { [self] in hasVanished || hangUpStatus != nil })
    }
}
