import Control
import ControlProtocol
import Core

/// Asks control, the same question at most four times a second however many ask here: the rest get the answer that is there.
actor Questions {
    private let door: ControlDoor
    private var shared: [Question: (asked: ContinuousClock.Instant, answer: Task<Answer, Never>)] = [:]

    typealias Answer = Result<ControlReply, ControlError>

    /// The questions that many may ask at once.
    enum Question: Hashable {
        case metrics, status, calls

        var command: ControlCommand {
            switch self {
            case .metrics: .metrics
            case .status: .status
            case .calls: .calls
            }
        }
    }

    private static let freshness = Duration.milliseconds(250)

    init(door: ControlDoor) { self.door = door }

    func answer(to question: Question) async -> Answer {
        let now = ContinuousClock.now
        if let (asked, answer) = shared[question], now - asked < Self.freshness { return await answer.value }
        let answer = Task { [door] in await door.ask(question.command) }
        shared[question] = (now, answer)
        return await answer.value
    }

    /// What only one asks.
    nonisolated func answer(once command: ControlCommand) async -> Answer { await door.ask(command) }
}
