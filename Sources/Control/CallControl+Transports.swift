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

    /// The TCP flow that a long request takes in place of a UDP one, when relayd itself listens for TCP: towards the address of a
    /// trunk, and inside a dialog with a trunk towards what its Contact or Record-Route names. Nil when it goes by UDP: where the
    /// trunk or its Contact is bound to that, and to phones, which are reached by the flow they registered on.
    mutating func streamInstead(
        of flow: Flow, for request: [UInt8], in dialog: @autoclosure () -> Dialog?, with trunk: @autoclosure () -> SharedTrunk?,
        now: Instant
    ) -> Flow? {
        guard !flow.isReliable, request.count > Self.datagramLimit, now >= withoutStreams[flow.remote] ?? now else { return nil }
        if let called = configuration.trunks.first(where: { $0.address == flow.remote }) {
            guard called.namedTransport == nil else { return nil }
        } else {
            guard let trunk = trunk(), trunk.namedTransport == nil, let dialog = dialog(), dialog.takesAnyTransport,
                dialog.destination == flow
            else { return nil }
        }
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
