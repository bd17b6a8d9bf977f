package import Core
import Foundation
import Synchronization

/// One party's media: a pair of RTP and RTCP ports and a thread that plays a `MediaStream` and checks what arrives.
package final class MediaEndpoint: Sendable {
    /// What came in so far.
    package struct Heard: Sendable {
        /// The numbers of the other party's packets in the order they came.
        package var numbers: [UInt32] = []
        /// Packets of the other party's stream with as much as one octet changed.
        package var altered = 0
        /// Datagrams that are not of the other party's stream at all.
        package var foreign = 0
        /// Where packets came from.
        package var sources: Set<SocketAddress> = []
        /// Keys of the other party that came as telephone-event 101, in order.
        package var keys: [UInt8] = []
        package var senderReports = 0
        package var senderReportSources: Set<SocketAddress> = []
    }

    package let stream: MediaStream
    /// For SDP: the even port; RTCP is one above.
    package let address: SocketAddress
    private let other: MediaStream
    private let state: Mutex<State>

    private struct State {
        /// Nil once closed.
        var sockets: Sockets?
        var target: SocketAddress?
        var nextNumber: UInt32 = 0
        /// A key that is being pressed, and the packets it has left.
        var pressed: (code: UInt8, left: UInt32)?
        var lastKeyAt: UInt32?
        var heard = Heard()
    }

    private struct Sockets {
        let rtp: UDPSocket
        let rtcp: UDPSocket
        var reserve: UDPSocket?
        /// Sends from `reserve` instead of `rtp`.
        var hasMoved = false

        var all: [UDPSocket] { [rtp, rtcp] + (reserve.map { [$0] } ?? []) }
        var sender: UDPSocket { hasMoved ? reserve ?? rtp : rtp }
    }

    package init(on host: IPAddress, call: UInt32, party: MediaStream.Party, payloadType: UInt8 = 0, isRTP: Bool = true) throws {
        stream = MediaStream(call: call, party: party, payloadType: payloadType, isRTP: isRTP)
        other = MediaStream(call: call, party: party == .caller ? .callee : .caller, payloadType: payloadType, isRTP: isRTP)
        let (rtp, rtcp) = try Loopback.pair(on: host)
        address = rtp.address
        state = Mutex(State(sockets: Sockets(rtp: rtp, rtcp: rtcp)))
        let thread = Thread { [self] in run() }
        thread.start()
    }

    /// Sends a packet each 20 ms from now on. The numbers go on where they were.
    package func start(to target: SocketAddress) { state.withLock { $0.target = target } }

    package func stop() { state.withLock { $0.target = nil } }

    /// Opens a further port, for SDP. It is sent from once `move` is called.
    package func reserveMove() throws -> SocketAddress {
        let socket = try UDPSocket(SocketAddress(ip: address.ip, port: 0))
        state.withLock { $0.sockets?.reserve = socket }
        return socket.address
    }

    /// From now on sends from the reserved port. Both are heard.
    package func move() { state.withLock { $0.sockets?.hasMoved = true } }

    /// The next packets are a telephone-event 101 in place of audio.
    package func press(_ code: UInt8) { state.withLock { $0.pressed = (code, Self.packetsOfKey) } }

    private static let packetsOfKey: UInt32 = 8

    /// Ends the thread and closes the ports.
    package func close() { state.withLock { $0.sockets = nil } }

    /// How many packets were sent, which is also the number of the next one.
    package var sentCount: UInt32 { state.withLock { $0.nextNumber } }

    package var heard: Heard { state.withLock { $0.heard } }

    /// Sends one RTCP sender report to the port above the RTP one.
    package func sendSenderReport() {
        let (socket, target, count) = state.withLock { ($0.sockets?.rtcp, $0.target, $0.nextNumber) }
        guard let socket, let target else { return }
        socket.send(stream.senderReport(packetCount: count), to: SocketAddress(ip: target.ip, port: target.port + 1))
    }

    /// The same with a VoIP metrics block (RFC 3611 §4.7).
    package func sendVoiceMetrics() {
        let (socket, target) = state.withLock { ($0.sockets?.rtcp, $0.target) }
        guard let socket, let target else { return }
        socket.send(stream.voiceMetrics(about: other.ssrc), to: SocketAddress(ip: target.ip, port: target.port + 1))
    }

    private func run() {
        let interval = Duration.milliseconds(20)
        var due = ContinuousClock.now
        while true {
            guard let sockets = state.withLock({ $0.sockets }) else { return }
            let now = ContinuousClock.now
            if now >= due {
                sendNext()
                // After a long pause of this thread the lost time stays lost: a phone does not catch up either.
                due = now - due > .milliseconds(200) ? now + interval : due + interval
            }
            let rest = due - ContinuousClock.now
            UDPSocket.wait(for: sockets.all, milliseconds: Int32(clamping: max(0, rest.milliseconds + 1)))
            for socket in sockets.all {
                while let (octets, source) = socket.receive() { take(octets, from: source, isRTCP: socket === sockets.rtcp) }
            }
        }
    }

    private func sendNext() {
        state.withLock { state in
            guard let target = state.target, let sockets = state.sockets else { return }
            let socket = sockets.sender
            if let (code, left) = state.pressed {
                let event = stream.event(
                    code, index: Self.packetsOfKey - left, of: Self.packetsOfKey, inPlaceOf: state.nextNumber, payloadType: 101)
                socket.send(event, to: target)
                state.pressed = left > 1 ? (code, left - 1) : nil
            } else {
                socket.send(stream.packet(state.nextNumber), to: target)
            }
            state.nextNumber += 1
        }
    }

    private func take(_ octets: [UInt8], from source: SocketAddress, isRTCP: Bool) {
        state.withLock { state in
            if isRTCP {
                guard octets.count < 2 || octets[1] != 201 else { return }  // voice metrics
                state.heard.senderReports += 1
                state.heard.senderReportSources.insert(source)
                let count = octets.count == 28 ? octets[20..<24].reduce(0) { $0 << 8 | UInt32($1) } : 0
                if octets != other.senderReport(packetCount: count) { state.heard.altered += 1 }
            } else if let number = other.number(in: octets) {
                state.heard.numbers.append(number)
                state.heard.sources.insert(source)
                if octets != other.packet(number) { state.heard.altered += 1 }
            } else if let key = other.endedEvent(in: octets, payloadType: 101) {
                if state.lastKeyAt != key.timestamp { state.heard.keys.append(key.code) }
                state.lastKeyAt = key.timestamp
            } else if octets.count != 16 {
                state.heard.foreign += 1
                state.heard.sources.insert(source)
            }
        }
    }
}
