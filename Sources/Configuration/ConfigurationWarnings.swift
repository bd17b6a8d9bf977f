import Core

extension Configuration {
    /// What is allowed and most likely not wanted, one sentence each.
    ///
    /// - Parameter ephemeralPorts: the ports the kernel hands out by itself; nil when unknown.
    package func warnings(ephemeralPorts: ClosedRange<UInt16>? = HostFacts.ephemeralPorts) -> [String] {
        var warnings: [String] = []
        let ports = media.ports
        if let ephemeralPorts, ports.overlaps(ephemeralPorts) {
            warnings.append(
                "media.ports: \(text(ports)) overlaps the kernel's ephemeral ports \(text(ephemeralPorts)), so other programs "
                    + "take some of them; keep them apart or set net.ipv4.ip_local_reserved_ports")
        }
        let callCapacity = ports.count / 4
        if callCapacity < limits.calls {
            warnings.append(
                "media.ports: \(text(ports)) is enough for \(callCapacity) calls at 4 ports each, fewer than "
                    + "limits.calls = \(limits.calls)")
        }
        for listener in sip.allListeners where listener.transport == .udp && ports.contains(listener.address.port) {
            let key = sip.listeners.contains(listener) ? "sip.listeners" : "sip.listen"
            warnings.append("media.ports: \(text(ports)) contains the port of \(key), \(listener.address.port)")
        }
        if media.quarantine < .seconds(30) {
            warnings.append(
                "media.quarantine: late packets of a finished call can reach the next one on its port; 30 s or more is safe")
        }
        if media.noMediaTimeout == .zero {
            warnings.append("media.no_media_timeout: 0, so calls whose media died stay up until somebody hangs up")
        }
        if limits.unwatchedDuration == .zero, limits.maximumDuration == .zero, !users.isEmpty || !trunks.isEmpty {
            warnings.append(
                "limits.unwatched_duration: 0, and so is limits.maximum_duration: a call whose sides know no session timers and whose "
                    + "media nobody watches may stay up for ever")
        }
        let isDriven = ng.listen != nil || ng.tcp != nil || ng.socket != nil
        if trunks.isEmpty {
            if !isDriven, users.isEmpty { warnings.append("trunk: there is none, so every call is refused") }
        } else if trunks.allSatisfy(\.prefixes.isEmpty), routes.isEmpty, users.isEmpty {
            warnings.append("trunk.prefixes: no trunk has any and there is no [[route]], so no call can be routed")
        }
        if let address = http.listen, !address.ip.isLoopback {
            warnings.append(
                "http.listen: whoever reaches \(address) sees who calls whom"
                    + (http.allowHangup ? " and can end calls" : "") + "; it knows no password")
        }
        let own = sip.allListeners.flatMap { [$0.address, sip.advertised($0)] }
        for trunk in trunks where trunk.transport == .tls && trunk.tlsVerify == .off {
            warnings.append("trunk.tls_verify: off for \(trunk.name), so anyone in between can be it")
        }
        for trunk in trunks where own.contains(trunk.address) {
            warnings.append("trunk.address: \(trunk.name) is at relayd's own address, so calls to it come back and end with 482")
        }
        return warnings + phoneWarnings
    }

    private func text(_ ports: ClosedRange<UInt16>) -> String { "\(ports.lowerBound)-\(ports.upperBound)" }
}
