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
    /// Somebody hears of records: else nobody is woken for one.
    private let hearsRecords = Atomic<Bool>(false)

    init() throws(Errno) { event = try EventDescriptor() }

    func add(_ message: Message) {
        // Who finds others there has been preceded by a signal that is not answered yet.
        let isFirst = messages.withLock { messages in
            messages.append(message)
            return messages.count == 1
        }
        if isFirst { event.signal() }
    }

    /// By the thread that keeps the records, once one is in the journal.
    func addJournaled(_ record: CallRecord) {
        if hearsRecords.load(ordering: .relaxed) { add(.journaled(record)) }
    }

    /// By control, in every turn.
    func setHearsRecords(_ isHeard: Bool) { hearsRecords.store(isHeard, ordering: .relaxed) }

    func takeAll() -> [Message] {
        event.clear()
        return messages.withLock { messages in
            defer { messages.removeAll() }
            return messages
        }
    }
}
