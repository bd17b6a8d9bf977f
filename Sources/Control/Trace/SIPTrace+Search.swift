package import ControlProtocol
package import Core
import SIP

/// What a search looks for, valid by construction.
package struct TraceFilter: Sendable {
    /// Messages of any of these dialogs; empty: of all.
    package var callIDs: [[UInt8]] = []
    /// Without a leading `+`.
    package var number: [UInt8]?
    package var ip: IPAddress?
    package var port: UInt16?
    package var method: String?
    package var sinceMicroseconds = Int64.min

    package init() {}

    package init(callIDs: [String]) { self.callIDs = callIDs.map { Array($0.utf8) } }

    /// - Throws: what is wrong with the address.
    init(_ query: TraceQuery) throws(ControlError) {
        callIDs = (query.callIDs ?? []).map { Array($0.utf8) }
        number = query.number.map { Array(($0.hasPrefix("+") ? $0.dropFirst() : $0[...]).utf8) }
        method = query.method?.uppercased()
        if let since = query.since { sinceMicroseconds = since.milliseconds * 1_000 }
        guard let text = query.address else { return }
        if let address = SocketAddress(text) {
            (ip, port) = (address.ip, address.port)
        } else if let address = IPAddress(text) {
            ip = address
        } else {
            throw ControlError(.invalidParams, "\"\(text.prefix(64))\" is no address: write 192.0.2.1 or 192.0.2.1:5060.")
        }
    }

    fileprivate func matches(_ header: SIPTrace.Header) -> Bool {
        if let ip, header.peer.ip != ip { return false }
        if let port, header.peer.port != port { return false }
        return header.microseconds >= sinceMicroseconds
    }

    /// False only when no message with those octets can match.
    fileprivate func mayMatch(_ header: SIPTrace.Header, in trace: SIPTrace) -> Bool {
        if let number, !trace.contains(number, in: header) { return false }
        if let method, !trace.contains(Array(method.utf8), in: header) { return false }
        return callIDs.isEmpty || callIDs.contains { trace.contains($0, in: header) }
    }

    fileprivate var looksInside: Bool { number != nil || method != nil || !callIDs.isEmpty }

    /// What cannot be parsed matches when it holds what is looked for.
    fileprivate func matches(_ octets: [UInt8]) -> Bool {
        let message: SIPMessage
        switch SIPMessage.parse(octets) {
        case .message(let parsed), .answerable(let parsed, _, _): message = parsed
        case .keepAlive: return false
        case .discard: return true
        }
        if let method, message.methodText != method { return false }
        if !callIDs.isEmpty, !callIDs.contains(where: { message.callID.elementsEqual($0) }) { return false }
        guard let number else { return true }
        let users = [message.isRequest ? message.uri.unescapedUser : nil, message.from.uri.unescapedUser, message.to.uri.unescapedUser]
        return users.contains { user in
            guard let user else { return false }
            return user == number || (user.first == UInt8(ascii: "+") && user.dropFirst().elementsEqual(number))
        }
    }
}

extension SIPTrace {
    /// How far one search goes before it lets the control thread do something else.
    package struct Effort: Sendable {
        package var messages = 256
        /// Of messages found.
        package var foundOctets = 262_144
        /// Looked at.
        package var headers = 16_384
        /// Octets searched through.
        package var searchedOctets = 2_097_152

        package init() {}
    }

    /// One message found, with its number.
    package typealias Found = (number: UInt64, header: Header, octets: [UInt8])

    /// Looks backwards from the message before `number`.
    ///
    /// - Returns: what was found, the newest first, and where to go on; nil when nothing older can match.
    package func search(
        before number: UInt64, _ filter: TraceFilter, _ effort: Effort = Effort()
    ) -> (found: [Found], next: UInt64?) {
        var search = Search(filter, effort)
        var number = min(number, next)
        while number > oldest {
            guard search.look(at: number - 1, in: self) else { return (search.found, number) }
            number -= 1
            // Times go backwards only when somebody sets the clock.
            if let header = header(of: number), header.microseconds < filter.sinceMicroseconds { break }
        }
        return (search.found, nil)
    }

    /// Looks forward from `number`.
    ///
    /// - Returns: what was found, the oldest first, where to go on, and how many had been overwritten already.
    package func search(
        from number: UInt64, _ filter: TraceFilter, _ effort: Effort = Effort()
    ) -> (found: [Found], next: UInt64, missed: UInt64) {
        var search = Search(filter, effort)
        // A number from the future belongs to an earlier run of the daemon.
        let start = number > next ? oldest : max(number, oldest)
        let missed = number < oldest ? oldest - number : 0
        var number = start
        while number < next, search.look(at: number, in: self) { number += 1 }
        return (search.found, number, missed)
    }

    /// Everything that is there of these dialogs, the oldest first: for one call, not for a listing.
    package func messages(ofCallIDs callIDs: [String], since microseconds: Int64 = .min) -> [Found] {
        var filter = TraceFilter(callIDs: callIDs)
        filter.sinceMicroseconds = microseconds
        var effort = Effort()
        (effort.messages, effort.foundOctets, effort.headers, effort.searchedOctets) = (2_048, 4 << 20, .max, .max)
        return search(before: next, filter, effort).found.reversed()
    }

    private struct Search {
        let filter: TraceFilter
        var effort: Effort
        var found: [Found] = []

        init(_ filter: TraceFilter, _ effort: Effort) {
            self.filter = filter
            self.effort = effort
        }

        /// False when the effort is spent; that message was then not looked at.
        mutating func look(at number: UInt64, in trace: SIPTrace) -> Bool {
            guard let header = trace.header(of: number), effort.messages > 0, effort.headers > 0, effort.foundOctets > 0,
                effort.searchedOctets > 0
            else { return false }
            effort.headers -= 1
            guard filter.matches(header) else { return true }
            if filter.looksInside {
                effort.searchedOctets -= header.count
                guard filter.mayMatch(header, in: trace) else { return true }
            }
            let octets = trace.octets(of: header)
            guard !filter.looksInside || filter.matches(octets) else { return true }
            found.append((number, header, octets))
            effort.messages -= 1
            effort.foundOctets -= header.count
            return true
        }
    }
}

extension SIPTrace {
    /// Answers `trace`.
    ///
    /// - Throws: what is wrong with the query.
    package func page(_ query: TraceQuery) throws(ControlError) -> TracePage {
        let filter = try TraceFilter(query)
        var effort = Effort()
        if let limit = query.limit { effort.messages = min(max(limit, 1), effort.messages) }
        if let from = query.from {
            let (found, next, missed) = search(from: from, filter, effort)
            return TracePage(
                messages: found.map { traced($0, query) }, newer: next, hasNewer: next < self.next, missed: missed)
        }
        let start = min(query.before ?? next, next)
        let (found, older) = search(before: start, filter, effort)
        return TracePage(messages: found.reversed().map { traced($0, query) }, older: older, newer: start, hasNewer: start < next)
    }

    private func traced(_ found: Found, _ query: TraceQuery) -> TracedSIPMessage {
        TracedSIPMessage(
            number: found.number, microseconds: found.header.microseconds,
            direction: found.header.direction == .received ? .received : .sent,
            transport: "\(found.header.transport)".uppercased(), peer: found.header.peer, local: found.header.local,
            octets: query.mask == true ? SecretMask.masked(found.octets) : found.octets)
    }
}
