import Configuration
import Core
import Relay
import SIP

/// What `relayctl capture` listens to in a call between trunks.
extension CallControl {
    func captureTarget(_ name: String) -> CaptureTarget? {
        guard let call = call(named: name) else { return nil }
        let ip = configuration.mediaAddress.isUnspecified ? configuration.advertisedMediaAddress : configuration.mediaAddress
        let sessions = call.mediumNumbers.compactMap { call[medium: $0].taken }.map {
            TappedSession(
                id: $0.session, caller: SocketAddress(ip: ip, port: $0.callerPort),
                callee: SocketAddress(ip: ip, port: $0.calleePort))
        }
        return CaptureTarget(
            call: call.id, callIDs: captureCallIDs(of: call), sessions: sessions,
            comments: [
                "Call \(call.id): \(call.callerNumber) calls \(call.calledNumber)", "Caller's Call-ID: \(call.caller.callID)",
            ] + (call.callee.map { ["Callee's Call-ID: \($0.callID)"] } ?? []))
    }

    private func captureCallIDs(of call: Call) -> [String] {
        [call.caller.callID] + (call.callee.map { [$0.callID] } ?? [])
    }
}
