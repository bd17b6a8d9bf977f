package import ControlProtocol

/// Asks the control thread from other threads what the control socket offers, without a socket.
package struct ControlDoor: Sendable {
    let inbox: ControlInbox

    /// - Parameter completion: called once, on the control or the store thread; never after the daemon has stopped.
    package func ask(
        _ command: ControlCommand, completion: @escaping @Sendable (Result<ControlReply, ControlError>) -> Void
    ) {
        inbox.add(.question(command, completion))
    }

    package func ask(_ command: ControlCommand) async -> Result<ControlReply, ControlError> {
        await withCheckedContinuation { continuation in ask(command) { continuation.resume(returning: $0) } }
    }
}
