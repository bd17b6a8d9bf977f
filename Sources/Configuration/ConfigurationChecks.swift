import Core

/// What no key can check alone.
extension ConfigurationReader {
    mutating func checkAddresses() {
        if !configuration.sip.listeners.isEmpty, configuration.origins["sip.listen"] == nil {
            configuration.sip.listensOnUDPDefault = false
            configuration.sip.listen = configuration.sip.listeners[0].address
        }
        let sip = configuration.sip
        for listener in sip.allListeners where listener.address.ip.isUnspecified {
            let key = sip.listeners.contains(listener) ? "listeners" : "listen"
            let place = key == "listen" ? "\(listener.address)" : "\(listener)"
            if listener.advertised == nil, sip.advertise == nil, !isRefused("sip.advertise") {
                refuse(
                    ["sip", key], key: "sip.advertise",
                    "is missing while sip.\(key) is \(place), expected the address peers reach relayd at")
            }
        }
        checkListeners()
        // Where SIP's address stands in for it, the family has to fit what the relay's sockets can do.
        let media = configuration.mediaAddress
        if media.isUnspecified, configuration.media.advertise == nil, !isRefused("media.advertise"),
            configuration.advertisedMediaAddress.family != media.family, !isRefused("sip.advertise")
        {
            refuse(
                ["media", "address"], key: "media.advertise",
                "is missing while media.address is \(media) and SIP advertises another address family, "
                    + "expected the address peers send media to")
        }
    }

    mutating func checkTrunks() {
        var lineOfName: [String: Int] = [:]
        var ownerOfSource: [TrunkSource: String] = [:]
        for (trunk, number) in zip(configuration.trunks, trunkNumbers) {
            let path = ["trunk", String(number)]
            if let line = lineOfName[trunk.name] {
                refuse(
                    path + ["name"], key: "trunk.name",
                    "\(trunk.name.quotedForTOML) is also the trunk in line \(line), expected a name of its own")
                continue
            }
            lineOfName[trunk.name] = lines[path + ["name"]]
            checkTransport(of: trunk, path)
            if trunk.username == nil, trunk.password != nil || (trunk.register == .on && trunk.registerUser == nil) {
                refuse(
                    path, key: "trunk.username",
                    "is missing while \(trunk.password == nil ? "register is \"on\"" : "password is set"), expected the user name "
                        + "for the trunk")
            }
            for source in trunk.sources {
                if let owner = ownerOfSource.updateValue(trunk.name, forKey: source) {
                    refuse(
                        path + ["sources"], key: "trunk.sources",
                        "\(source) is also a source of trunk \(owner.quotedForTOML), expected one trunk a source")
                }
            }
        }
    }

    private mutating func checkListeners() {
        let sip = configuration.sip
        var places: Set<SIPListener> = []
        for listener in sip.allListeners {
            // A UDP and a TCP listener may share an address; TCP and TLS may not.
            let place = SIPListener(listener.transport == .udp ? .udp : .tcp, listener.address)
            guard places.insert(place).inserted else {
                refuse(["sip", "listeners"], key: "sip.listeners", "\(listener.address) is there twice, expected one listener an address")
                continue
            }
        }
        if sip.allListeners.count > 32 { refuse(["sip", "listeners"], key: "sip.listeners", "are more than 32") }
        guard sip.allListeners.contains(where: { $0.transport == .tls }) else { return }
        for (key, path) in [("tls_certificate", sip.tls.certificate), ("tls_key", sip.tls.key)] where path == nil {
            refuse(
                ["sip", "listeners"], key: "sip.\(key)",
                "is missing while sip.listeners has TLS, expected the path of a PEM file")
        }
    }

    private mutating func checkTransport(of trunk: Trunk, _ path: [String]) {
        let listeners = configuration.sip.allListeners
        if let named = trunk.addressTransport, let transport = trunk.namedTransport, named != transport {
            refuse(
                path + ["transport"], key: "trunk.transport",
                "\(transport.rawValue.quotedForTOML) is another one than \(trunk.place) says, expected one of them")
        }
        if !listeners.contains(where: { $0.address.ip.family == trunk.address.ip.family }) {
            let is6 = trunk.address.ip.family == .ipv6
            let place = listeners.map { $0.transport == .udp ? "\($0.address)" : "\($0)" }.joined(separator: ", ")
            refuse(
                path + ["address"], key: "trunk.address",
                "\(trunk.address) is an IPv\(is6 ? 6 : 4) address, expected IPv\(is6 ? 4 : 6) while sip.listen is \(place)")
        } else if trunk.transport == .udp, !listeners.contains(where: { $0.transport == .udp && $0.address.ip.family == trunk.address.ip.family }) {
            refuse(path + ["address"], key: "trunk.address", "\(trunk.address) is reached by UDP, and no listener is of UDP")
        }
    }

    mutating func checkRoutes() {
        let names = configuration.trunks.map(\.name)
        for (route, number) in zip(configuration.routes, routeNumbers) where !names.contains(route.trunk) {
            // A trunk with a mistake of its own has been refused already.
            guard !problems.contains(where: { $0.key?.hasPrefix("trunk") ?? false }) else { return }
            let hint = Suggestion.nearest(to: route.trunk, among: names).map { ", did you mean `\($0)`?" } ?? ""
            refuse(
                ["route", String(number), "trunk"], key: "route.trunk",
                "\(route.trunk.quotedForTOML) is no trunk\(hint.isEmpty ? ", expected the name of one" : hint)")
        }
    }

    /// Whether there is already a problem with this key; one is enough.
    private func isRefused(_ key: String) -> Bool { problems.contains { $0.key == key } }
}
