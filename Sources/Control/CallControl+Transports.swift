import Configuration
import Core
import SIP

/// By which transport a message goes, and by which addresses its media.
extension CallControl {
    /// 200 octets less than the MTU of most networks: what is longer would come in fragments, which get lost together and which
    /// firewalls drop (RFC 3261 §18.1.1).
    static let datagramLimit = 1_300
    /// How long a peer that refused a connection gets everything by UDP.
    static let streamAvoidance = Duration.seconds(600)
    private static let streamAvoidanceLimit = 1_000

    /// The TCP flow that a long request takes in place of a UDP one: towards a trunk that is not bound to UDP, when relayd
    /// itself listens for TCP. Nil when it goes by UDP.
    mutating func streamInstead(of flow: Flow, for request: [UInt8], now: Instant) -> Flow? {
        guard !flow.isReliable, request.count > Self.datagramLimit, now >= withoutStreams[flow.remote] ?? now,
            let trunk = configuration.trunks.first(where: { $0.address == flow.remote }), trunk.namedTransport == nil
        else { return nil }
        let stream = Flow(.tcp, to: flow.remote)
        return endpoints.listener(for: stream) == nil ? nil : stream
    }

    mutating func avoidStreams(to peer: SocketAddress, now: Instant) {
        if withoutStreams.count >= Self.streamAvoidanceLimit { withoutStreams = withoutStreams.filter { $0.value > now } }
        withoutStreams[peer] = now + Self.streamAvoidance
    }

}

extension SettingsInUse {
    /// Where the media socket of a leg is, and what its peer is told: of the peer's address family. Without one of that family
    /// the default stands in.
    func mediaAddresses(_ leg: Leg, of call: Call) -> MediaAddresses {
        let target = call.calleeTrunk?.address.ip ?? call.attempts.first?.first.destination.ip
        let family = leg == .caller ? call.main[.caller].address?.ip.family ?? call.source.ip.family : target?.family
        return family.flatMap { mediaAddresses(for: $0) } ?? otherMedia
    }
}
