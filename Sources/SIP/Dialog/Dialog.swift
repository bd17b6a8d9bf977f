package import Core

/// One side's state of a dialog (RFC 3261 §12): what a request inside it is made of.
package struct Dialog: Sendable {
    package let callID: String
    package let localTag: String
    /// Nil until the peer has given one.
    package private(set) var remoteTag: String?
    /// From of our requests, tag included.
    package let local: String
    /// To of our requests.
    package private(set) var remote: String
    /// The Contact URI of the peer: Request-URI of our requests.
    package private(set) var remoteTarget: String
    /// Where `remoteTarget` points.
    private var target: Target
    package private(set) var routeSet: [String]
    /// Of our last request; ACK repeats that of its INVITE.
    package private(set) var localSequence: UInt32
    /// Where our requests go when neither route set nor target is an address: where the peer's messages came from.
    package private(set) var fallback: Flow
    /// What its Contact says means nothing on our side of a NAT: requests go back the way the peer's messages came.
    package var isBehindNAT = false {
        didSet { if isBehindNAT != oldValue { locate() } }
    }
    /// Where a request of this dialog goes: the first route, else the target.
    ///
    /// A target in private space that its owner sent from elsewhere is behind NAT and cannot be reached; neither can a host
    /// name be, without DNS. Both are answered where they came from.
    ///
    /// A URI that names no transport keeps the one its owner is known to speak, and where a connection to its owner is up,
    /// that is used (RFC 5626 §4.3, RFC 5923): many a peer accepts none, or is behind NAT.
    package private(set) var destination: Flow

    /// The user agent server's side, from the request that opens the dialog (§12.1.1).
    package init(serving request: SIPMessage, localTag: String, source: Flow) {
        callID = String(decoding: request.callID, as: UTF8.self)
        self.localTag = localTag
        remoteTag = request.fromTag.map { String(decoding: $0, as: UTF8.self) }
        let to = request.text(.to) ?? ""
        local = request.toTag == nil ? "\(to);tag=\(localTag)" : to
        remote = request.text(.from) ?? ""
        let contact = request.contact?.uri
        let uri = contact ?? request.from.uri
        remoteTarget = uri.text
        target = Target(uri, isContact: contact != nil)
        routeSet = Self.routes(request)
        localSequence = 0
        fallback = source
        destination = source
        locate()
    }

    /// The user agent client's side, before any answer (§12.1.2).
    ///
    /// - Parameters:
    ///   - local: the From value of the request, with `localTag`.
    ///   - routeSet: Route values of its first request, from configuration or a registration's Path.
    package init(
        calling target: String, callID: String, localTag: String, local: String, remote: String, sequence: UInt32,
        destination: Flow, routeSet: [String] = []
    ) {
        self.callID = callID
        self.localTag = localTag
        self.local = local
        self.remote = remote
        remoteTarget = target
        self.target = Target(SIPURI(target), isContact: false)
        self.routeSet = routeSet
        localSequence = sequence
        fallback = destination
        self.destination = destination
        locate()
    }

    /// What the peer's latest Contact names; nil for a host name, or without one.
    package var contactAddress: SocketAddress? { target.isContact ? target.address : nil }

    /// Takes the peer's part from a response that makes or updates the dialog (§12.1.2, §12.2.1.2).
    package mutating func update(with response: SIPMessage, source: Flow) {
        remoteTag = response.toTag.map { String(decoding: $0, as: UTF8.self) }
        remote = response.text(.to) ?? remote
        routeSet = Self.routes(response).reversed()
        takeTarget(from: response, source: source)
    }

    /// Whether a request of ours was sent in this dialog: Call-ID and both tags are its own (§12).
    package func isOf(_ request: SIPMessage) -> Bool {
        request.callID.elementsEqual(callID.utf8) && request.fromTag?.elementsEqual(localTag.utf8) == true
            && request.toTag.map { String(decoding: $0, as: UTF8.self) } == remoteTag
    }

    /// Takes the peer's Contact from a target refresh request or a 2xx to one (§12.2.1.2, §12.2.2). Tags and routes stay.
    package mutating func refreshTarget(from message: SIPMessage, source: Flow) {
        takeTarget(from: message, source: source)
    }

    /// Starts a request in this dialog: request line, Via, Route, Max-Forwards, From, To, Call-ID, CSeq (§12.2.1.1).
    /// The owner adds the rest and sends it to `destination`.
    ///
    /// - Parameters:
    ///   - branch: of its Via, new for each request.
    ///   - sentBy: what Via carries.
    ///   - sequence: for ACK the CSeq number of its INVITE; nil takes the next one.
    package mutating func request(
        _ method: Method, branch: String, sentBy: LocalEndpoint, sequence: UInt32? = nil, maxForwards: Int = 70
    ) -> MessageBuilder {
        if sequence == nil { localSequence += 1 }
        // A strict router wants itself as Request-URI and the target at the end of the routes.
        let strictRouter = routeSet.first.flatMap { NameAddress($0)?.uri }.flatMap { $0.parameter("lr") == nil ? $0 : nil }
        var builder = MessageBuilder(request: method, uri: strictRouter?.text ?? remoteTarget)
        builder.addVia(sentBy, branch: branch)
        for route in strictRouter == nil ? routeSet[...] : routeSet.dropFirst() { builder.add(.route, route) }
        if strictRouter != nil { builder.add(.route, "<\(remoteTarget)>") }
        builder.add(.maxForwards, number: maxForwards)
        builder.add(.from, local)
        builder.add(.to, remote)
        builder.add(.callID, callID)
        builder.addCSeq(sequence ?? localSequence, method)
        return builder
    }

    private mutating func takeTarget(from message: SIPMessage, source: Flow) {
        fallback = source
        // A 2xx mostly repeats the Contact of the response before it.
        if !target.isContact || !message.hasContact(remoteTarget) {
            if let contact = message.contact?.uri {
                remoteTarget = contact.text
                target = Target(contact, isContact: true)
            } else {
                target.isContact = false
            }
        }
        locate()
    }

    /// Where a URI points.
    private struct Target: Sendable {
        /// Nil for a host name.
        let address: SocketAddress?
        /// As the URI asks for.
        let transport: Transport?
        /// The peer's latest message had it.
        var isContact: Bool

        init(_ uri: SIPURI?, isContact: Bool) {
            (address, transport) = (uri?.socketAddress, uri?.transport)
            self.isContact = isContact
        }
    }

    /// Sets `destination` anew.
    private mutating func locate() {
        if isBehindNAT {
            destination = fallback
        } else if let route = routeSet.first.flatMap({ NameAddress($0)?.uri }) {
            destination = destination(of: Target(route, isContact: false))
        } else {
            destination = destination(of: target)
        }
    }

    private func destination(of target: Target) -> Flow {
        guard let address = target.address, address.port != 0, !address.ip.isUnspecified else { return fallback }
        if address.ip.isPrivate && !fallback.ip.isPrivate { return fallback }
        let isOwner = address.ip == fallback.ip
        let transport = target.transport ?? (isOwner ? fallback.transport : .udp)
        guard transport == fallback.transport, address.ip.family == fallback.ip.family else {
            return Flow(transport, to: address)
        }
        return Flow(
            transport, to: address, listener: fallback.listener, connection: isOwner ? fallback.connection : nil)
    }

    private static func routes(_ message: SIPMessage) -> [String] {
        message.listValues(.recordRoute).map { String(decoding: $0, as: UTF8.self) }
    }
}

extension SIPMessage {
    /// Whether its only Contact is this URI in angle brackets and nothing else.
    fileprivate func hasContact(_ uri: String) -> Bool {
        var found: HeaderField?
        for field in headers where field.name == .contact {
            guard found == nil else { return false }
            found = field
        }
        guard let found else { return false }
        let value = value(found)
        return value.first == UInt8(ascii: "<") && value.last == UInt8(ascii: ">")
            && value.dropFirst().dropLast().isText(uri)
    }
}
