import Configuration
package import ControlProtocol
package import Core
import SIP

/// The two ends of `relayctl doctor`, on this machine and for a while.
package struct DoctorTrunks: Sendable {
    /// Where its calls come from.
    let caller: SocketAddress
    /// Where they go to, whatever the number.
    let callee: Trunk
    let expiresAt: Instant

    /// Nil for addresses that are not this machine's: the doctor is no way for somebody else to place calls.
    package init?(_ query: DoctorQuery, own: IPAddress, now: Instant) {
        guard [query.caller, query.callee].allSatisfy({ $0.port != 0 && ($0.ip.isLoopback || $0.ip == own) }) else { return nil }
        caller = query.caller
        var callee = Trunk(name: CallRecord.doctorTrunk, address: query.callee)
        callee.noMediaTimeout = .seconds(query.noMediaTimeoutSeconds)
        callee.noMediaMode = .both
        // Some calls at once are all it places; whoever else finds the ports gets no further.
        callee.capacity = 8
        self.callee = callee
        expiresAt = now + .seconds(query.seconds)
    }
}

extension CallControl {
    func isFromDoctor(_ source: SocketAddress, now: Instant) -> Bool {
        doctor.map { now < $0.expiresAt && source == $0.caller } ?? false
    }

    /// Where a test call goes; nil for every other call.
    func doctorTarget(of invite: SIPMessage, from source: SocketAddress, now: Instant) -> CalleeTarget? {
        guard let doctor, isFromDoctor(source, now: now) else { return nil }
        let user = SIPURI(invite.requestURI)?.user.map { "\($0)@" } ?? ""
        let uri = "sip:\(user)\(doctor.callee.address)"
        return CalleeTarget(trunk: doctor.callee, timers: SetupTimers(), uri: uri, to: uri)
    }

    /// Opens the doctor's way, or closes it for zero seconds.
    ///
    /// - Returns: false for addresses of another machine.
    package mutating func openDoctor(_ query: DoctorQuery, now: Instant) -> Bool {
        guard query.seconds > 0 else {
            doctor = nil
            return true
        }
        guard let trunks = DoctorTrunks(query, own: configuration.sip.listen.ip, now: now) else { return false }
        doctor = trunks
        return true
    }
}
