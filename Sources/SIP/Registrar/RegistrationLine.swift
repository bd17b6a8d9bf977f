package import Core

/// One line of the file in which bindings outlive a restart.
///
/// `+` a binding as it is now, `-` one that is gone; each names its binding by user and contact, or instance and reg-id, so that
/// the last line about a binding is all there is to know. Fields are separated by tabs: none of them can hold one.
package struct RegistrationLine: Equatable, Sendable {
    package enum Kind: UInt8, Sendable { case present = 0x2b, gone = 0x2d }

    package var kind: Kind
    package var user: [UInt8]
    package var contact: ArraySlice<UInt8>
    package var instance: ArraySlice<UInt8> = []
    package var registrationID: UInt32 = 0
    package var path: ArraySlice<UInt8> = []
    package var flow: Flow
    package var expiresAt: WallTime
    package var registeredAt: WallTime
    package var quality: UInt16 = 1_000
    package var evidence = NATEvidence.none
    package var isProven = false
    package var callIDHash: UInt64 = 0
    package var sequence: UInt32 = 0
    package var agent: [UInt8] = []

    /// With its line end.
    package var octets: [UInt8] {
        let fields = user.count + contact.count + instance.count + path.count + agent.count
        return [UInt8](atMost: fields + Self.mostBesideFields) { line in
            line.append(kind.rawValue)
            Self.appendField(user.span, to: &line)
            Self.appendField(contact.span, to: &line)
            Self.appendField(instance.span, to: &line)
            Self.appendField(UInt64(registrationID), to: &line)
            if kind == .present {
                Self.appendField(path.span, to: &line)
                line.append(Octet.tab)
                line.append(copying: flow.transport.rawValue.utf8.span)
                line.append(Octet.space)
                if let listener = flow.listener { line.append(decimal: UInt32(listener)) } else { line.append(Octet.hyphen) }
                line.append(Octet.space)
                flow.remote.append(to: &line)
                Self.appendField(UInt64(clamping: expiresAt.milliseconds), to: &line)
                Self.appendField(UInt64(clamping: registeredAt.milliseconds), to: &line)
                Self.appendField(UInt64(quality), to: &line)
                Self.appendField(UInt64(evidence.rawValue), to: &line)
                Self.appendField(isProven ? 1 : 0, to: &line)
                line.append(Octet.tab)
                line.append(hexadecimal: callIDHash)
                Self.appendField(UInt64(sequence), to: &line)
                Self.appendField(agent.span, to: &line)
            }
            line.append(Octet.lineFeed)
        }
    }

    /// Numbers, an address and tabs.
    private static let mostBesideFields = 256

    /// As one line without tabs, whatever is in it.
    private static func appendField(_ octets: Span<UInt8>, to line: inout OutputSpan<UInt8>) {
        line.append(Octet.tab)
        guard octets.firstIndex(below: Octet.space, in: 0..<octets.count) < octets.count else {
            return line.append(copying: octets)
        }
        for octet in Octet.oneLine(octets) { line.append(octet == Octet.tab ? Octet.space : octet) }
    }

    private static func appendField(_ number: UInt64, to line: inout OutputSpan<UInt8>) {
        line.append(Octet.tab)
        line.append(decimal: number)
    }

    /// Nil for anything but a whole line as `octets` writes it, its end left out.
    package init?(_ line: some Collection<UInt8>) {
        let fields = line.split(separator: Octet.tab, omittingEmptySubsequences: false)
        guard let kind = fields.first.flatMap({ $0.count == 1 ? Kind(rawValue: $0.first!) : nil }),
            fields.count == (kind == .present ? 15 : 5), let registrationID = UInt32(Self.text(fields[4]))
        else { return nil }
        self.kind = kind
        user = Array(fields[1])
        contact = Array(fields[2])[...]
        instance = Array(fields[3])[...]
        self.registrationID = registrationID
        flow = Flow(udp: SocketAddress(ip: .ipv4Any, port: 0))
        expiresAt = WallTime(milliseconds: 0)
        registeredAt = expiresAt
        guard kind == .present else { return }
        guard let flow = Self.flow(Self.text(fields[6])), let expires = Int64(Self.text(fields[7])),
            let registered = Int64(Self.text(fields[8])), let quality = UInt16(Self.text(fields[9])), quality <= 1_000,
            let evidence = UInt8(Self.text(fields[10])).flatMap(NATEvidence.init(rawValue:)),
            let hash = UInt64(Self.text(fields[12]), radix: 16), let sequence = UInt32(Self.text(fields[13])),
            SIPURI(contact) != nil
        else { return nil }
        path = Array(fields[5])[...]
        self.flow = flow
        expiresAt = WallTime(milliseconds: expires)
        registeredAt = WallTime(milliseconds: registered)
        self.quality = quality
        self.evidence = evidence
        isProven = fields[11].elementsEqual("1".utf8)
        callIDHash = hash
        self.sequence = sequence
        agent = Array(fields[14])
    }

    package init(
        kind: Kind, user: [UInt8], contact: ArraySlice<UInt8>, flow: Flow, expiresAt: WallTime, registeredAt: WallTime
    ) {
        self.kind = kind
        self.user = user
        self.contact = contact
        self.flow = flow
        self.expiresAt = expiresAt
        self.registeredAt = registeredAt
    }

    /// What a line is about: user, and instance with reg-id or else the contact. Reads no more of it than that takes.
    ///
    /// - Returns: nil for what is no whole line.
    package static func subject(of line: ArraySlice<UInt8>) -> (key: [ArraySlice<UInt8>], isPresent: Bool)? {
        guard let kind = line.first.flatMap(Kind.init(rawValue:)) else { return nil }
        var fields: [ArraySlice<UInt8>] = []
        fields.reserveCapacity(4)
        var tabs = 0
        var start = line.startIndex
        for index in line.indices where line[index] == Octet.tab {
            if tabs > 0, tabs <= 4 { fields.append(line[start..<index]) }
            tabs += 1
            start = index + 1
        }
        if tabs == 4 { fields.append(line[start...]) }
        guard tabs == (kind == .present ? 14 : 4), line.dropFirst().first == Octet.tab else { return nil }
        let hasRegistrationID = !fields[3].elementsEqual([Octet.zero])
        return (hasRegistrationID ? [fields[0], [], fields[2], fields[3]] : [fields[0], fields[1]], kind == .present)
    }

    /// The connection of a stream does not outlive the process: what is left is where its peer was.
    private static func flow(_ text: String) -> Flow? {
        let words = text.split(separator: " ")
        guard words.count == 3, let transport = Transport(rawValue: String(words[0])), let remote = SocketAddress(String(words[2]))
        else { return nil }
        return Flow(transport, to: remote, listener: UInt8(words[1]), mayConnect: transport == .udp)
    }

    private static func text(_ field: some Collection<UInt8>) -> String { String(decoding: field, as: UTF8.self) }
}

