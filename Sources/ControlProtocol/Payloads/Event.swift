package import Core

/// Something that happened, as subscribers are told.
package struct Event: Codable, Equatable, Sendable {
    package var at: WallTime
    package var name: Name
    /// The `CallSummary.id` of the call it is about.
    package var callID: String?
    package var fields: EventFields

    package init(at: WallTime, name: Name, callID: String? = nil, fields: EventFields = [:]) {
        self.at = at
        self.name = name
        self.callID = callID
        self.fields = fields
    }

    /// A stable, dotted name. A client passes over names it does not know, so this is not a closed list.
    package struct Name: RawRepresentable, Hashable, Codable, Sendable {
        package let rawValue: String

        package init(rawValue: String) { self.rawValue = rawValue }

        /// A request from a source that is no trunk and no phone: told once a source in ten minutes.
        package static let strangerRefused = Name(rawValue: "stranger.refused")
        package static let callSetup = Name(rawValue: "call.setup")
        package static let callRinging = Name(rawValue: "call.ringing")
        package static let callAnswered = Name(rawValue: "call.answered")
        /// An attempt failed and the next route is tried.
        package static let callRerouted = Name(rawValue: "call.rerouted")
        package static let trunkDown = Name(rawValue: "trunk.down")
        package static let trunkUp = Name(rawValue: "trunk.up")
        /// Our registration with a trunk: it stands, or it does not.
        package static let trunkRegistered = Name(rawValue: "trunk.registered")
        package static let trunkNotRegistered = Name(rawValue: "trunk.not_registered")
        /// A re-INVITE or an UPDATE was agreed on: `hold` names who does less than sending and receiving.
        package static let callChanged = Name(rawValue: "call.changed")
        /// The party of `leg` answers 481, 408 or nothing inside its dialog.
        package static let callPeerLost = Name(rawValue: "call.peer_lost")
        /// Nobody refreshed the session of `leg` in time (RFC 4028).
        package static let callSessionExpired = Name(rawValue: "call.session_expired")
        /// No ACK came for the answer. `contact` is where the caller was told to send it and could not, or did not.
        package static let callAckMissing = Name(rawValue: "call.ack_missing")
        package static let callReleased = Name(rawValue: "call.released")
        package static let mediaLocked = Name(rawValue: "media.locked")
        package static let mediaSilent = Name(rawValue: "media.silent")
        package static let registrationAdded = Name(rawValue: "registration.added")
        package static let registrationRemoved = Name(rawValue: "registration.removed")
        /// The connection that a phone registered by has ended.
        package static let registrationCutOff = Name(rawValue: "registration.cut_off")
        package static let credentialsSuspended = Name(rawValue: "credentials.suspended")
        /// An operator has ended a suspension.
        package static let credentialsLifted = Name(rawValue: "credentials.lifted")
        package static let keepAliveShortfall = Name(rawValue: "keepalive.shortfall")
        package static let recordingStarted = Name(rawValue: "recording.started")
        package static let record = Name(rawValue: "record")
        /// The file was read again: `changes` settings differ, or `error` says why it counts for nothing.
        package static let configurationReloaded = Name(rawValue: "configuration.reloaded")
        package static let daemonStopping = Name(rawValue: "daemon.stopping")
        /// This connection read too slowly: field `count` says how many events it lost.
        package static let eventsDropped = Name(rawValue: "events.dropped")
    }
}
