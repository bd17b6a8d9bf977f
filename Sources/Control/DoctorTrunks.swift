import Configuration
package import ControlProtocol
package import Core

/// The two trunks of `relayctl doctor`, on this machine and for a while.
package struct DoctorTrunks: Sendable {
    let caller: SharedTrunk
    let callee: SharedTrunk
    let expiresAt: Instant

    /// Nil for addresses that are not this machine's: the doctor is no way for somebody else to place calls.
    package init?(_ query: DoctorQuery, own: IPAddress, now: Instant) {
        guard [query.caller, query.callee].allSatisfy({ $0.port != 0 && ($0.ip.isLoopback || $0.ip == own) }) else { return nil }
        var caller = Trunk(name: CallRecord.doctorTrunk, address: query.caller)
        caller.noMediaTimeout = .seconds(query.noMediaTimeoutSeconds)
        var callee = Trunk(name: CallRecord.doctorTrunk, address: query.callee)
        callee.noMediaTimeout = .seconds(query.noMediaTimeoutSeconds)
        // Two calls at once are all it places; whoever else finds the ports gets no further.
        caller.capacity = 8
        self.caller = SharedTrunk(caller)
        self.callee = SharedTrunk(callee)
        expiresAt = now + .seconds(query.seconds)
    }
}

extension CallControl {
    /// The doctor's way for a call from `source`; nil for everybody else.
    mutating func doctorRoute(from source: SocketAddress, now: Instant) -> (caller: SharedTrunk, callee: SharedTrunk)? {
        guard let doctor, isFromDoctor(source, now: now) else { return nil }
        return (doctor.caller, doctor.callee)
    }

    /// A source that needs no credentials, as a trunk's.
    mutating func isFromDoctor(_ source: SocketAddress, now: Instant) -> Bool {
        doctor.map { now < $0.expiresAt && source == $0.caller.address } ?? false
    }
}

extension CallControl {
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
