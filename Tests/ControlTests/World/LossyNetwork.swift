import Core

/// How datagrams between the peers and relayd fare.
struct LossyNetwork {
    /// 0 to 1, per datagram.
    var loss = 0.0
    var duplication = 0.0
    var latency = Duration.milliseconds(5)
    /// Added to latency, evenly distributed; beyond the gap between two datagrams it reorders them.
    var jitter = Duration.zero

    /// When each copy of a datagram arrives; none when it is lost.
    func arrivals(sent now: Instant, random: inout SeededRandom) -> [Instant] {
        let copies = Double.random(in: 0..<1, using: &random) < duplication ? 2 : 1
        return (0..<copies).compactMap { _ in
            if Double.random(in: 0..<1, using: &random) < loss { return nil }
            return now + latency + jitter * Double.random(in: 0...1, using: &random)
        }
    }
}
