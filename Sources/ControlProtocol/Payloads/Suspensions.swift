package import Core

/// One entry of the answer to `suspensions`: a user name that is refused at an address after too many wrong passwords.
package struct SuspensionSummary: Codable, Equatable, Sendable {
    /// At most 64 octets of it; it need not be a user of ours.
    package var user: String
    package var address: IPAddress
    package var until: WallTime
    package var secondsLeft: Int

    package init(user: String, address: IPAddress, until: WallTime, secondsLeft: Int) {
        self.user = user
        self.address = address
        self.until = until
        self.secondsLeft = secondsLeft
    }
}

/// What `lift` is asked for.
package struct LiftQuery: Codable, Equatable, Sendable {
    package var user: String
    /// Nil: at every address.
    package var address: IPAddress?

    package init(user: String, address: IPAddress? = nil) {
        self.user = user
        self.address = address
    }
}
