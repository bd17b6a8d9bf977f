package import Configuration
package import Core

/// Which trunk a request comes from, and which ones a called number may go to. Made once from the configuration.
package struct Routing: Sendable {
    /// One way for a called number.
    package struct Candidate: Sendable {
        package let trunk: SharedTrunk
        /// Of the route, to be applied before the trunk's own rules.
        package let called: [NumberRule]
        package let caller: [NumberRule]
        let priority: Int
        let weight: Int

        init(trunk: SharedTrunk, called: [NumberRule] = [], caller: [NumberRule] = [], priority: Int = 0, weight: Int = 1) {
            self.trunk = trunk
            self.called = called
            self.caller = caller
            self.priority = priority
            self.weight = weight
        }
    }

    private let trunks: [SharedTrunk]
    private let sources: [(source: TrunkSource, trunk: Int)]
    private let candidatesByPrefix: [String: [Candidate]]
    /// How many octets those prefixes have, the longest first.
    private let prefixLengths: [Int]

    package init(trunks: [Trunk], routes: [Route] = []) {
        let trunks = trunks.map(SharedTrunk.init)
        self.trunks = trunks
        sources = trunks.enumerated()
            .flatMap { index, trunk in trunk.sources.map { (source: $0, trunk: index) } }
            .sorted { $0.source.specificity > $1.source.specificity }
        var candidates: [(prefix: String, candidate: Candidate)] = []
        for trunk in trunks {
            let candidate = Candidate(trunk: trunk, called: [], caller: [], priority: trunk.priority, weight: trunk.weight)
            candidates += trunk.prefixes.map { ($0, candidate) }
        }
        for route in routes {
            guard let trunk = trunks.first(where: { $0.name == route.trunk }) else { continue }
            let candidate = Candidate(
                trunk: trunk, called: route.called, caller: route.caller, priority: route.priority, weight: route.weight)
            candidates += route.prefixes.map { ($0, candidate) }
        }
        candidatesByPrefix = Dictionary(grouping: candidates, by: \.prefix).mapValues { $0.map(\.candidate) }
        prefixLengths = Set(candidates.map(\.prefix.utf8.count)).sorted(by: >)
    }

    /// The trunk with the most specific source that contains `address`; nil for a stranger.
    ///
    /// - Parameter isStream: the request came by TCP or TLS, so that its port says nothing.
    package func trunk(from address: SocketAddress, isStream: Bool = false) -> SharedTrunk? {
        let exact = sources.first { $0.source.contains(address) }
        let found = exact ?? (isStream ? sources.first { $0.source.contains(address, ignoringPort: true) } : nil)
        return found.map { trunks[$0.trunk] }
    }

    /// Whether calls are sent there.
    func isTrunkAddress(_ address: SocketAddress) -> Bool { trunks.contains { $0.address == address } }

    /// A trunk that is called at that host.
    func trunk(called ip: IPAddress) -> SharedTrunk? { trunks.first { $0.address.ip == ip } }

    /// A trunk with a source of one address in the same /24, for IPv6 in the same /64.
    func trunk(near ip: IPAddress) -> SharedTrunk? {
        sources.first { $0.source.isHost(near: ip) }.map { trunks[$0.trunk] }
    }

    package func trunk(named name: String) -> SharedTrunk? { trunks.first { $0.name == name } }

    /// Every way for `number`, the best first: the longest prefix, then the lowest priority, then at random by weight. Each
    /// trunk comes once, where it stands best.
    package func candidates(for number: String, random: inout SeededRandom) -> [Candidate] {
        var found: [Candidate] = []
        for length in prefixLengths {
            let digits = number.utf8
            guard length <= digits.count,
                let equals = candidatesByPrefix[length == 0 ? "" : String(Substring(digits.prefix(length)))]
            else { continue }
            if equals.count == 1 {
                found.append(equals[0])
            } else {
                for priority in Set(equals.map(\.priority)).sorted() {
                    found += Self.shuffled(equals.filter { $0.priority == priority }, random: &random)
                }
            }
        }
        guard found.count > 1 else { return found }
        var seen: Set<String> = []
        return found.filter { seen.insert($0.trunk.name).inserted }
    }

    /// Draws one after another, each with a chance in proportion to its weight among those that are left.
    private static func shuffled(_ candidates: [Candidate], random: inout SeededRandom) -> [Candidate] {
        var left = candidates
        var drawn: [Candidate] = []
        while left.count > 1 {
            var place = Int.random(in: 0..<left.reduce(0) { $0 + $1.weight }, using: &random)
            let index = left.firstIndex { candidate in
                place -= candidate.weight
                return place < 0
            }
            drawn.append(left.remove(at: index ?? 0))
        }
        return drawn + left
    }
}
