import Core
import Uring

/// One client of the control socket with its socket. Lives in the loop's table, so it is a reference.
final class ControlClient {
    let socket: StreamSocket
    var connection = ControlConnection()
    /// Set while the poll for something to read is armed.
    var isPolled = false
    /// Set while a poll for room is armed.
    var awaitsRoom = false
    /// Set once the loop has decided to close it and waits for its poll to end: until then the kernel holds the socket.
    var isClosing = false

    init(_ socket: consuming StreamSocket) { self.socket = socket }

    /// Sends what the kernel takes now.
    ///
    /// - Throws: when the client is gone.
    func flush(now: Instant) throws(Errno) {
        while connection.hasOutput {
            let sent = try socket.write(connection.nextOutput().span)
            connection.didSend(sent, now: now)
            guard sent > 0 else { return }
        }
    }
}
