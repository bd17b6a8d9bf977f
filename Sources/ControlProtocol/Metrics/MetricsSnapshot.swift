package import Core

/// Everything the metrics are made from, as `metrics` answers it: the state at one moment, and totals since the start.
package struct MetricsSnapshot: Codable, Equatable, Sendable {
    package var status: StatusReport
    /// Present calls by `CallSummary.State`.
    package var callStates: [String: Int]
    /// Ended attempts by `ReleaseCause`; causes that never happened may be missing.
    package var releases: [String: UInt64]
    /// In the order of the configuration.
    package var trunks: [TrunkFigures]
    package var distributions: CallDistributions

    package init(
        status: StatusReport, callStates: [String: Int] = [:], releases: [String: UInt64] = [:],
        trunks: [TrunkFigures] = [], distributions: CallDistributions = CallDistributions()
    ) {
        self.status = status
        self.callStates = callStates
        self.releases = releases
        self.trunks = trunks
        self.distributions = distributions
    }
}

/// One trunk: its calls now, and what became of its calls since the start.
package struct TrunkFigures: Codable, Equatable, Sendable {
    package var name: String
    package var address: SocketAddress
    /// Calls to and from it that hold a place.
    package var calls: Int
    /// Zero is without limit.
    package var capacity: Int
    package var state = TrunkReport.State.up
    /// What it failed at last; nil for nothing.
    package var lastFailure: String?
    /// Calls that came from it.
    package var incoming = Side()
    /// Calls that were sent to it.
    package var outgoing = Side()

    package init(name: String, address: SocketAddress, calls: Int = 0, capacity: Int = 0) {
        self.name = name
        self.address = address
        self.calls = calls
        self.capacity = capacity
    }

    package struct Side: Codable, Equatable, Sendable {
        /// Ended attempts, answered or not.
        package var attempts: UInt64 = 0
        package var answered: UInt64 = 0
        /// Of the answered ones, from answer to release.
        package var connectedSeconds = 0.0
        /// By `ReleaseCause`; they add up to `attempts`.
        package var releases: [String: UInt64] = [:]

        package init() {}

        package mutating func add(_ record: CallRecord) {
            attempts += 1
            releases[record.cause.rawValue, default: 0] += 1
            guard record.answerAt != nil else { return }
            answered += 1
            connectedSeconds += Double(record.durationMilliseconds) / 1_000
        }

        /// The answer-seizure ratio, 0 to 1; nil without attempts.
        package var answerRatio: Double? { attempts == 0 ? nil : Double(answered) / Double(attempts) }
        /// The average call duration in seconds; nil without answered calls.
        package var averageSeconds: Double? { answered == 0 ? nil : connectedSeconds / Double(answered) }
    }
}

/// Distributions over all ended calls since the start.
package struct CallDistributions: Codable, Equatable, Sendable {
    /// Seconds from INVITE to the first 18x.
    package var ringDelay = Histogram(bounds: Self.setupBounds)
    /// Seconds from INVITE to the answer.
    package var setup = Histogram(bounds: Self.setupBounds)
    /// Seconds from answer to release.
    package var duration = Histogram(
        bounds: [1, 5, 15, 30, 60, 120, 180, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400])
    package var fromCaller = Quality()
    package var fromCallee = Quality()

    package init() {}

    /// One value for each answered call with media from that side.
    package struct Quality: Codable, Equatable, Sendable {
        /// Part of the packets that never came, 0 to 1.
        package var loss = Histogram(bounds: [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5])

        /// MOS by ITU-T G.107, 1 to 4.5, on average over the call.
        package var mos = Histogram(bounds: [1.5, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.1, 4.2, 4.3, 4.4])
        /// Seconds, on average over the call (RFC 3550 §A.8).
        package var jitter = Histogram(bounds: [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2])

        package init() {}

        mutating func add(_ direction: CallRecord.Direction) {
            guard direction.packets > 0 else { return }
            if let value = direction.mos { mos.add(value) }
            if let milliseconds = direction.jitterMilliseconds { jitter.add(milliseconds / 1_000) }
            loss.add(Double(direction.lost) / Double(direction.packets + direction.lost))
        }
    }

    package mutating func add(_ record: CallRecord) {
        if let ringAt = record.ringAt { ringDelay.add((ringAt - record.setupAt).inSeconds) }
        guard let answerAt = record.answerAt else { return }
        setup.add((answerAt - record.setupAt).inSeconds)
        duration.add(Double(record.durationMilliseconds) / 1_000)
        fromCaller.add(record.fromCaller)
        fromCallee.add(record.fromCallee)
    }

    private static let setupBounds: [Double] = [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 30, 60, 120]
}
