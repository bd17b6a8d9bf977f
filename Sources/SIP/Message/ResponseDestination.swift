package import Core

/// Where the response to a request goes (RFC 3261 §18.2.2, RFC 3581 §4).
package enum ResponseDestination {
    /// Over UDP, always the address the request came from. The port:
    /// - with `rport`, the one it came from;
    /// - with an IP literal in sent-by that is not the source, the one it came from, too: a NAT stands between, and the
    ///   port in sent-by means nothing on our side of it (here the RFC would use it);
    /// - else the one in sent-by, by default 5060.
    ///
    /// `maddr` is not followed: it would let anyone have us send to a third party.
    package static func address(for via: Via, source: SocketAddress) -> SocketAddress {
        if via.hasRport { return source }
        if let host = via.hostAddress, host != source.ip { return source }
        return SocketAddress(ip: source.ip, port: via.port ?? 5060)
    }

    package static func address(for request: SIPMessage, source: SocketAddress) -> SocketAddress {
        // Asked for with each answer, and nearly always decided by this.
        request.viaLayout.hasRport ? source : address(for: request.topVia, source: source)
    }

    /// Over a stream: the connection that the request came by; when that has gone, a new one to where it came from, at
    /// the port in sent-by.
    package static func flow(for request: SIPMessage, source: Flow) -> Flow {
        var flow = source
        if source.isReliable {
            flow.remote.port = request.topVia.port ?? source.transport.defaultPort
            flow.mayConnect = true
        } else {
            flow.remote = address(for: request, source: source.remote)
        }
        return flow
    }
}
