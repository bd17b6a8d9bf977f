import Core

/// Why a phone is taken to be behind NAT; the raw value is what operators see.
package enum NATEvidence: UInt8, Sendable, CaseIterable {
    case none
    /// The address in Via is not where the request came from.
    case viaAddress
    /// The address in Contact is not where the request came from.
    case contactAddress
    /// Via or Contact name a host that says nothing about the address.
    case hostName

    package var text: String {
        switch self {
        case .none: "no"
        case .viaAddress: "Via differs from the source"
        case .contactAddress: "Contact differs from the source"
        case .hostName: "a host name in Via or Contact"
        }
    }

    /// What a request says of its sender. Only the one that came without a proxy tells about the sender's own NAT: with
    /// several Via values the source is that of a proxy, and a stream keeps its own way open.
    package init(_ request: SIPMessage, contact: SIPURI?, flow: Flow) {
        self = .none
        guard flow.transport == .udp, request.hasOneVia else { return }
        guard let sentBy = request.viaAddress else {
            self = .hostName
            return
        }
        if sentBy != flow.ip {
            self = .viaAddress
        } else if let contact {
            guard let address = IPAddress(ascii: contact.hostOctets) else {
                self = .hostName
                return
            }
            if address != flow.ip { self = .contactAddress }
        }
    }
}
