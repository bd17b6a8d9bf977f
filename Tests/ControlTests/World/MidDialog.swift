import Core
import SIP

/// What a user agent does inside its dialog once the call is up: it changes the session, and answers changes of the other
/// side's.
final class MidDialog {
    /// What it does with a re-INVITE or an UPDATE that comes.
    enum Reply {
        /// 200, with a description.
        case accept
        case refuse(Int)
        /// Nothing, ever.
        case silence
        /// 200 after so long, when no CANCEL came before.
        case acceptLater(Duration)
    }

    /// A request of its own that waits for an answer or has one.
    final class Request {
        let message: SIPMessage
        let title: String?
        var provisionals: [Int] = []
        var response: SIPMessage?
        /// Whether its 2xx gets an ACK.
        var acknowledges = true
        var acknowledgement: [UInt8] = []
        var finalCount = 0

        var status: Int? { response?.status }

        init(_ message: SIPMessage, title: String?) {
            self.message = message
            self.title = title
        }
    }

    var reply = Reply.accept
    /// These are refused, whatever `reply` says.
    var refusedMethods: [Method: Int] = [:]
    /// Further lines of its 2xx to INVITE and UPDATE.
    var headers: [(String, String)] = []
    /// The answers' lines from `m=` on; nil for the usual.
    var answerLines: String?
    /// Requests that came, without repetitions.
    var received: [SIPMessage] = []
    var sent: [Request] = []
    /// The `s=` lines of the descriptions that count: its own, and the one it has from the other side.
    var ownTitle = ""
    var remoteTitle = ""
    var remoteDescription: SessionDescription?
    /// ACKs that came for its 2xx to re-INVITEs, by CSeq number, and their bodies.
    var acknowledged: [UInt32: [UInt8]] = [:]
    var cancelled: Set<UInt32> = []
    /// A re-INVITE that came and whose answer or ACK is open.
    fileprivate var pendingSequence: UInt32?
    fileprivate var pendingTitle: String?
    fileprivate var lastReplies: [String: [UInt8]] = [:]
    fileprivate var version = 1
    fileprivate var isUpdatePlanned = false

    var isAsking: Bool { sent.contains { $0.status == nil && $0.message.method != .info } }

    static func title(of body: some Collection<UInt8>) -> String? {
        String(decoding: body, as: UTF8.self).split(separator: "\r\n").first { $0.hasPrefix("s=") }.map { String($0.dropFirst(2)) }
    }
}

extension Peer {
    /// The call is up for this side.
    func planChanges() {
        for change in script.changes {
            world.plan(after: change.delay) { [self] in
                // Who asks says how the other one will react to it.
                guard change.leg == leg else { return midDialog.reply = change.reply }
                guard !isOver, !midDialog.isAsking else { return }
                let request = ask(
                    change.method, offer: change.offer,
                    body: change.method == .info ? ("application/dtmf-relay", "Signal=5\r\n") : nil,
                    acknowledges: change.acknowledges)
                if let delay = change.cancelDelay { world.plan(after: delay) { [self] in if !isOver { cancel(request) } } }
            }
        }
    }

    private var leg: Leg { self is Caller ? .caller : .callee }

    /// An early dialog is there.
    func planEarlyUpdate() {
        guard let early = script.earlyUpdate, early.leg == leg, !midDialog.isUpdatePlanned else { return }
        midDialog.isUpdatePlanned = true
        world.plan(after: early.delay) { [self] in
            guard !isOver, !midDialog.isAsking else { return }
            ask(.update, offer: "m=audio 42000 RTP/AVP 8\r\na=sendonly\r\n")
        }
    }

    // MARK: Requests of its own

    /// Sends a request inside the dialog until it is answered.
    ///
    /// - Parameter offer: lines from `m=` on, empty for the usual ones; nil for no description at all.
    @discardableResult
    func ask(
        _ method: Method, offer: String? = nil, title: String? = nil, headers: [(String, String)] = [],
        body: (type: String, text: String)? = nil, acknowledges: Bool = true
    ) -> MidDialog.Request {
        midDialog.version += 1
        let title = offer == nil ? nil : title ?? "\(name) \(midDialog.version)"
        var builder = inDialog(method, sequence: nextSequence())
        if method == .invite || method == .update { builder.add(.contact, "<sip:\(name)@\(address)>") }
        for (name, value) in headers { builder.add(name: name, value) }
        let octets: [UInt8]
        if let offer, let title {
            let lines = offer.isEmpty ? nil : offer
            octets = builder.finish(body: description(lines: lines, title: title), contentType: "application/sdp")
        } else if let body {
            octets = builder.finish(body: Array(body.text.utf8), contentType: body.type)
        } else {
            octets = builder.finish()
        }
        guard case .message(let message) = SIPMessage.parse(octets) else { preconditionFailure("a peer writes what can be read") }
        let request = MidDialog.Request(message, title: title)
        request.acknowledges = acknowledges
        midDialog.sent.append(request)
        send(octets, until: { [self] in isOver || request.status != nil || !request.provisionals.isEmpty && method == .invite })
        return request
    }

    func cancel(_ request: MidDialog.Request) {
        guard request.status == nil, !request.provisionals.isEmpty else { return }
        var builder = MessageBuilder(request: .cancel, uri: request.message.requestURI)
        for name in [HeaderName.via, .from, .to, .callID] {
            if let field = request.message.first(name) { builder.copy(field, from: request.message) }
        }
        builder.add(.cseq, "\(request.message.cseq.number) CANCEL")
        let octets = builder.finish()
        send(octets, until: { [self] in isOver || request.status != nil })
    }

