import Control
import ControlProtocol
import Core

/// Asks control, the same question at most four times a second however many ask here: the rest get the answer that is there.
actor Questions {
    private let door: ControlDoor
    private var shared: [String: (asked: ContinuousClock.Instant, answer: Task<Answer, Never>)] = [:]

    typealias Answer = Result<ControlReply, ControlError>

    private static let freshness = Duration.milliseconds(250)
    /// Of different questions that are remembered.
    private static let limit = 64

    init(door: ControlDoor) { self.door = door }

    func answer(to command: ControlCommand) async -> Answer {
        let now = ContinuousClock.now
        let name = "\(command)"
        if let (asked, answer) = shared[name], now - asked < Self.freshness { return await answer.value }
        if shared.count >= Self.limit { shared = shared.filter { now - $0.value.asked < Self.freshness } }
        let answer = Task { [door] in await door.ask(command) }
        if shared.count < Self.limit { shared[name] = (now, answer) }
        return await answer.value
    }

    /// For what changes something.
    nonisolated func answer(once command: ControlCommand) async -> Answer { await door.ask(command) }
}
