import Foundation
import Synchronization

/// Hosts of a test's own: network namespaces, each with its loopback device up. They need root, and go with `remove`.
package final class NetworkNamespaces: Sendable {
    private let prefix: String
    private let places: [String]
    private static let counter = Atomic<UInt32>(0)

    /// - Parameter script: what connects them; `$N` stands before the name of each place. It ends with the first failure.
    package init(_ places: String..., script: String) async throws {
        prefix = "rly\(ProcessInfo.processInfo.processIdentifier)n\(Self.counter.wrappingAdd(1, ordering: .relaxed).newValue)"
        self.places = places
        let make = places.map { "ip netns add \(prefix)\($0); ip -n \(prefix)\($0) link set lo up" }
        let lines = ["set -e", "N=\(prefix)"] + make + [script]
        let result = try await run("sh", ["-c", lines.joined(separator: "\n")])
        guard result.code == 0 else {
            try? await remove()
            throw SocketError(description: "the namespaces cannot be made: \(result.errors)")
        }
    }

    /// What runs a command at a place.
    package func command(at place: String) -> [String] { ["ip", "netns", "exec", "\(prefix)\(place)"] }

    package func remove() async throws {
        for place in places { _ = try await run("ip", ["netns", "delete", "\(prefix)\(place)"]) }
    }
}
