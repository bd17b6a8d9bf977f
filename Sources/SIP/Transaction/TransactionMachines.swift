import Core

/// Either client machine, with one vocabulary: what the layer does with an effect does not depend on the method.
struct ClientMachine: Sendable {
    typealias Effect = InviteClientTransaction.Effect
    private enum Kind: Sendable { case invite(InviteClientTransaction), other(NonInviteClientTransaction) }
    private var kind: Kind

    init(method: Method, isReliable: Bool, now: Instant, effects: inout [Effect]) {
        if method == .invite {
            kind = .invite(InviteClientTransaction(now: now, isReliable: isReliable, effects: &effects))
        } else {
            kind = .other(NonInviteClientTransaction(now: now, isReliable: isReliable, effects: &effects))
        }
    }

    var deadline: Instant? {
        switch kind {
        case .invite(let machine): machine.deadline
        case .other(let machine): machine.deadline
        }
    }

    mutating func receive(status: Int, now: Instant, effects: inout [Effect]) {
        run(&effects) { $0.receive(status: status, now: now, effects: &$1) } other: {
            $0.receive(status: status, now: now, effects: &$1)
        }
    }

    mutating func advance(to now: Instant, effects: inout [Effect]) {
        run(&effects) { $0.advance(to: now, effects: &$1) } other: { $0.advance(to: now, effects: &$1) }
    }

    mutating func transportFailed(effects: inout [Effect]) {
        run(&effects) { $0.transportFailed(effects: &$1) } other: { $0.transportFailed(effects: &$1) }
    }

    mutating func abandon(now: Instant) {
        guard case .invite(var machine) = kind else { return }
        machine.abandon(now: now)
        kind = .invite(machine)
    }

    mutating func cancelSent(now: Instant) {
        guard case .invite(var machine) = kind else { return }
        machine.cancelSent(now: now)
        kind = .invite(machine)
    }

    private mutating func run(
        _ effects: inout [Effect], invite: (inout InviteClientTransaction, inout [Effect]) -> Void,
        other: (inout NonInviteClientTransaction, inout [Effect]) -> Void
    ) {
        switch kind {
        case .invite(var machine):
            invite(&machine, &effects)
            kind = .invite(machine)
        case .other(var machine):
            other(&machine, &effects)
            kind = .other(machine)
        }
    }
}

/// Either server machine, with one vocabulary.
struct ServerMachine: Sendable {
    typealias Effect = InviteServerTransaction.Effect
    private enum Kind: Sendable { case invite(InviteServerTransaction), other(NonInviteServerTransaction) }
    private var kind: Kind

    init(method: Method, isReliable: Bool, now: Instant, effects: inout [Effect]) {
        if method == .invite {
            kind = .invite(InviteServerTransaction(now: now, isReliable: isReliable, effects: &effects))
        } else {
            kind = .other(NonInviteServerTransaction(isReliable: isReliable))
        }
    }

    var deadline: Instant? {
        switch kind {
        case .invite(let machine): machine.deadline
        case .other(let machine): machine.deadline
        }
    }

    /// The same request again.
    mutating func receiveRequest(effects: inout [Effect]) {
        run(&effects) { $0.receiveRequest(effects: &$1) } other: { $0.receiveRequest(effects: &$1) }
    }

    mutating func receiveACK(now: Instant, effects: inout [Effect]) {
        run(&effects) { $0.receiveACK(now: now, effects: &$1) } other: { _, _ in }
    }

    mutating func respond(status: Int, now: Instant, effects: inout [Effect]) {
        run(&effects) { $0.respond(status: status, now: now, effects: &$1) } other: {
            $0.respond(status: status, now: now, effects: &$1)
        }
    }

    mutating func advance(to now: Instant, effects: inout [Effect]) {
        run(&effects) { $0.advance(to: now, effects: &$1) } other: { $0.advance(to: now, effects: &$1) }
    }

    private mutating func run(
        _ effects: inout [Effect], invite: (inout InviteServerTransaction, inout [Effect]) -> Void,
        other: (inout NonInviteServerTransaction, inout [Effect]) -> Void
    ) {
        switch kind {
        case .invite(var machine):
            invite(&machine, &effects)
            kind = .invite(machine)
        case .other(var machine):
            other(&machine, &effects)
            kind = .other(machine)
        }
    }
}
