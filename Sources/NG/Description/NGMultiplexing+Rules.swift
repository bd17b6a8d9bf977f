/// Which `a=rtcp-mux` goes into which description, as rtpengine does it.
extension NGMultiplexing {
    /// What the offer to the callee says.
    package enum Offered: Sendable {
        case no
        /// With RTCP's own port beside it, for a callee that does not know RFC 5761.
        case withFallback
        /// RTCP's port is RTP's.
        case required
    }

    /// - Parameter offered: the caller's description has `a=rtcp-mux`.
    package func offered(toCalleeWhen offered: Bool) -> Offered {
        if contains(.require) { return .required }
        if contains(.offer) { return .withFallback }
        return offered && !contains(.demux) ? .withFallback : .no
    }

    /// True when the caller may send RTCP to the RTP port, so that the answer says `a=rtcp-mux`.
    ///
    /// - Parameters:
    ///   - offered: the caller's offer has `a=rtcp-mux`; without it the answer never has (RFC 5761 §5.1.1).
    ///   - answered: the callee's answer has it.
    ///   - self: the options of the *offer*, kept with the call.
    package func answers(callerWhen offered: Bool, calleeAnswered answered: Bool) -> Bool {
        guard offered, !contains(.reject) else { return false }
        if contains(.demux) || contains(.accept) { return true }
        // With offer, require or nothing the caller's side follows what the callee said.
        return answered
    }
}
