package import Core

/// Where a proxy takes remote procedure calls: `http://HOST[:PORT][/PATH]`, with `%%` for the proxy's own address.
package struct CallbackURL: Hashable, Sendable, CustomStringConvertible {
    /// Nil: whichever proxy made the call.
    package var host: IPAddress?
    package var port: UInt16
    /// Begins with `/`.
    package var path: String

    package init?(_ text: String) {
        guard text.hasPrefix("http://"), text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else { return nil }
        let rest = text.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" }
        path = authority.count == rest.count ? "/" : String(rest.dropFirst(authority.count))
        if authority == Self.proxy {
            port = 80
        } else if authority.hasPrefix(Self.proxy + ":") {
            guard let port = UInt16(authority.dropFirst(Self.proxy.count + 1)) else { return nil }
            self.port = port
        } else {
            guard let address = SocketAddress(String(authority), defaultPort: 80), !address.ip.isUnspecified else { return nil }
            host = address.ip
            port = address.port
        }
        guard port > 0 else { return nil }
    }

    package var description: String { "http://\(host.map { "\(SocketAddress(ip: $0, port: port))" } ?? "%%:\(port)")\(path)" }

    /// Where to connect to, for a call that `proxy` made; nil when that has to be known and is not.
    package func server(proxy: IPAddress?) -> SocketAddress? {
        (host ?? proxy).map { SocketAddress(ip: $0, port: port) }
    }

    private static let proxy = "%%"
}

/// How a proxy is asked to end a dialog.
package enum CallbackFormat: String, CaseIterable, Sendable {
    case xmlrpc, jsonrpc
}
