import Core

/// What no key can check alone.
extension ConfigurationReader {
    mutating func checkAddresses() {
        let sip = configuration.sip
        if sip.listen.ip.isUnspecified, sip.advertise == nil, !isRefused("sip.advertise") {
            refuse(
                ["sip", "listen"], key: "sip.advertise",
                "is missing while sip.listen is \(sip.listen), expected the address peers reach relayd at")
        }
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
            if trunk.address.ip.family == .ipv6, configuration.sip.listen.ip.family == .ipv4 {
                refuse(
                    path + ["address"], key: "trunk.address",
                    "\(trunk.address) is an IPv6 address, expected IPv4 while sip.listen is \(configuration.sip.listen)")
            }
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
