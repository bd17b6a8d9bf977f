package import Core
import Foundation
import Synchronization

/// Someone who knows nothing of a call and sends well-formed RTP to every port there is, round after round.
package final class Stranger: Sendable {
    /// What he puts into his sequence numbers.
    package enum Pattern: Sendable {
        case random
        /// One SSRC, each packet the successor of the one before on the same port.
        case consecutive
    }

    private let socket: UDPSocket
    private let targets: [SocketAddress]
    private let pattern: Pattern
    private let state = Mutex<(sent: Int, received: Int, isClosed: Bool)>((0, 0, false))

    package init(on host: IPAddress, targets: [SocketAddress], pattern: Pattern) throws {
        socket = try UDPSocket(SocketAddress(ip: host, port: 0))
        self.targets = targets
        self.pattern = pattern
        let thread = Thread { [self] in run() }
        thread.start()
    }

    package var address: SocketAddress { socket.address }
    package var sent: Int { state.withLock { $0.sent } }
    /// Datagrams that anyone sent him. There is no reason for even one.
    package var received: Int { state.withLock { $0.received } }

    package func close() { state.withLock { $0.isClosed = true } }

    private func run() {
        var round: UInt16 = 0
        var random = SystemRandomNumberGenerator()
        while !state.withLock({ $0.isClosed }) {
            for target in targets {
                let number = pattern == .random ? UInt16.random(in: 0...UInt16.max, using: &random) : round
                var packet: [UInt8] = [0x80, 0x00]
                packet.append(bigEndian: number)
                packet.append(bigEndian: UInt32(number) * 160)
                packet.append(bigEndian: UInt32(0xbad0_0bad))
                packet += [UInt8](repeating: 0xee, count: 160)
                socket.send(packet, to: target)
            }
            round &+= 1
            UDPSocket.wait(for: [socket], milliseconds: 5)
            var received = 0
            while socket.receive() != nil { received += 1 }
            state.withLock { state in
                state.sent += targets.count
                state.received += received
            }
        }
    }
}
