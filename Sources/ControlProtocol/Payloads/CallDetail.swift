package import Core

/// Everything about one present call, as `call` answers it.
package struct CallDetail: Codable, Equatable, Sendable {
    package var summary: CallSummary
    package var caller: Leg
    /// Nil while no INVITE was sent to a callee.
    package var callee: Leg?
    /// Messages of both legs, oldest first.
    package var ladder: [LadderEntry]
    /// Whether its media goes through relayd, and why; nil from a daemon that does not say.
    package var proxy: String?
    /// How digits are converted between the sides; nil when they pass as they come.
    package var digits: String?
    /// Seconds until relayd ends it, however it is then: the longest duration that is allowed; nil without a limit.
    package var endsInSeconds: Int?
    /// What is or was relayed beside the main medium, of which the rest tells; nil when there is nothing.
    package var furtherMedia: [FurtherMedium]?

    package init(summary: CallSummary, caller: Leg, callee: Leg? = nil, ladder: [LadderEntry] = []) {
        self.summary = summary
        self.caller = caller
        self.callee = callee
        self.ladder = ladder
    }

    /// relayd's dialog with one party, and what was received from there.
    package struct Leg: Codable, Equatable, Sendable {
        package var callID: String
        package var localTag: String
        /// Nil until the peer has sent one.
        package var remoteTag: String?
        /// Where its SIP comes from and goes to.
        package var signallingAddress: SocketAddress
        /// relayd's own RTP address towards this party.
        package var relayAddress: SocketAddress?
        /// What its main medium is: `audio`, `image`, …; nil while it is not described.
        package var kind: String?
        /// Where the party's SDP asks for RTP.
        package var sdpAddress: SocketAddress?
        /// The locked RTP source; nil before the lock.
        package var lockedSource: SocketAddress?
        package var packets: UInt64
        package var octets: UInt64
        package var lost: UInt64
        /// Packets on this leg's ports from someone other than the locked source.
        package var strangersDropped: UInt64
        /// Packets of `packets` that passed inside the kernel; nil when there were none.
        package var kernelPackets: UInt64?
        /// How its media was heard; nil from a daemon that does not say.
        package var media: MediaReport?
        /// Of the dialog with it (RFC 4028); nil where there is none: switched off, or the call is not up.
        package var sessionTimer: SessionTimer?

        package init(
            callID: String, localTag: String, remoteTag: String? = nil, signallingAddress: SocketAddress,
            relayAddress: SocketAddress? = nil, sdpAddress: SocketAddress? = nil, lockedSource: SocketAddress? = nil,
            packets: UInt64 = 0, octets: UInt64 = 0, lost: UInt64 = 0, strangersDropped: UInt64 = 0,
            media: MediaReport? = nil
        ) {
            self.callID = callID
            self.localTag = localTag
            self.remoteTag = remoteTag
            self.signallingAddress = signallingAddress
            self.relayAddress = relayAddress
            self.sdpAddress = sdpAddress
            self.lockedSource = lockedSource
            self.packets = packets
            self.octets = octets
            self.lost = lost
            self.strangersDropped = strangersDropped
            self.media = media
        }
    }
}

extension CallDetail.Leg {
    package struct SessionTimer: Codable, Equatable, Sendable {
        package enum Refresher: String, Codable, Sendable { case relayd, peer }

        package var intervalSeconds: Int
        package var refresher: Refresher
        /// Whether the peer knows session timers; one that does not is refreshed, and never dropped for want of it.
        package var isPeerSupporting: Bool
        /// Until relayd refreshes; nil: the peer does, or the refresh is under way.
        package var refreshInSeconds: Int?
        /// Until the session ends without a refresh; nil: never.
        package var expiresInSeconds: Int?

        package init(
            intervalSeconds: Int, refresher: Refresher, isPeerSupporting: Bool, refreshInSeconds: Int? = nil, expiresInSeconds: Int? = nil
        ) {
            self.intervalSeconds = intervalSeconds
            self.refresher = refresher
            self.isPeerSupporting = isPeerSupporting
            self.refreshInSeconds = refreshInSeconds
            self.expiresInSeconds = expiresInSeconds
        }

        /// `1800 s, relayd refreshes in 812 s, ends in 1680 s without`.
        package var text: String {
            var parts = ["\(intervalSeconds) s"]
            let who = refresher == .relayd ? "relayd refreshes" : "the peer refreshes"
            parts.append(refreshInSeconds.map { "\(who) in \($0) s" } ?? who)
            if let expiresInSeconds { parts.append("ends in \(expiresInSeconds) s without") }
            if !isPeerSupporting { parts.append("not known to the peer") }
            return parts.joined(separator: ", ")
        }
    }
}

extension CallDetail {
    /// A medium beside the main one.
    package struct FurtherMedium: Codable, Equatable, Sendable {
        /// Which `m=` line, counted from 1.
        package var line: Int
        /// `audio`, `video`, `image`, …
        package var kind: String
        /// False once it has ended.
        package var isOpen: Bool
        package var caller: Party
        package var callee: Party

        package init(line: Int, kind: String, isOpen: Bool, caller: Party, callee: Party) {
            self.line = line
            self.kind = kind
            self.isOpen = isOpen
            self.caller = caller
            self.callee = callee
        }

        /// What was received from one party, and where.
        package struct Party: Codable, Equatable, Sendable {
            package var media: CallSummary.Media
            /// As its description says: `sendrecv`, `recvonly`, …; nil while there is none.
            package var direction: String?
            package var relayAddress: SocketAddress?
            package var sdpAddress: SocketAddress?
            package var lockedSource: SocketAddress?
            package var octets: UInt64
            package var lost: UInt64
            package var strangersDropped: UInt64
            /// What was sent to this party.
            package var sentPackets: UInt64

            package init(
                media: CallSummary.Media, direction: String?, relayAddress: SocketAddress?, sdpAddress: SocketAddress?,
                lockedSource: SocketAddress?, octets: UInt64, lost: UInt64, strangersDropped: UInt64, sentPackets: UInt64
            ) {
                self.media = media
                self.direction = direction
                self.relayAddress = relayAddress
                self.sdpAddress = sdpAddress
                self.lockedSource = lockedSource
                self.octets = octets
                self.lost = lost
                self.strangersDropped = strangersDropped
                self.sentPackets = sentPackets
            }
        }
    }
}

/// One SIP message of a call.
package struct LadderEntry: Codable, Equatable, Sendable {
    package enum Leg: String, Codable, Sendable { case caller, callee }
    package enum Direction: String, Codable, Sendable {
        /// Received by relayd.
        case `in`
        /// Sent by relayd.
        case out
    }

    package var at: WallTime
    /// Since the call's first INVITE came.
    package var milliseconds: Int64
    package var leg: Leg
    package var direction: Direction
    /// A method or a status line's end: `INVITE`, `180 Ringing`.
    package var text: String
    package var retransmission: Bool

    package init(
        at: WallTime, milliseconds: Int64, leg: Leg, direction: Direction, text: String, retransmission: Bool = false
    ) {
        self.at = at
        self.milliseconds = milliseconds
        self.leg = leg
        self.direction = direction
        self.text = text
        self.retransmission = retransmission
    }
}
