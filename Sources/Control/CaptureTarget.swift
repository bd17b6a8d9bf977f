package import Core
package import Relay

/// A session to listen to, with the relay's own RTP address towards each leg; RTCP is one port above.
package struct TappedSession: Sendable, Equatable {
    package let id: SessionID
    package let caller: SocketAddress
    package let callee: SocketAddress

    package init(id: SessionID, caller: SocketAddress, callee: SocketAddress) {
        self.id = id
        self.caller = caller
        self.callee = callee
    }

    func local(_ leg: Leg, isRTCP: Bool) -> SocketAddress {
        let rtp = leg == .caller ? caller : callee
        return isRTCP ? SocketAddress(ip: rtp.ip, port: rtp.port &+ 1) : rtp
    }
}

/// What `relayctl capture` listens to.
struct CaptureTarget: Sendable {
    /// As `relayctl` names the call.
    let call: String
    /// Of the SIP messages that belong to it.
    var callIDs: [String]
    var sessions: [TappedSession]
    var comments: [String]
    /// SIP messages that say what the descriptions were, where relayd sees none.
    var descriptions: [Description] = []

    struct Description: Sendable {
        let octets: [UInt8]
        let source: SocketAddress
        let destination: SocketAddress
    }
}

/// A recording that a proxy asked for. The same key again: its sessions have changed.
package struct NGRecording: Sendable, Equatable {
    package let key: String
    /// Without a directory.
    package let fileName: String
    package let sessions: [TappedSession]
    /// About the whole file.
    package let comments: [String]
}
