import Configuration
import ControlProtocol
import Core
import Records
import SIP

/// What clients of the control socket, and other threads of this process, ask for.
extension ControlLoop {
    /// Who is to be told what a trunk said.
    enum WaitingProbe {
        case client(UInt32, ControlRequest)
        case caller(@Sendable (Result<ControlReply, ControlError>) -> Void)
    }

    mutating func execute(_ request: ControlRequest, of client: UInt32, now: Instant) {
        if case .probe(let query) = request.command {
            if let refusal = probe(query, .client(client, request), now: now) {
                clients.reply(to: request, of: client, .failure(refusal), now: now)
            }
            return
        }
        if case .capture(let query) = request.command {
            return clients.reply(to: request, of: client, beginCapture(query, of: client, now: now), now: now)
        }
        let inbox = inbox
        let isForStore = askStore(request.command, now: now) { result in
            inbox.add(.stored(client: client, request, result.map { $0.written(for: request) }))
        }
        if !isForStore {
            clients.reply(to: request, of: client, answer(request.command, now: now), now: now)
        }
    }

    mutating func execute(
        _ command: ControlCommand, _ completion: @escaping @Sendable (Result<ControlReply, ControlError>) -> Void,
        now: Instant
    ) {
        if case .probe(let query) = command {
            if let refusal = probe(query, .caller(completion), now: now) { completion(.failure(refusal)) }
        } else if !askStore(command, now: now, completion) {
            completion(answer(command, now: now))
        }
    }

    /// Passes on what the store thread answers; false for everything else.
    private func askStore(
        _ command: ControlCommand, now: Instant, _ completion: @escaping @Sendable (Result<ControlReply, ControlError>) -> Void
    ) -> Bool {
        @Sendable func complete(_ result: Result<ControlReply, RecordError>) {
            completion(result.mapError { ControlError(.unavailable, "The records cannot be read: \($0)") })
        }
        switch command {
        case .records(let query): keeper.query(query) { complete($0.map { .records($0) }) }
        case .report(let query): keeper.report(query) { complete($0.map { .report($0) }) }
        case .audit(let query): keeper.audit(query) { complete($0.map { .audit($0) }) }
        case .why(let name) where explain(name, now: now) == nil:
            // Not in memory any more, but perhaps on record.
            var query = RecordQuery()
            query.match = name
            query.limit = 1
            keeper.query(query) { result in
                completion(
                    result.mapError { ControlError(.unavailable, "The records cannot be read: \($0)") }
                        .flatMap { records in
                            records.first.map { .success(.explanation(CallExplanation($0))) }
                                ?? .failure(
                                    ControlError(.notFound, "There is no call \"\(name.prefix(64))\", present or on record."))
                        })
            }
        default: return false
        }
        return true
    }

    private func explain(_ name: String, now: Instant) -> CallExplanation? {
        control.explain(name, now: now) ?? ngControl.explain(name, now: now)
    }

    /// Asks a trunk; nil: the answer comes later.
    private mutating func probe(_ query: ProbeQuery, _ waiting: WaitingProbe, now: Instant) -> ControlError? {
        let unknown = ControlError(.notFound, "There is no trunk \"\(query.trunk.prefix(64))\": see `relayctl trunks`.")
        lastProbe += 1
        if let number = query.number {
            switch control.placeTestCall(query, number: number, token: lastProbe, now: now) {
            case .unknownTrunk: return unknown
            case .tooMany: return ControlError(.unavailable, "Too many test calls are under way, or relayd is stopping.")
            case .noPorts: return ControlError(.unavailable, "There is no free media port for a test call.")
            case nil: break
            }
        } else if !control.probe(query.trunk, token: lastProbe, now: now) {
            return unknown
        }
        waitingProbes[lastProbe] = waiting
        return nil
    }

