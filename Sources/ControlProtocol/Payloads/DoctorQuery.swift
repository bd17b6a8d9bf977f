package import Core

/// Opens a way through relayd for test calls of `relayctl doctor`: two trunks that exist for a while.
///
/// A call from `caller`, to whatever number, goes to `callee`; nothing else is routed there. The trunks are named
/// `CallRecord.doctorTrunk` in records.
package struct DoctorQuery: Codable, Equatable, Sendable {
    package var caller: SocketAddress
    package var callee: SocketAddress
    /// Of these calls, in seconds.
    package var noMediaTimeoutSeconds: Int
    /// How long the trunks exist, in seconds.
    package var seconds: Int

    package init(caller: SocketAddress, callee: SocketAddress, noMediaTimeoutSeconds: Int, seconds: Int) {
        self.caller = caller
        self.callee = callee
        self.noMediaTimeoutSeconds = noMediaTimeoutSeconds
        self.seconds = seconds
    }
}
