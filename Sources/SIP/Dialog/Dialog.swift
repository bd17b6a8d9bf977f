package import Core

/// One side's state of a dialog (RFC 3261 §12): what a request inside it is made of. A reference, as each step of a call asks it
/// for something.
package final class Dialog {
    package let localTag: String
    package let callID: String
    /// Call-ID, From and To of our requests, and the peer's tag.
    private var identity: DialogIdentity
    /// The Contact URI of the peer: Request-URI of our requests.
    private var targetURI: [UInt8]
    /// Where `targetURI` points.
    private var target: Target
    /// Route header values, each on one line.
    private var routes: [[UInt8]]
    /// Of our last request; ACK repeats that of its INVITE.
    package var localSequence: UInt32 { lastSequence }
    /// Where our requests go when neither route set nor target is an address: where the peer's messages came from.
    package var fallback: Flow { lastSource }
    /// What its Contact says means nothing on our side of a NAT: requests go back the way the peer's messages came.
    package var isBehindNAT: Bool { answersItsSource }
    /// Where a request of this dialog goes: the first route, else the target.
    ///
    /// A target in private space that its owner sent from elsewhere is behind NAT and cannot be reached; neither can a host
    /// name be, without DNS. Both are answered where they came from.
    ///
    /// A URI that names no transport keeps the one its owner is known to speak, and where a connection to its owner is up,
    /// that is used (RFC 5626 §4.3, RFC 5923): many a peer accepts none, or is behind NAT.
    package var destination: Flow { located }
    /// The peer, or the proxy before it, has itself named `destination` by route or Contact, and no transport with it: who is there
    /// takes connections as well as datagrams (RFC 3261 §18.2.1). False for the way back through a NAT.
    package var takesAnyTransport: Bool { isOpen }

    // What stands behind those is private: of what another module may see the compiler does not know that nobody is in
    // the middle of changing it, and each look at it is checked.
    private var lastSequence: UInt32
    private var lastSource: Flow
    private var answersItsSource = false
    private var located: Flow
    private var isOpen = false

    /// The user agent server's side, from the request that opens the dialog (§12.1.1).
    package init(serving request: SIPMessage, localTag: String, source: Flow) {
        self.localTag = localTag
        let octets = request.octets.span
        identity = DialogIdentity.of(
            callID: octets.extracting(request.callIDRange), from: octets.extracting(request.range(of: .to)),
            ownTag: request.toTag == nil ? localTag : nil, to: octets.extracting(request.range(of: .from)),
            remoteTag: request.fromTag, isFolded: request.isFolded)
        callID = Octet.string(identity.callID.span)
        let contact = request.contact?.uri
        let uri = contact ?? request.from.uri
        targetURI = Array(uri.slice)
        target = Target(address: uri.socketAddress, transport: uri.transport, isContact: contact != nil)
        routes = Self.routes(request)
        lastSequence = 0
        lastSource = source
        located = source
        locate()
    }

    /// The user agent client's side, before any answer (§12.1.2).
    ///
    /// - Parameters:
    ///   - target: octets that no URI may hold (white space and controls) are left out.
    ///   - appendLocal: the From value of the request, with `localTag`.
    ///   - appendRemote: the To value.
    ///   - routeSet: Route values of its first request, from configuration or a registration's Path.
    package init(
        calling target: [UInt8], callID: [UInt8], localTag: String, sequence: UInt32, destination: Flow,
        routeSet: [String] = [], appendLocal: (inout [UInt8]) -> Void, appendRemote: (inout [UInt8]) -> Void
    ) {
        self.localTag = localTag
        identity = DialogIdentity(callID: callID.span, appendFrom: appendLocal, appendTo: appendRemote)
        self.callID = Octet.string(identity.callID.span)
        targetURI = Octet.isVisible(target.span) ? target : target.filter { $0 > 0x20 && $0 != 0x7f }
        let uri = SIPURI(target)
        self.target = Target(address: uri?.socketAddress, transport: uri?.transport, isContact: false)
        routes = routeSet.map { Octet.oneLine($0.utf8.span) }
        lastSequence = sequence
        lastSource = destination
        located = destination
        locate()
    }

    package convenience init(
        calling target: [UInt8], callID: [UInt8], localTag: String, local: [UInt8], remote: [UInt8], sequence: UInt32,
        destination: Flow, routeSet: [String] = []
    ) {
        self.init(
            calling: target, callID: callID, localTag: localTag, sequence: sequence, destination: destination,
            routeSet: routeSet, appendLocal: { $0.append(copying: local.span) }, appendRemote: { $0.append(copying: remote.span) })
    }

    package convenience init(
        calling target: String, callID: String, localTag: String, local: String, remote: String, sequence: UInt32,
        destination: Flow, routeSet: [String] = []
    ) {
        self.init(
            calling: Array(target.utf8), callID: Array(callID.utf8), localTag: localTag, local: Array(local.utf8),
            remote: Array(remote.utf8), sequence: sequence, destination: destination, routeSet: routeSet)
    }

    /// A further dialog that the same request has made, with somebody else behind a fork of the peer's side.
    package init(besides other: Dialog, madeBy response: SIPMessage, source: Flow) {
        localTag = other.localTag
        callID = other.callID
        identity = other.identity
        targetURI = other.targetURI
        target = other.target
        routes = other.routes
        lastSequence = other.lastSequence
        lastSource = other.lastSource
        answersItsSource = other.answersItsSource
        located = other.located
        update(with: response, source: source)
    }

    /// See `isBehindNAT`.
    package func setBehindNAT(_ isBehindNAT: Bool) {
        guard isBehindNAT != answersItsSource else { return }
        answersItsSource = isBehindNAT
        locate()
    }

    /// What the same request begins that is sent once more to `target`: no answer to this one has made a dialog.
    package func again(
        calling target: [UInt8], remote: [UInt8], destination: Flow, routeSet: [String] = []
    ) -> Dialog {
        Dialog(
            calling: target, callID: Array(identity.callID), localTag: localTag, local: Array(identity.from), remote: remote,
            sequence: localSequence, destination: destination, routeSet: routeSet)
    }

    /// From of our requests, tag included.
    package var local: ArraySlice<UInt8> { identity.from }
    /// To of our requests.
    package var remote: ArraySlice<UInt8> { identity.to }
    /// Nil until the peer has given one.
    package var remoteTag: String? { identity.remoteTag.map { String(decoding: $0, as: UTF8.self) } }
    package var remoteTarget: String { String(decoding: targetURI, as: UTF8.self) }

    @inline(__always)
    package func hasCallID(_ callID: ArraySlice<UInt8>) -> Bool { callID.isEqual(to: identity.callID) }

    /// Whether this is the peer's tag, where it has given one.
    @inline(__always)
    package func hasRemoteTag(_ tag: ArraySlice<UInt8>?) -> Bool {
        guard let remoteTag = identity.remoteTag else { return tag == nil }
        return tag.map { $0.isEqual(to: remoteTag) } ?? false
    }

    /// Whether this may be the peer's tag: any may before it has given one.
    @inline(__always)
    package func isPeerTag(_ tag: ArraySlice<UInt8>?) -> Bool { identity.remoteTag == nil || hasRemoteTag(tag) }

    /// What the peer's latest Contact names; nil for a host name, or without one.
    package var contactAddress: SocketAddress? { target.isContact ? target.address : nil }

    /// Takes the peer's part from a response that makes or updates the dialog (§12.1.2, §12.2.1.2).
    package func update(with response: SIPMessage, source: Flow) {
        let renewed = identity.renewed(
            to: response.octets.span.extracting(response.range(of: .to)), remoteTag: response.toTag, isFolded: response.isFolded)
        if let renewed { identity = renewed }
        routes = Self.routes(response).reversed()
        takeTarget(from: response, source: source)
    }

    /// Whether a request of ours was sent in this dialog: Call-ID and both tags are its own (§12).
    package func isOf(_ request: SIPMessage) -> Bool {
        hasCallID(request.callID) && request.fromTag?.isText(localTag) == true && hasRemoteTag(request.toTag)
    }

    /// Takes the peer's Contact from a target refresh request or a 2xx to one (§12.2.1.2, §12.2.2). Tags and routes stay.
    package func refreshTarget(from message: SIPMessage, source: Flow) {
        takeTarget(from: message, source: source)
    }

    /// Starts a request in this dialog: request line, Via, Route, Max-Forwards, From, To, Call-ID, CSeq (§12.2.1.1).
    /// The owner adds the rest and sends it to `destination`.
    ///
    /// - Parameters:
    ///   - branch: of its Via, new for each request.
    ///   - sentBy: what Via carries.
    ///   - sequence: for ACK the CSeq number of its INVITE; nil takes the next one.
    ///   - bodyCount: octets of the body that it is going to have.
    package func request(
        _ method: Method, branch: ViaBranch, sentBy: LocalEndpoint, sequence: UInt32? = nil, maxForwards: Int = 70,
        bodyCount: Int = 0
    ) -> MessageBuilder {
        if sequence == nil { lastSequence = lastSequence + 1 }
        var uri = targetURI
        var routes = routes
        // A strict router wants itself as Request-URI and the target at the end of the routes.
        if let router = routes.first.flatMap({ NameAddress($0)?.uri }), router.parameter("lr") == nil {
            uri = Array(router.slice)
            routes.removeFirst()
            routes.append([Octet.less] + targetURI + [Octet.greater])
        }
        let name = method.text
        let count = 2 * name.utf8.count + uri.count + sentBy.viaCount(branch: branch)
            + routes.reduce(0) { $0 + $1.count + 9 } + identity.lines.count + 64
        let identity = identity
        let number = sequence ?? localSequence
        return MessageBuilder(count: count, bodyCount: bodyCount) { lines in
            lines.append(copying: name.utf8.span)
            lines.append(Octet.space)
            lines.append(copying: uri.span)
            lines.append(" SIP/2.0\r\n")
            sentBy.appendVia(branch: branch, to: &lines)
            for route in routes {
                lines.append("Route: ")
                lines.append(copying: route.span)
                lines.append("\r\n")
            }
            lines.append("Max-Forwards: ")
            lines.append(decimal: UInt32(clamping: maxForwards))
            lines.append("\r\n")
            lines.append(copying: identity.lines.span)
            lines.append(decimal: number)
            lines.append(Octet.space)
            lines.append(copying: name.utf8.span)
            lines.append("\r\n")
        }
    }

    private func takeTarget(from message: SIPMessage, source: Flow) {
        lastSource = source
        // A 2xx mostly repeats the Contact of the response before it.
        if !target.isContact || !message.hasContact(targetURI) {
            if let contact = message.contact?.uri {
                targetURI = Array(contact.slice)
                target = Target(address: contact.socketAddress, transport: contact.transport, isContact: true)
            } else {
                target = Target(address: target.address, transport: target.transport, isContact: false)
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
        let isContact: Bool
    }

    /// Sets `destination` anew.
    private func locate() {
        isOpen = false
        if isBehindNAT {
            located = lastSource
        } else if let route = routes.first.flatMap({ NameAddress($0)?.uri }) {
            located = destination(
                of: Target(address: route.socketAddress, transport: route.transport, isContact: false))
        } else {
            located = destination(of: target)
        }
    }

    private func destination(of target: Target) -> Flow {
        guard let address = target.address, address.port != 0, !address.ip.isUnspecified else { return fallback }
        if address.ip.isPrivate && !fallback.ip.isPrivate { return fallback }
        isOpen = target.transport == nil
        let isOwner = address.ip == fallback.ip
        let transport = target.transport ?? (isOwner ? fallback.transport : .udp)
        guard transport == fallback.transport, address.ip.family == fallback.ip.family else {
            return Flow(transport, to: address)
        }
        return Flow(
            transport, to: address, listener: fallback.listener, connection: isOwner ? fallback.connection : nil)
    }

    private static func routes(_ message: SIPMessage) -> [[UInt8]] {
        guard message.has(.recordRoute) else { return [] }
        return message.listValues(.recordRoute).map { Octet.oneLine($0.span) }
    }
}

/// What every request of a dialog says of it, as it is written: From, To, Call-ID, and CSeq up to its number.
struct DialogIdentity: Sendable {
    /// Those lines, and behind them the peer's tag.
    private let octets: [UInt8]
    private let fromRange: Range<Int>
    private let toRange: Range<Int>
    private let callIDRange: Range<Int>
    private let linesEnd: Int
    private let hasRemoteTag: Bool

    /// - Parameters:
    ///   - ownTag: to be put behind `from`.
    ///   - isFolded: a value may go over several lines.
    static func of(
        callID: Span<UInt8>, from: Span<UInt8>, ownTag: String? = nil, to: Span<UInt8>, remoteTag: ArraySlice<UInt8>?, isFolded: Bool
    ) -> DialogIdentity {
        guard isFolded, callID.hasLineEnd || from.hasLineEnd || to.hasLineEnd else {
            return DialogIdentity(callID: callID, from: from, ownTag: ownTag, to: to, remoteTag: remoteTag)
        }
        let (callID, from, to) = (Octet.oneLine(callID), Octet.oneLine(from), Octet.oneLine(to))
        return DialogIdentity(callID: callID.span, from: from.span, ownTag: ownTag, to: to.span, remoteTag: remoteTag)
    }

    /// Before the peer has given a tag.
    init(callID: Span<UInt8>, appendFrom: (inout [UInt8]) -> Void, appendTo: (inout [UInt8]) -> Void) {
        var lines: [UInt8] = []
        lines.reserveCapacity(220 + callID.count)
        lines.append("From: ")
        let fromStart = lines.count
        appendFrom(&lines)
        let from = fromStart..<lines.count
        lines.append("\r\nTo: ")
        let toStart = lines.count
        appendTo(&lines)
        let to = toStart..<lines.count
        let isFolded = callID.hasLineEnd || lines.span.extracting(from).hasLineEnd
            || lines.span.extracting(to).hasLineEnd
        if isFolded {
            self = .of(
                callID: callID, from: lines.span.extracting(from), to: lines.span.extracting(to), remoteTag: nil,
                isFolded: true)
            return
        }
        lines.append("\r\nCall-ID: ")
        let callIDStart = lines.count
        lines.append(copying: callID)
        callIDRange = callIDStart..<lines.count
        lines.append("\r\nCSeq: ")
        (fromRange, toRange, linesEnd, hasRemoteTag) = (from, to, lines.count, false)
        octets = lines
    }

    /// From values on one line each.
    private init(
        callID: Span<UInt8>, from: Span<UInt8>, ownTag: String?, to: Span<UInt8>, remoteTag: ArraySlice<UInt8>?
    ) {
        let names: (from: StaticString, to: StaticString, callID: StaticString, cseq: StaticString) =
            ("From: ", "\r\nTo: ", "\r\nCall-ID: ", "\r\nCSeq: ")
        let ownTagCount = ownTag.map { ";tag=".utf8.count + $0.utf8.count } ?? 0
        let fromStart = names.from.utf8CodeUnitCount
        fromRange = fromStart..<fromStart + from.count + ownTagCount
        let toStart = fromRange.upperBound + names.to.utf8CodeUnitCount
        toRange = toStart..<toStart + to.count
        let callIDStart = toRange.upperBound + names.callID.utf8CodeUnitCount
        callIDRange = callIDStart..<callIDStart + callID.count
        linesEnd = callIDRange.upperBound + names.cseq.utf8CodeUnitCount
        hasRemoteTag = remoteTag != nil
        octets = [UInt8](atMost: linesEnd + (remoteTag?.count ?? 0)) { lines in
            lines.append(names.from)
            lines.append(copying: from)
            if let ownTag {
                lines.append(";tag=")
                lines.append(copying: ownTag.utf8.span)
            }
            lines.append(names.to)
            lines.append(copying: to)
            lines.append(names.callID)
            lines.append(copying: callID)
            lines.append(names.cseq)
            if let remoteTag { lines.append(copying: remoteTag.span) }
        }
    }

    var from: ArraySlice<UInt8> { octets[fromRange] }
    var to: ArraySlice<UInt8> { octets[toRange] }
    var callID: ArraySlice<UInt8> { octets[callIDRange] }
    var remoteTag: ArraySlice<UInt8>? { hasRemoteTag ? octets[linesEnd...] : nil }
    var lines: ArraySlice<UInt8> { octets[..<linesEnd] }

    /// When the peer says anew who it is; nil when it repeats itself, as it mostly does.
    func renewed(to: Span<UInt8>, remoteTag: ArraySlice<UInt8>?, isFolded: Bool) -> DialogIdentity? {
        let former = octets
        let hasSameTag = remoteTag.map { $0.isEqual(to: former[linesEnd...]) } ?? true
        if hasRemoteTag == (remoteTag != nil), hasSameTag, to.isEqual(to: former.span.extracting(toRange)) { return nil }
        return DialogIdentity.of(
            callID: former.span.extracting(callIDRange), from: former.span.extracting(fromRange), to: to, remoteTag: remoteTag,
            isFolded: isFolded)
    }
}

extension SIPMessage {
    /// The value of the first header line of that name, as it came; empty without one.
    fileprivate func range(of name: HeaderName) -> Range<Int> { first(name)?.valueRange ?? 0..<0 }

    /// Whether its only Contact is this URI in angle brackets and nothing else.
    fileprivate func hasContact(_ uri: [UInt8]) -> Bool {
        var fields = all(.contact)
        guard let value = fields.next()?.valueRange, fields.next() == nil, value.count == uri.count + 2 else { return false }
        let octets = octets.span
        return octets[value.lowerBound] == Octet.less && octets[value.upperBound - 1] == Octet.greater
            && octets.extracting(value.lowerBound + 1..<value.upperBound - 1).isEqual(to: uri.span)
    }
}
