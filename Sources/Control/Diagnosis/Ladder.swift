import ControlProtocol
import Core
import Diagnosis
import SIP

/// The messages of a call on both its legs, oldest first: what `relayctl call` draws, and what a diagnosis looks at. A call
/// that retransmits for ever would make it grow for ever; what a person wants to see are the first messages and the last ones.
struct Ladder: Sendable {
    private(set) var messages: [MessageFact] = []
    /// So many were left out in the middle.
    private(set) var omitted = 0
    /// What those say, by their place, that have another method or reason phrase than `MessageFact` tells.
    private var unusualTexts: [Int: String] = [:]
    private var networkErrors: [NetworkError] = []

    /// What ICMP said.
    private struct NetworkError: Sendable {
        /// So many messages came before it.
        var place: Int
        let at: Duration
        let leg: Leg
        let text: String
    }

    private static let limit = 64
    private static let firstMessages = 40
    private static let errorLimit = 16
    /// A call that is answered and ended has twelve messages on both legs.
    private static let usualCount = 14

    /// Takes no memory before something is added.
    static var empty: Ladder { Ladder(messages: []) }

    init() { messages.reserveCapacity(Self.usualCount) }

    private init(messages: [MessageFact]) { self.messages = messages }

    /// - Parameters:
    ///   - time: since the first INVITE.
    ///   - title: of the message.
    mutating func add(
        _ message: [UInt8], _ title: MessageTitle, at time: Duration, _ leg: Leg, isReceived: Bool, isRetransmission: Bool
    ) {
        let method = title.status.map { self.method(answeredBy: $0, leg, isReceived: isReceived, isRetransmission: isRetransmission) }
            ?? MessageFact.Method(title.method)
        makeRoom()
        if !title.isUsual(in: message) || (title.status == nil && method == .other) {
            unusualTexts[messages.count] = title.text(in: message)
        }
        messages.append(
            MessageFact(at: time, leg, received: isReceived, method, title.status, again: isRetransmission))
    }

    mutating func add(networkError text: String, at time: Duration, _ leg: Leg) {
        guard networkErrors.count < Self.errorLimit else { return omitted += 1 }
        networkErrors.append(NetworkError(place: messages.count, at: time, leg: leg, text: text))
    }

    /// A response is taken for one to the last request of the other side without a final one. Notes when this is the final one.
    private mutating func method(
        answeredBy status: Int, _ leg: Leg, isReceived: Bool, isRetransmission: Bool
    ) -> MessageFact.Method {
        let request = messages.lastIndex {
            $0.status == nil && !$0.isAnswered && $0.isReceived != isReceived && $0.leg == leg && $0.method != .ack
                && !$0.isRetransmission
        }
        let known = request != nil && !isRetransmission
            ? nil : messages.last { $0.leg == leg && $0.isReceived == isReceived && $0.status == status }
        guard let request, known == nil else { return known?.method ?? .invite }
        if status >= 200 { messages[request].isAnswered = true }
        return messages[request].method
    }

    private mutating func makeRoom() {
        guard messages.count >= Self.limit else { return }
        messages.remove(at: Self.firstMessages)
        omitted += 1
        let texts = unusualTexts
        unusualTexts = [:]
        for (place, text) in texts where place != Self.firstMessages {
            unusualTexts[place > Self.firstMessages ? place - 1 : place] = text
        }
        for index in networkErrors.indices where networkErrors[index].place > Self.firstMessages { networkErrors[index].place -= 1 }
    }

    /// For people.
    func entries(setup: WallTime) -> [LadderEntry] {
        var entries: [LadderEntry] = []
        var errors = networkErrors[...]
        for place in 0...messages.count {
            while let error = errors.first, error.place <= place {
                errors.removeFirst()
                entries.append(LadderEntry(error.text, at: error.at, setup, error.leg, isReceived: true, isRetransmission: false))
            }
            guard place < messages.count else { break }
            let message = messages[place]
            let text = unusualTexts[place] ?? message.status.map { "\($0) \(StatusCode.reasonPhrase($0))" } ?? message.method.rawValue
            entries.append(
                LadderEntry(
                    text, at: message.at, setup, message.leg, isReceived: message.isReceived,
                    isRetransmission: message.isRetransmission))
        }
        return entries
    }
}

extension LadderEntry {
    fileprivate init(_ text: String, at age: Duration, _ setup: WallTime, _ leg: Core.Leg, isReceived: Bool, isRetransmission: Bool) {
        self.init(
            at: setup + age, milliseconds: age.milliseconds, leg: leg == .caller ? .caller : .callee,
            direction: isReceived ? .in : .out, text: text, retransmission: isRetransmission)
    }
}

extension MessageFact.Method {
    fileprivate init(_ method: SIP.Method) {
        self =
            switch method {
            case .invite: .invite
            case .ack: .ack
            case .bye: .bye
            case .update: .update
            case .info: .info
            case .message: .message
            default: .other
            }
    }
}
