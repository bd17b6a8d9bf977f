import Core
import Glibc
import SIP
import Uring

/// Sends keep-alives in batches from the socket their phones registered at, and measures what that costs this thread.
struct KeepAliveSender: ~Copyable {
    private let batch: DatagramBatch
    private var peers: [SocketAddress] = []

    init() throws(Errno) { batch = try DatagramBatch(capacity: KeepAliveSchedule.batchLimit) }

    /// - Returns: what the network refused, and the processor time in nanoseconds.
    mutating func send(
        _ messages: KeepAliveBatch, on socket: borrowing DatagramSocket
    ) -> (errors: [(binding: BindingID, errno: Int32)], nanoseconds: UInt64) {
        let start = ThreadClock.nanoseconds
        var errors: [(binding: BindingID, errno: Int32)] = []
        peers.removeAll(keepingCapacity: true)
        for flow in messages.flows { peers.append(flow.remote) }
        let octets = messages.requestEnds.isEmpty ? messages.payload : messages.requests
        var first = 0
        while first < peers.count {
            let last = min(first + batch.capacity, peers.count)
            // Ends count from the start of all requests: a part after the first would need its own. Settings that force more than
            // a batch at once go out one by one then, which nobody will notice beside what they ask for.
            if first > 0, !messages.requestEnds.isEmpty {
                for index in first..<peers.count {
                    let failures = batch.send(Array(messages.octets(index)).span, ends: [], to: peers[index...index], on: socket)
                    for failure in failures { errors.append((messages.bindings[index], failure.error.code)) }
                }
                break
            }
            let ends = messages.requestEnds.isEmpty ? [] : Array(messages.requestEnds[..<last])
            for failure in batch.send(octets.span, ends: ends, to: peers[first..<last], on: socket) {
                errors.append((messages.bindings[first + failure.index], failure.error.code))
            }
            first = last
        }
        return (errors, ThreadClock.nanoseconds - start)
    }
}
