import Configuration
import Core
import SIP

/// Whether a call's media goes through relayd, and in words why. Decided once, when the call begins: a further route may not
/// change it, so all that may be tried count.
struct MediaProxy: Equatable {
    let isRelayed: Bool
    private let rule: Rule

    /// What decided; the names are those of the side concerned.
    private enum Rule: Equatable {
        case present, automatic, addressFamilies, addressSpaces
        case mode(MediaProxyMode, of: String)
        case behindNAT(String)
        case convertsDigits(String)
    }

    /// For people: most calls are asked for it by nobody.
    var reason: String {
        switch rule {
        case .present: "relayed"
        case .automatic: "media_proxy is auto, and nothing needs it"
        case .addressFamilies: "IPv4 and IPv6"
        case .addressSpaces: "private and public addresses"
        case .mode(let mode, let name): "media_proxy of \(name) is \(mode.rawValue)"
        case .behindNAT(let name): "\(name) is behind NAT"
        case .convertsDigits(let name): "digits are converted for \(name)"
        }
    }

    /// One end of the way.
    struct Side {
        let mode: MediaProxyMode
        let isBehindNAT: Bool
        /// Of its media, as far as it is known.
        let address: IPAddress?
        /// Digits are converted on the way to it, which the relay does.
        let convertsDigits: Bool
        let name: String
    }

    static let present = MediaProxy(isRelayed: true, .present)

    private init(isRelayed: Bool, _ rule: Rule) {
        self.isRelayed = isRelayed
        self.rule = rule
    }

    /// - Parameter natIsRelayed: `media.proxy_behind_nat`.
    static func decide(_ caller: Side, _ callee: Side, natIsRelayed: Bool) -> MediaProxy {
        /// Whose side it is, the caller's first; nil when it is neither's.
        func name(where condition: (Side) -> Bool) -> String? {
            condition(caller) ? caller.name : condition(callee) ? callee.name : nil
        }
        func relayed(_ rule: Rule) -> MediaProxy { MediaProxy(isRelayed: true, rule) }
        if let name = name(where: { $0.mode == .must }) { return relayed(.mode(.must, of: name)) }
        if natIsRelayed, let name = name(where: \.isBehindNAT) { return relayed(.behindNAT(name)) }
        if let one = caller.address, let other = callee.address, one.family != other.family { return relayed(.addressFamilies) }
        if let name = name(where: \.convertsDigits) { return relayed(.convertsDigits(name)) }
        if let name = name(where: { $0.mode == .off }) { return MediaProxy(isRelayed: false, .mode(.off, of: name)) }
        if let name = name(where: { $0.mode == .on }) { return relayed(.mode(.on, of: name)) }
        if let one = caller.address, let other = callee.address, one.isPrivate != other.isPrivate { return relayed(.addressSpaces) }
        return MediaProxy(isRelayed: false, .automatic)
    }
}

extension CallControl {
    /// For a call that has its first route, and perhaps more: relayed where one of its ways has to be.
    mutating func mediaProxy(of call: Call) -> MediaProxy {
        let connection = call.offer.flatMap { $0.media[call.main.place].connection }
        let announced = connection.flatMap { $0.isUnspecified ? nil : $0 }
        // What a party says of itself, where its SIP does not come from there: it is behind something.
        let isHidden = announced.map { $0.isPrivate && !call.source.ip.isPrivate } ?? false
        let caller = MediaProxy.Side(
            mode: call.callerTrunk?.mediaProxy ?? configuration.media.proxy, isBehindNAT: call.caller.isBehindNAT || isHidden,
            address: announced ?? call.source.ip, convertsDigits: (call.callerTrunk?.dtmf ?? .passthrough) != .passthrough,
            name: call.callerTrunk?.name ?? "the caller")
        let natIsRelayed = configuration.media.proxyBehindNAT == .on
        var first: MediaProxy?
        for attempt in call.attempts {
            for index in 0...attempt.further.count {
                let target = index == 0 ? attempt.first : attempt.further[index - 1]
                let callee = side(target.trunk, at: target.destination.ip, isBehindNAT: target.isBehindNAT)
                let decision = MediaProxy.decide(caller, callee, natIsRelayed: natIsRelayed)
                if decision.isRelayed { return decision }
                first = first ?? decision
            }
        }
        for route in call.routes {
            let callee = side(route.trunk, at: route.trunk.address.ip, isBehindNAT: false)
            let decision = MediaProxy.decide(caller, callee, natIsRelayed: natIsRelayed)
            if decision.isRelayed { return decision }
            first = first ?? decision
        }
        return first ?? .present
    }

    private mutating func side(_ trunk: SharedTrunk?, at address: IPAddress, isBehindNAT: Bool) -> MediaProxy.Side {
        MediaProxy.Side(
            mode: trunk?.mediaProxy ?? configuration.media.proxy, isBehindNAT: isBehindNAT, address: address,
            convertsDigits: (trunk?.dtmf ?? .passthrough) != .passthrough, name: trunk?.name ?? "the callee")
    }

    /// Media goes from one party to the other: nothing is opened for it.
    mutating func passMediaBy(_ number: CallNumber) {
        directCalls.insert(number)
        enqueue(.mediaOpened, for: number)
    }
}