    /// True when the response belongs to one of `sent`.
    func receiveMidDialog(response: SIPMessage) -> Bool {
        guard let status = response.status,
            let request = midDialog.sent.first(where: {
                $0.message.cseq.number == response.cseq.number && response.cseq.method == $0.message.method
            })
        else { return response.method == .cancel && response.cseq.number > 1 }
        if status < 200 {
            request.provisionals.append(status)
            return true
        }
        request.finalCount += 1
        let isFirst = request.response == nil
        if isFirst { request.response = response }
        if request.message.method == .invite { acknowledge(request, status: status) }
        guard isFirst, status < 300, let remote = MidDialog.title(of: response.body) else { return true }
        midDialog.remoteTitle = remote
        midDialog.remoteDescription = try? SessionDescription(parsing: response.body)
        if let title = request.title { midDialog.ownTitle = title }
        return true
    }

    private func acknowledge(_ request: MidDialog.Request, status: Int) {
        guard request.acknowledges || status >= 300 else { return }
        if request.acknowledgement.isEmpty {
            let branch = status < 300 ? world.random.token(count: 14) : nil
            let builder = inDialog(
                .ack, sequence: Int(request.message.cseq.number), branch: branch.map { "z9hG4bK" + $0 } ?? request.message.topVia.branchText)
            if status < 300, request.title == nil {
                midDialog.version += 1
                let title = "\(name) \(midDialog.version)"
                midDialog.ownTitle = title
                request.acknowledgement = builder.finish(
                    body: description(lines: midDialog.answerLines, title: title), contentType: "application/sdp")
            } else {
                request.acknowledgement = builder.finish()
            }
        }
        send(request.acknowledgement)
    }

    // MARK: Requests of the other side's

    /// INVITE, UPDATE, INFO and the rest inside the dialog. BYE is the callers' own business.
    func receiveMidDialog(request: SIPMessage) {
        let key = "\(request.topVia.branchText ?? "") \(request.method)"
        switch request.method {
        case .ack:
            guard midDialog.pendingSequence == request.cseq.number else { return }
            midDialog.pendingSequence = nil
            midDialog.acknowledged[request.cseq.number] = Array(request.body)
            if let title = midDialog.pendingTitle { midDialog.ownTitle = title }
            midDialog.pendingTitle = nil
            if let remote = MidDialog.title(of: request.body) {
                midDialog.remoteTitle = remote
                midDialog.remoteDescription = try? SessionDescription(parsing: request.body)
            }
            return
        case .cancel:
            send(respond(200, to: request, tag: nil))
            guard midDialog.cancelled.insert(request.cseq.number).inserted, midDialog.pendingSequence == request.cseq.number,
                let invite = midDialog.received.last(where: { $0.method == .invite && $0.cseq.number == request.cseq.number }),
                midDialog.pendingTitle == nil
            else { return }
            midDialog.pendingSequence = nil
            return refuse(invite, 487)
        default: break
        }
        if let known = midDialog.lastReplies[key] {
            if !known.isEmpty { send(known) }
            return
        }
        midDialog.received.append(request)
        midDialog.lastReplies[key] = []
        if let status = midDialog.refusedMethods[request.method] { return refuse(request, status) }
        guard request.method == .invite || request.method == .update else {
            return reply(respond(200, to: request, tag: nil), to: request)
        }
        if midDialog.isAsking || midDialog.pendingSequence != nil { return refuse(request, 491) }
        switch midDialog.reply {
        case .accept: accept(request)
        case .refuse(let status): refuse(request, status)
        case .silence: break
        case .acceptLater(let delay):
            if request.method == .invite { midDialog.pendingSequence = request.cseq.number }
            let ringing = respond(100, to: request, tag: nil)
            send(ringing)
            world.plan(after: delay) { [self] in
                if !midDialog.cancelled.contains(request.cseq.number), !isOver { accept(request) }
            }
        }
    }

    private func refuse(_ request: SIPMessage, _ status: Int) {
        let octets = respond(status, to: request, tag: nil)
        reply(octets, to: request)
    }

    private func accept(_ request: SIPMessage) {
        midDialog.version += 1
        let hasDescription = request.method == .invite || !request.body.isEmpty
        let title = "\(name) \(midDialog.version)"
        let body = hasDescription ? description(lines: midDialog.answerLines ?? mirrored(request.body), title: title) : nil
        let octets = respond(200, to: request, tag: nil, headers: midDialog.headers, body: body)
        if let remote = MidDialog.title(of: request.body) {
            midDialog.remoteTitle = remote
            midDialog.remoteDescription = try? SessionDescription(parsing: request.body)
        }
        guard request.method == .invite else {
            reply(octets, to: request)
            if hasDescription { midDialog.ownTitle = title }
            return
        }
        midDialog.lastReplies["\(request.topVia.branchText ?? "") \(request.method)"] = octets
        let sequence = request.cseq.number
        midDialog.pendingSequence = sequence
        midDialog.pendingTitle = title
        // Answering an offer it has agreed at once; an offer of its own counts with the answer.
        if !request.body.isEmpty { midDialog.ownTitle = title }
        send(octets, until: { [self] in isOver || midDialog.pendingSequence != sequence })
    }

    private func reply(_ octets: [UInt8], to request: SIPMessage) {
        midDialog.lastReplies["\(request.topVia.branchText ?? "") \(request.method)"] = octets
        send(octets)
    }
}
