package import Core

/// Where the response to a request received over UDP goes (RFC 3261 §18.2.2, RFC 3581 §4).
package enum ResponseDestination {
    /// Always the address the request came from. The port:
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
        address(for: request.topVia, source: source)
    }
}
