import ControlProtocol
import Core
import Records
import Synchronization
import Uring

/// What other threads than the relay workers tell the control thread. They have no ring, so an eventfd wakes it.
final class ControlInbox: Sendable {
    enum Message: Sendable {
        case journaled(CallRecord)
        case recordTrouble(String)
        case callback(CallbackSender.Outcome)
        case captured(PacketCollector.Outcome)
        /// The store thread's answer to a client that may be gone by now.
        case stored(client: UInt32, ControlRequest, Result<ControlReply, ControlError>)
        /// From a thread of this process.
        case question(ControlCommand, @Sendable (Result<ControlReply, ControlError>) -> Void)
    }

    let event: EventDescriptor
    private let messages = Mutex<[Message]>([])

    init() throws(Errno) { event = try EventDescriptor() }

    func add(_ message: Message) {
        messages.withLock { $0.append(message) }
        event.signal()
    }

    func takeAll() -> [Message] {
        event.clear()
        return messages.withLock { messages in
            defer { messages.removeAll() }
            return messages
        }
    }
}
