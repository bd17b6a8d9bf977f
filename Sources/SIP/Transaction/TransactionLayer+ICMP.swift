package import Core

/// Which request an ICMP error is about. Anybody can send one, from any address.
extension TransactionLayer {
    /// Beyond it an error that does not name its request is not put down to one: a host that does not answer ARP is given up
    /// after 3 s.
    private static let shortQuoteWindow = Duration.seconds(4)

    /// The client transaction whose request came back in an ICMP error, while nothing was heard in answer to it. Its branch is
    /// as good as a password: only who is on the way has seen it (RFC 3261 §8.1.1.7).
    ///
    /// - Parameter quoted: the first octets of the request, with all of its branch; else the answer is nil.
    package func unheard(quoted: [UInt8], sentTo destination: SocketAddress) -> TransactionID? {
        guard let (method, text) = Self.methodAndBranch(in: quoted), let branch = ViaBranch(text),
            let client = clientsByKey[SentRequestKey(branch, method)],
            client.isUnheard(at: destination)
        else { return nil }
        return client.id
    }

    /// Whether so little of a request came back that its branch is not there.
    package static func isShort(_ quoted: [UInt8]) -> Bool { methodAndBranch(in: quoted) == nil }

    /// The newest client transaction that an error may be about which does not name its request: opened a moment ago, nothing
    /// heard, to an address that has given no sign of life in any transaction that is still there. Looks at each transaction.
    package func unheard(beginningWith quoted: [UInt8], sentTo destination: SocketAddress, now: Instant) -> TransactionID? {
        var newest: Client?
        for client in clients.values where client.destination.remote == destination {
            if client.hasHeard { return nil }
            guard client.isUnheard(at: destination), now - client.openedAt <= Self.shortQuoteWindow,
                client.request.starts(with: quoted), client.id.rawValue > newest?.id.rawValue ?? 0
            else { continue }
            newest = client
        }
        return servers.values.contains { $0.source.remote == destination } ? nil : newest?.id
    }

    /// relayd's own requests begin with the request line and the Via that has the branch.
    private static func methodAndBranch(in octets: [UInt8]) -> (Method, ArraySlice<UInt8>)? {
        let head = octets.prefix(1_024)
        let mark = Array(";branch=".utf8)
        guard let space = head.firstIndex(of: 0x20), let line = head.firstIndex(of: 0x0A),
            let start = head[line...].firstIndex(where: { $0 == mark[0] }), head[start...].starts(with: mark),
            let end = head[(start + mark.count)...].firstIndex(where: { $0 == 0x3B || $0 == 0x0D })
        else { return nil }
        let method = Method(String(decoding: head[..<space], as: UTF8.self))
        return (method, head[(start + mark.count)..<end])
    }
}

extension TransactionLayer.Client {
    fileprivate func isUnheard(at address: SocketAddress) -> Bool {
        !hasHeard && !destination.isReliable && destination.remote == address
    }
}