extension Registrar {
    /// The line that keeps a change.
    package func line(_ change: Change, user: [UInt8], wallTime: (Instant) -> WallTime) -> RegistrationLine {
        var kind = RegistrationLine.Kind.present
        if case .removed = change.kind { kind = .gone }
        let binding = change.binding
        var line = RegistrationLine(
            kind: kind, user: user, contact: binding.contact, flow: binding.flow,
            expiresAt: wallTime(binding.expiresAt), registeredAt: wallTime(binding.registeredAt))
        line.instance = binding.instance
        line.registrationID = binding.registrationID
        line.path = binding.path
        line.quality = binding.quality
        line.evidence = binding.evidence
        line.isProven = binding.isProven
        line.callIDHash = binding.callIDHash
        line.sequence = binding.sequence
        line.agent = agents.octets(binding.agent)
        return line
    }

    /// Takes in a binding of an earlier run; nil when it has expired or there is no room.
    package mutating func restore(
        _ line: RegistrationLine, user: UserIndex, instant: (WallTime) -> Instant, now: Instant
    ) -> BindingID? {
        let expiry = instant(line.expiresAt)
        guard line.kind == .present, expiry > now, table.count < settings.bindings, line.contact.count + line.path.count < 4_096
        else { return nil }
        let agent = agents.index(of: line.agent[...])
        let id = table.insert(
            Binding(
                user: user, contact: line.contact, path: line.path, instance: line.instance, flow: line.flow,
                now: min(now, instant(line.registeredAt))))
        table.update(id) { binding in
            binding.quality = line.quality
            binding.evidence = line.evidence
            binding.isProven = line.isProven
            binding.agent = agent
            binding.registrationID = line.registrationID
            binding.callIDHash = line.callIDHash
            binding.sequence = line.sequence
            // A longer time than the settings of today grant is not honoured either.
            binding.expiresAt = min(expiry, now + settings.expires)
        }
        expiries.schedule(id, at: min(expiry, now + settings.expires))
        return id
    }
}

extension AgentNames {
    func octets(_ index: UInt16) -> [UInt8] { names[Int(index)] }
}
