package import Core
import Foundation
import Synchronization

/// The media of very many calls: two sockets, one for all callers and one for all callees, from which each party of each call
/// sends a packet twice a second. Nobody listens.
package final class MediaCrowd: Sendable {
    /// Where relayd hears one call's parties.
    package struct Call: Sendable {
        package let callerLeg: SocketAddress
        package let calleeLeg: SocketAddress

        package init(callerLeg: SocketAddress, calleeLeg: SocketAddress) {
            self.callerLeg = callerLeg
            self.calleeLeg = calleeLeg
        }
    }

    private let callers: UDPSocket
    private let callees: UDPSocket
    private let state = Mutex(State())

    private struct State {
        var calls: [Call] = []
        var silent: Set<Int> = []
        var isClosed = false
    }

    package init(on host: IPAddress) throws {
        callers = try UDPSocket(SocketAddress(ip: host, port: 0))
        callees = try UDPSocket(SocketAddress(ip: host, port: 0))
        let thread = Thread { [self] in run() }
        thread.start()
    }

    package var callerAddress: SocketAddress { callers.address }
    package var calleeAddress: SocketAddress { callees.address }

    /// It sends at once. Calls are numbered in the order they come.
    package func add(_ call: Call) { state.withLock { $0.calls.append(call) } }

    /// From now on nobody of these calls sends.
    package func silence(_ calls: Set<Int>) { state.withLock { $0.silent.formUnion(calls) } }

    package func close() { state.withLock { $0.isClosed = true } }

    private static let parts = 25

    private func run() {
        var round: UInt16 = 0
        var part = 0
        var due = ContinuousClock.now
        while true {
            let (calls, silent, isClosed) = state.withLock { ($0.calls, $0.silent, $0.isClosed) }
            if isClosed { return }
            for number in stride(from: part, to: calls.count, by: Self.parts) where !silent.contains(number) {
                callers.send(Self.packet(round, ssrc: UInt32(number) * 2), to: calls[number].callerLeg)
                callees.send(Self.packet(round, ssrc: UInt32(number) * 2 + 1), to: calls[number].calleeLeg)
            }
            part += 1
            if part == Self.parts {
                part = 0
                round &+= 1
            }
            due = max(due + .milliseconds(20), ContinuousClock.now - .milliseconds(200))
            // The pace of the packets, not a wait for anything.
            Thread.sleep(forTimeInterval: max(0, (due - ContinuousClock.now).inSeconds))
        }
    }

    /// Half a second after the one before.
    private static func packet(_ number: UInt16, ssrc: UInt32) -> [UInt8] {
        var octets: [UInt8] = [0x80, 0]
        octets.append(bigEndian: number)
        octets.append(bigEndian: UInt32(number) &* 4_000)
        octets.append(bigEndian: ssrc)
        return octets + [UInt8](repeating: 0xff, count: 160)
    }
}
