package import Core

/// A local address that relay ports are opened on, by the name proxies call it.
package struct MediaInterface: Hashable, Sendable {
    package let name: String
    package let address: IPAddress
    /// What descriptions carry; the address itself unless a NAT stands before it.
    package let advertised: IPAddress

    package init(name: String, address: IPAddress, advertised: IPAddress? = nil) {
        self.name = name
        self.address = address
        self.advertised = advertised ?? address
    }
}

extension MediaInterface: LosslessStringConvertible {
    /// `NAME/ADDRESS` or `NAME/ADDRESS!ADVERTISED`, as rtpengine has it.
    package var description: String {
        advertised == address ? "\(name)/\(address)" : "\(name)/\(address)!\(advertised)"
    }

    /// The name may be missing: then it is `default`.
    package init?(_ description: String) {
        var rest = Substring(description)
        var name = "default"
        if let slash = rest.firstIndex(of: "/") {
            name = String(rest[..<slash])
            rest = rest[rest.index(after: slash)...]
        }
        let parts = rest.split(separator: "!", maxSplits: 1, omittingEmptySubsequences: false)
        guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || "-_.".contains($0) }),
            let address = IPAddress(String(parts[0]))
        else { return nil }
        var advertised: IPAddress?
        if parts.count == 2 {
            guard let other = IPAddress(String(parts[1])), other.family == address.family else { return nil }
            advertised = other
        }
        guard !(advertised ?? address).isUnspecified else { return nil }
        self.init(name: name, address: address, advertised: advertised)
    }
}
