import Foundation

/// What the defaults and the warnings take from the machine.
package struct HostFacts: Sendable {
    package var processorCount: Int
    package var environment: [String: String]
    package var userID: UInt32

    package init(processorCount: Int, environment: [String: String], userID: UInt32) {
        self.processorCount = processorCount
        self.environment = environment
        self.userID = userID
    }

    /// This machine and this process, as it is now.
    package static var current: HostFacts {
        let process = ProcessInfo.processInfo
        return HostFacts(
            processorCount: process.activeProcessorCount, environment: process.environment, userID: getuid())
    }

    /// The ports the kernel hands out to sockets without a bind; nil where it does not say.
    package static var ephemeralPorts: ClosedRange<UInt16>? {
        guard let text = try? String(contentsOfFile: "/proc/sys/net/ipv4/ip_local_port_range", encoding: .utf8)
        else { return nil }
        let numbers = text.split(whereSeparator: \.isWhitespace).compactMap { UInt16($0) }
        guard numbers.count == 2, numbers[0] <= numbers[1] else { return nil }
        return numbers[0]...numbers[1]
    }
}
