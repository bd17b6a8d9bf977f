public import Synchronization

/// Everything relayd counts. This one list gives the storage, the JSON keys and the metric names.
@frozen
public enum Counter: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    // Relay: each datagram that reaches a relay socket increments exactly one of received RTP, RTCP or other media, or one
    // of the drops.
    case rtpPacketsReceived
    case rtpPacketsSent
    case rtpOctetsReceived
    case rtpPacketsInKernel
    case rtcpPacketsReceived
    case rtcpPacketsSent
    case mediaDatagramsReceived
    case mediaDatagramsSent
    case rtpPacketsSilenced
    case digitsSent
    case digitsLost
    case droppedStranger
    case droppedMalformed
    case droppedUnexpectedProtocol
    case droppedOversized
    case droppedPeerUnlocked
    case droppedNoSession
    case droppedBlocked
    case droppedSilenced
    case droppedPayloadType
    case sendFailures
    case receiveRearms
    case receiveBuffersExhausted
    case socketsRefused
    case socketsReused
    case sourceLocks
    case sourceRelocks
    case relayTurns
    case systemCalls
    // SIP.
    case sipDatagramsReceived
    case sipDatagramsSent
    case sipMalformed
    case sipTooLarge
    case sipTooManyHeaders
    case sipKeepAlives
    case sipRetransmissionsReceived
    case sipRetransmissionsSent
    case sipStrayResponses
    case sipStrayRequests
    case sipMonitorsAnswered
    case sipUnknownSource
    case sipStrangersUnanswered
    case sipAnswersWithheld
    case sipSendFailures
    case sipRefusedOverload
    case sipQueueFull
    case sipReceiveBufferDrops
    case sipTransactionTimeouts
    case sipPeersUnreachable
    case sipIcmpIgnored
    case sipStreamMessagesReceived
    case sipStreamMessagesSent
    case sipConnectionsAccepted
    case sipConnectionsOpened
    case sipConnectionsRefused
    case sipConnectionsRefusedSource
    case sipConnectionsFailed
    case sipConnectionsCutOff
    case sipConnectionsIdle
    case sipStreamsMalformed
    case sipTlsFailures
    case sipScannersDropped
    // Phones.
    case registrations
    case registrationsRefused
    case bindingsRefused
    case bindingsReplaced
    case bindingsCutOff
    case contactsRefused
    case registersQueued
    case registersDropped
    case challengesSent
    case challengesWithheld
    case credentialsWrong
    case credentialsSuspended
    case noncesStale
    case keepAlivesSent
    case keepAliveErrors
    case keepAliveAnswers
    // Calls.
    case callsAttempted
    case callsAnswered
    case callsReleased
    case callsReleasedNoMedia
    case digitsFromInfo
    case digitsToInfo
    case sessionChanges
    case sessionChangesRefused
    case sessionRefreshes
    case callsRefusedPorts
    case mediaDeclined
    case callsRefusedCapacity
    case callsRefusedTrunkCapacity
    case callsRefusedTrunkRate
    case callsRefusedSource
    case callsRefusedRate
    case callsRefusedNoRoute
    case callsRefusedRoutesBusy
    case callsRefusedRoutesDown
    case callsRerouted
    case trunksWentDown
    case mailboxFull
    case hepPacketsSent
    case hepSendFailures
    // The NG protocol.
    case ngRequests
    case ngRetransmissions
    case ngErrors
    case ngMalformed
    case ngCallsTimedOut
    case ngConnectionsRefused
    case ngCallbacksSent
    case ngCallbacksFailed
    case recordingsStarted
    case recordingsFailed
    case tappedPacketsLost
    // Records and control.
    case recordsJournaled
    case recordsStored
    case recordsReplayed
    case recordFailures
    case controlRequests
    case controlErrors
    case controlEventsDropped

    /// The place of each counter in a `CounterBlock`.
    @inlinable @inline(always)
    public var index: Int {
        // SAFETY: an enum of fewer than 256 cases without payload is one octet, numbered in order of declaration; a test
        // compares with the raw values. `rawValue` itself is a call across modules, and this runs per packet.
        Int(unsafe unsafeBitCast(self, to: UInt8.self))
    }

    /// The name in JSON: `rtp_packets_received`.
    public var name: String { Self.names[index] }

    /// The name as a Prometheus metric: `relayd_rtp_packets_received_total`.
    public var metricName: String { "relayd_\(name)_total" }

    private static let names: [String] = allCases.map { counter in
        "\(counter)".reduce(into: "") { name, character in
            if character.isUppercase { name.append("_") }
            name.append(character.lowercased())
        }
    }
}

/// One thread's counters. That thread alone adds; any thread reads.
public final class CounterBlock: Sendable {
    @usableFromInline
    static let capacity = 256

    @usableFromInline
    let values: InlineArray<256, Atomic<UInt64>>

    public init() {
        precondition(Counter.allCases.count <= Self.capacity)
        values = InlineArray { _ in Atomic(0) }
    }

    /// Called by the owning thread only. Relaxed load and store, no read-modify-write: there is one writer, and readers
    /// want a recent value and order nothing by it.
    @inlinable @inline(always)
    public func add(_ amount: UInt64 = 1, to counter: Counter) { add(amount, at: counter.index) }

    /// The same for the counter at `index` of `Counter.allCases`.
    @inlinable @inline(always)
    public func add(_ amount: UInt64, at index: Int) {
        values[index].store(values[index].load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    @inlinable
    public subscript(counter: Counter) -> UInt64 { values[counter.index].load(ordering: .relaxed) }
}
