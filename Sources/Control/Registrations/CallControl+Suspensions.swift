package import ControlProtocol
package import Core
import SIP

/// Users that are suspended at an address, for operators.
extension CallControl {
    package func suspensions(now: Instant) -> [SuspensionSummary] {
        phones?.credentialGuard.suspensions(now: now).map { summary(of: $0, now: now) } ?? []
    }

    /// - Returns: what has ended with it; empty when there was no such suspension.
    package mutating func lift(_ query: LiftQuery, now: Instant) -> [SuspensionSummary] {
        guard phones != nil else { return [] }
        let lifted = phones!.credentialGuard.lift(Array(query.user.utf8), at: query.address, now: now).map { summary(of: $0, now: now) }
        for suspension in lifted {
            emit(.credentialsLifted, for: nil, ["user": suspension.user, "source": "\(suspension.address)"], now: now)
        }
        return lifted
    }

    private func summary(of suspension: CredentialGuard.Suspension, now: Instant) -> SuspensionSummary {
        SuspensionSummary(
            user: String(decoding: suspension.name, as: UTF8.self), address: suspension.ip, until: wallTime(suspension.until),
            secondsLeft: Int((suspension.until - now).components.seconds))
    }
}
