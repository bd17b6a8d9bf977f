package import Configuration
package import Core

/// Which trunk a request comes from, and which one a called number goes to. Made once from the configuration.
package struct Routing: Sendable {
    private let trunks: [Trunk]
    private let sources: [(source: TrunkSource, trunk: Int)]
    private let trunkByPrefix: [String: Int]
    private let longestPrefix: Int

    package init(trunks: [Trunk]) {
        self.trunks = trunks
        sources = trunks.enumerated()
            .flatMap { index, trunk in trunk.sources.map { (source: $0, trunk: index) } }
            .sorted { $0.source.specificity > $1.source.specificity }
        let prefixes = trunks.enumerated().flatMap { index, trunk in trunk.prefixes.map { ($0, index) } }
        trunkByPrefix = Dictionary(prefixes, uniquingKeysWith: { first, _ in first })
        longestPrefix = prefixes.map(\.0.utf8.count).max() ?? 0
    }

    /// The trunk with the most specific source that contains `address`; nil for a stranger.
    ///
    /// - Parameter isStream: the request came by TCP or TLS, so that its port says nothing.
    package func trunk(from address: SocketAddress, isStream: Bool = false) -> Trunk? {
        sources.first { $0.source.contains(address, ignoringPort: isStream) }.map { trunks[$0.trunk] }
    }

    /// The trunk with the longest prefix of `number`; nil when no route leads anywhere.
    package func trunk(to number: String) -> Trunk? {
        var prefix = number.prefix(longestPrefix)
        while true {
            if let index = trunkByPrefix[String(prefix)] { return trunks[index] }
            guard !prefix.isEmpty else { return nil }
            prefix.removeLast()
        }
    }
}
