package import Core

/// Names one binding; a slot that is used again has another generation.
package struct BindingID: Hashable, Sendable {
    package let index: UInt32
    package let generation: UInt32

    package init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

/// A contact that a user is reached at (RFC 3261 §10), as compact as 100,000 of them ask for: the widest properties first, so
/// that nothing is left between them.
package struct Binding: Sendable {
    /// Contact URI, Path and instance, one behind the other: one allocation.
    private var octets: [UInt8]
    package internal(set) var callIDHash: UInt64
    package internal(set) var expiresAt: Instant
    package internal(set) var registeredAt: Instant
    package internal(set) var refreshedAt: Instant
    private var packedFlow: PackedFlow
    package let user: UserIndex
    package internal(set) var registrationID: UInt32
    package internal(set) var sequence: UInt32
    /// Of the branch of the REGISTER it was added or refreshed by; zero after a restart.
    var branchHash: UInt32
    /// The next binding of the same user, or none.
    var next: UInt32
    var generation: UInt32
    private var contactCount: UInt16
    private var pathCount: UInt16
    /// Thousandths, 0 to 1000: the greater is tried first.
    package internal(set) var quality: UInt16
    package internal(set) var agent: UInt16
    package internal(set) var evidence: NATEvidence
    /// Whoever registered it answered a challenge: nobody else's address is ever sent keep-alives.
    package internal(set) var isProven: Bool

    init(
        user: UserIndex, contact: ArraySlice<UInt8>, path: ArraySlice<UInt8>, instance: ArraySlice<UInt8>, flow: Flow,
        now: Instant
    ) {
        self.user = user
        octets = []
        contactCount = 0
        pathCount = 0
        quality = 1_000
        evidence = .none
        isProven = false
        agent = 0
        registrationID = 0
        sequence = 0
        callIDHash = 0
        branchHash = 0
        packedFlow = PackedFlow(flow)
        expiresAt = now
        registeredAt = now
        refreshedAt = now
        next = .max
        generation = 0
        setOctets(contact: contact, path: path, instance: instance)
    }

    mutating func setOctets(contact: ArraySlice<UInt8>, path: ArraySlice<UInt8>, instance: ArraySlice<UInt8>) {
        if contact.isEqual(to: self.contact), path.isEqual(to: self.path), instance.isEqual(to: self.instance) { return }
        octets = [UInt8](atMost: contact.count + path.count + instance.count) { octets in
            octets.append(copying: contact.span)
            octets.append(copying: path.span)
            octets.append(copying: instance.span)
        }
        contactCount = UInt16(contact.count)
        pathCount = UInt16(path.count)
    }

    /// The Contact URI as the phone wrote it.
    package var contact: ArraySlice<UInt8> { octets[..<Int(contactCount)] }
    package var path: ArraySlice<UInt8> { octets[Int(contactCount)..<Int(contactCount) + Int(pathCount)] }
    package var instance: ArraySlice<UInt8> { octets[(Int(contactCount) + Int(pathCount))...] }
    package var contactText: String { String(decoding: contact, as: UTF8.self) }
    /// The way its REGISTER came: requests to a phone behind NAT go back by it.
    package internal(set) var flow: Flow {
        get { packedFlow.flow }
        set { packedFlow = PackedFlow(newValue) }
    }
    package var source: SocketAddress { packedFlow.remote }
    package var transport: Transport { packedFlow.transport }
    /// It came by a connection that has ended, and which only the phone can open again (RFC 5626 §4.2): nothing can be sent to it.
    /// So is what a restart has brought back. With a Path it is not the connection that counts.
    package var isCutOff: Bool { transport.isReliable && path.isEmpty && packedFlow.isWithoutConnection }
    package var isBehindNAT: Bool { evidence != .none }
    /// Keep-alives go to what is behind NAT and has proven who it is.
    package var needsKeepAlive: Bool { isBehindNAT && isProven }
    package var octetCount: Int { octets.capacity }

    func matches(_ contact: RegisterRequest.Contact) -> Bool {
        if contact.registrationID != 0 {
            return registrationID == contact.registrationID && instance.isEqual(to: contact.instance)
        }
        if registrationID != 0 { return false }
        if self.contact.isEqual(to: contact.uri.slice) { return true }
        return SIPURI(octets: Array(self.contact))?.isEquivalent(to: contact.uri) ?? false
    }
}

/// Comma-separated route values.
package enum RouteList {
    package static func split(_ values: some Collection<UInt8>) -> [String] {
        let octets = Array(values)
        let span = octets.span
        var scanner = ListScanner(0..<octets.count)
        var routes: [String] = []
        while let range = scanner.next(span) { routes.append(String(decoding: octets[range], as: UTF8.self)) }
        return routes
    }
}