    /// Reads the file again and takes over what can be taken over; with anything wrong in it nothing changes.
    mutating func reload(now: Instant) -> Result<ReloadReport, ControlError> {
        guard let file else {
            return .failure(ControlError(.unavailable, "relayd was started without --config: there is no file to read again."))
        }
        let newer: Configuration
        do throws(ConfigurationError) {
            newer = try Configuration.load(path: file)
        } catch {
            let text = "\(error)"
            announce(Event(at: control.wallTime(now), name: .configurationReloaded, fields: ["file": file, "error": text]), now: now)
            return .failure(ControlError(.unavailable, "\(text)\nNothing was changed."))
        }
        let (merged, changes) = configuration.reloaded(with: newer, callCapacity: callCapacity)
        var lines: [RegistrationLine] = []
        if registrations == nil, !merged.users.isEmpty {
            let inbox = inbox
            do throws(RecordError) {
                registrations = try RegistrationFile(directory: merged.records.directory, lines: &lines) {
                    inbox.add(.recordTrouble($0))
                }
            } catch {
                return .failure(ControlError(.unavailable, "There is no place for registrations: \(error)\nNothing was changed."))
            }
        }
        configuration = merged
        log.level = merged.log.level
        control.apply(merged, digestKey: registrations?.digestKey, now: now)
        if !lines.isEmpty {
            log.log(.notice, "registrations.restored", ["count": "\(control.restoreRegistrations(lines, now: now))"])
        }
        ngControl.configuration = merged
        announce(
            Event(
                at: control.wallTime(now), name: .configurationReloaded,
                fields: [
                    "file": file, "changes": "\(changes.count)",
                    "needs_restart": changes.filter { $0.effect == .needsRestart }.map(\.key).joined(separator: " "),
                ]), now: now)
        return .success(
            ReloadReport(
                file: file,
                changes: changes.map { .init(key: $0.key, before: $0.before, after: $0.after, effect: $0.effect.rawValue) },
                warnings: newer.warnings()))
    }

    mutating func probed(_ token: UInt64, _ report: ProbeReport, now: Instant) {
        switch waitingProbes.removeValue(forKey: token) {
        case .client(let client, let request): clients.reply(to: request, of: client, .success(.probe(report)), now: now)
        case .caller(let completion): completion(.success(.probe(report)))
        case nil: break
        }
    }

    /// Answers everything but what the store thread does, and `probe`, which takes as long as the trunk.
    private mutating func answer(_ command: ControlCommand, now: Instant) -> Result<ControlReply, ControlError> {
        let result: Result<ControlReply, ControlError>
        switch command {
        case .status: result = .success(.status(status(now: now)))
        case .calls(let query):
            result = .success(.calls(query.answer(from: control.summaries(now: now) + ngControl.summaries(now: now))))
        case .call(let name):
            let detail = control.detail(name, now: now) ?? ngControl.detail(name, now: now)
            result = detail.map { .success(.call($0)) } ?? .failure(Self.unknownCall(name))
        case .hangup(let name):
            let isKnown = control.hangUp(name, now: now) || ngControl.hangUp(name, now: now)
            result = isKnown ? .success(.done) : .failure(Self.unknownCall(name))
        case .registrations(let query): result = .success(.registrations(control.registrations(query, now: now)))
        case .keepAlive: result = .success(.keepAlive(control.keepAliveReport(now: now)))
        case .binding(let name):
            let details = control.bindingDetails(name, now: now)
            result = details.isEmpty ? .failure(Self.unknownBinding(name)) : .success(.bindings(details))
        case .suspensions: result = .success(.suspensions(control.suspensions(now: now)))
        case .lift(let query):
            let lifted = control.lift(query, now: now)
            result = lifted.isEmpty ? .failure(Self.unknownSuspension(query)) : .success(.suspensions(lifted))
        case .trunks: result = .success(.trunks(control.trunkReports(now: now)))
        case .strangers(let query): result = .success(.strangers(control.strangerReport(limit: query.limit)))
        case .why(let name):
            result = explain(name, now: now).map { .success(.explanation($0)) } ?? .failure(Self.unknownCall(name))
        case .trace(let query):
            do {
                result = .success(.trace(try trace.page(query)))
            } catch {
                result = .failure(error)
            }
        case .capture: result = .failure(ControlError(.unavailable, "A capture needs a connection to the control socket."))
        case .reload: result = reload(now: now).map { .reload($0) }
        case .configuration: result = .success(.configuration(configuration.settings.map(ConfigurationRow.init)))
        case .metrics: result = .success(.metrics(metrics(now: now)))
        case .doctor(let query):
            result =
                control.openDoctor(query, now: now)
                ? .success(.done)
                : .failure(ControlError(.invalidParams, "Both addresses must be this machine's: loopback, or that of sip.listen."))
        case .records, .report, .audit, .probe: preconditionFailure("they are answered later")
        }
        return result
    }

    static func unknownCall(_ name: String) -> ControlError {
        ControlError(.notFound, "There is no present call \"\(name.prefix(64))\": see `relayctl calls`, or `relayctl records` for ended ones.")
    }

    private static func unknownSuspension(_ query: LiftQuery) -> ControlError {
        let place = query.address.map { " at \($0)" } ?? ""
        return ControlError(.notFound, "\"\(query.user.prefix(64))\" is not suspended\(place): see `relayctl suspensions`.")
    }

    private static func unknownBinding(_ name: String) -> ControlError {
        ControlError(.notFound, "There is no binding and no registered user \"\(name.prefix(64))\": see `relayctl registrations`.")
    }
}
