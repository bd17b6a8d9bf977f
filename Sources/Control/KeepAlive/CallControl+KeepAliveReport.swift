import Configuration
package import ControlProtocol
package import Core
import Glibc
import SIP

/// What `relayctl registrations` and `relayctl keepalive` show.
extension CallControl {
    package func registrations(_ query: RegistrationQuery, now: Instant) -> RegistrationList {
        guard let phones else { return RegistrationList(total: 0, matching: 0, bindings: []) }
        let filter = query.filter.map { $0.lowercased() }
        var list = RegistrationList(total: phones.registrar.count, matching: 0, bindings: [])
        for index in 0..<UInt32(phones.registrar.table.slotCount) {
            guard let (id, binding) = phones.registrar.table.binding(at: index) else { continue }
            if filter == nil, list.bindings.count >= query.limit {
                list.matching = list.total
                break
            }
            let summary = summary(of: id, binding, phones, now: now)
            if let filter {
                let texts = [summary.user, summary.contact, summary.source, summary.agent, summary.id]
                guard texts.contains(where: { $0.lowercased().contains(filter) }) else { continue }
            }
            list.matching += 1
            if list.bindings.count < query.limit { list.bindings.append(summary) }
        }
        return list
    }

    /// The bindings of a user name or number, or the one with that id; empty when there is none.
    package func bindingDetails(_ name: String, now: Instant) -> [BindingDetail] {
        guard let phones else { return [] }
        var ids: [BindingID] = []
        let parts = name.split(separator: ".")
        if parts.count == 2, let index = UInt32(parts[0]), let generation = UInt32(parts[1]) {
            ids.append(BindingID(index: index, generation: generation))
        }
        if let user = phones.users.find(Array(name.utf8)) { ids += phones.registrar.targets(of: user, now: now).map(\.id) }
        return ids.compactMap { id in phones.registrar.table[id].map { detail(of: id, $0, phones, now: now) } }
    }

    private func summary(of id: BindingID, _ binding: Binding, _ phones: Phones, now: Instant) -> RegistrationSummary {
        RegistrationSummary(
            id: "\(id.index).\(id.generation)", user: phones.users[binding.user].nameText, contact: binding.contactText,
            source: binding.flow.description, connection: Self.connection(of: binding), nat: binding.evidence.text, agent: phones.registrar.agents[binding.agent],
            q: Double(binding.quality) / 1_000, path: binding.path.isEmpty ? nil : String(decoding: binding.path, as: UTF8.self),
            expiresInSeconds: max(0, Int((binding.expiresAt - now).components.seconds)), registeredAt: wallTime(binding.registeredAt))
    }

    private static func connection(of binding: Binding) -> String? {
        binding.transport.isReliable && binding.path.isEmpty ? binding.isCutOff ? "closed" : "open" : nil
    }

    private func detail(of id: BindingID, _ binding: Binding, _ phones: Phones, now: Instant) -> BindingDetail {
        let summary = summary(of: id, binding, phones, now: now)
        let keepAlives = phones.keepAlives
        guard let (state, proof, refusals) = keepAlives[id] else {
            let name = binding.transport.viaToken
            let reason =
                binding.isCutOff
                ? (phones.connections.ends[id].map { "Its \(name) connection closed \((now - $0).components.seconds) s ago" }
                    ?? "Its \(name) connection ended with the last run of relayd")
                    + ": no call reaches it before it registers anew."
                : !binding.path.isEmpty && binding.transport.isReliable ? "It gets no keep-alives: calls reach it by its Path."
                : binding.transport.isReliable
                ? "It gets no keep-alives: calls reach it by its \(name) connection, which is open; what keeps that open is up to the phone."
                : !keepAlives.isOn ? "It gets no keep-alives: keepalive.message is empty."
                : !binding.isBehindNAT ? "It gets no keep-alives: it is not behind NAT."
                : "It gets no keep-alives: it has not proven who it is."
            return BindingDetail(binding: summary, keepAlive: nil, verdict: reason)
        }
        let isEliciting = keepAlives.payload.isEliciting
        let keepAlive = BindingDetail.KeepAlive(
            lastSentSecondsAgo: (now - state.lastSent).inSeconds, lastHeardSecondsAgo: (now - proof.lastHeard).inSeconds,
            longestGapSeconds: Double(state.longestGap) / 1_000, sent: Int(state.sent), missedDeadlines: Int(state.missed),
            errors: Int(refusals?.count ?? 0), lastError: refusals.map { Self.words(of: $0.lastErrno) },
            answers: Int(proof.answers), unanswered: isEliciting ? Int(proof.unanswered) : nil,
            survivedSilenceSeconds: isEliciting ? Double(proof.survived) / 1_000 : nil)
        return BindingDetail(binding: summary, keepAlive: keepAlive, verdict: verdict(state, proof, refusals, keepAlives))
    }

    private func verdict(
        _ state: KeepAliveSchedule.State, _ proof: KeepAlives.Proof, _ refusals: KeepAlives.Refusals?, _ keepAlives: KeepAlives
    ) -> String {
        if let refusals, refusals.lastAt > proof.lastHeard {
            return "The network refuses what is sent to it (\(Self.words(of: refusals.lastErrno))): the phone is gone, or its router is."
        }
        guard keepAlives.payload.isEliciting else {
            return state.sent == 0
                ? "Its first keep-alive is not due yet."
                : "Keep-alives go out in time. \"\(keepAlives.settings.message)\" asks for no answer, so whether they arrive is not "
                    + "known; keepalive.message = \"options\" would prove it."
        }
        if proof.unanswered >= KeepAlives.lostAfter {
            return "It has not answered the last \(proof.unanswered): the pinhole is closed, or the phone is off. Silence of "
                + "\(KeepAliveReport.seconds(proof.survived)) s was survived, and the period is "
                + "\(keepAlives.settings.period.components.seconds) s."
        }
        return proof.answers == 0 ? "Nothing was answered yet." : "It answers: an inbound call will reach it."
    }

    private static func words(of errno: Int32) -> String {
        // SAFETY: strerror returns a static or thread-local C string, copied before anything else runs here.
        unsafe String(cString: strerror(errno))
    }

    /// Nil without users. Costs nothing, however many there are.
    package var phoneFigures: PhoneFigures? {
        guard let phones else { return nil }
        let keepAlives = phones.keepAlives
        return PhoneFigures(
            users: phones.users.count, registered: phones.registrar.count, limit: configuration.limits.bindings,
            keptAlive: keepAlives.schedule.count, coverage: keepAlives.schedule.lastCycle?.coverage,
            unreachable: keepAlives.payload.isEliciting ? keepAlives.unreachableCount : nil)
    }

    package func keepAliveReport(now: Instant) -> KeepAliveReport {
        guard let phones else {
            return KeepAliveReport(
                message: "off: there are no users", isOn: false, periodSeconds: Int(configuration.keepAlive.period.components.seconds),
                intervalMilliseconds: Int(configuration.keepAlive.interval.milliseconds), quantity: configuration.keepAlive.quantity,
                arithmetic: "no bindings", registered: 0, behindNAT: 0, served: 0, lastCycle: nil, messages: 0, missedDeadlines: 0,
                errors: 0, answers: 0, processorMicrosecondsPerMessage: 0, findings: [])
        }
        let keepAlives = phones.keepAlives
        let schedule = keepAlives.schedule
        var survey = Survey()
        for index in 0..<UInt32(phones.registrar.table.slotCount) {
            guard let (id, binding) = phones.registrar.table.binding(at: index) else { continue }
            survey.add(id, binding, keepAlives, phones)
        }
        let text =
            switch keepAlives.payload {
            case .off: "off: keepalive.message is empty, nothing is sent"
            case .options: "SIP OPTIONS, which is answered"
            case .datagram: "\"\(keepAlives.settings.message)\", which asks for no answer"
            }
        let cycle = schedule.lastCycle.map { cycle in
            KeepAliveReport.Cycle(
                startedAt: wallTime(cycle.startedAt), expected: cycle.expected, served: cycle.served,
                coveragePercent: cycle.coverage * 100, messages: cycle.messages, missedDeadlines: cycle.missedDeadlines,
                longestGapSeconds: Double(cycle.longestGap) / 1_000, largestBatch: cycle.largestBatch,
                processorMilliseconds: Double(keepAlives.processorTime.lastCycle) / 1e6)
        }
        return KeepAliveReport(
            message: text, isOn: keepAlives.isOn, periodSeconds: Int(keepAlives.settings.period.components.seconds),
            intervalMilliseconds: Int(keepAlives.settings.interval.milliseconds), quantity: keepAlives.settings.quantity,
            arithmetic: keepAlives.arithmetic, registered: phones.registrar.count, behindNAT: survey.behindNAT,
            served: schedule.count, lastCycle: cycle, messages: schedule.messages, missedDeadlines: schedule.missedDeadlines,
            errors: keepAlives.errors, answers: keepAlives.answers,
            processorMicrosecondsPerMessage: schedule.messages == 0
                ? 0 : Double(keepAlives.processorTime.total) / 1e3 / Double(schedule.messages),
            findings: findings(survey, phones))
    }

    /// What a look at every binding tells.
    private struct Survey {
        var behindNAT = 0
        var unproven = 0
        var lost: (count: Int, example: String) = (0, "")
        var refused: (count: Int, example: String) = (0, "")
        var cutOff: (count: Int, example: String) = (0, "")
        var longestSurvived: UInt32 = 0

        mutating func add(_ id: BindingID, _ binding: Binding, _ keepAlives: KeepAlives, _ phones: Phones) {
            if binding.isBehindNAT { behindNAT += 1 }
            if binding.isCutOff {
                if cutOff.count == 0 { cutOff.example = phones.users[binding.user].nameText }
                cutOff.count += 1
            }
            guard let (_, proof, refusals) = keepAlives[id] else { return }
            longestSurvived = max(longestSurvived, proof.survived)
            if proof.unanswered >= KeepAlives.lostAfter, keepAlives.payload.isEliciting {
                if lost.count == 0 { lost.example = phones.users[binding.user].nameText }
                lost.count += 1
            }
            if let refusals, refusals.lastAt > proof.lastHeard {
                if refused.count == 0 { refused.example = phones.users[binding.user].nameText }
                refused.count += 1
            }
        }
    }

    /// The rows of the vendor's troubleshooting table, each with its evidence.
    private func findings(_ survey: Survey, _ phones: Phones) -> [KeepAliveReport.Finding] {
        let keepAlives = phones.keepAlives
        let period = keepAlives.settings.period
        var findings: [KeepAliveReport.Finding] = []
        let isNothingSent = !keepAlives.isOn && survey.behindNAT > 0
        findings.append(
            .init(
                "nothing is sent", isPresent: isNothingSent,
                keepAlives.isOn
                    ? "\(keepAlives.schedule.messages) messages since the start"
                    : "keepalive.message is empty and \(survey.behindNAT) phones are behind NAT"))
        let isLosing = survey.lost.count > 0
        findings.append(
            .init(
                "phones unregister or miss calls at random", isPresent: isLosing,
                isLosing
                    ? "\(survey.lost.count) phones, \(survey.lost.example) for one, have not answered the last "
                        + "\(KeepAlives.lostAfter) keep-alives or more; the longest silence any phone has survived is "
                        + "\(KeepAliveReport.seconds(survey.longestSurvived)) s, the period \(period.components.seconds) s: "
                        + "shorten keepalive.period"
                    : keepAlives.payload.isEliciting
                        ? "every phone answers; silence of \(KeepAliveReport.seconds(survey.longestSurvived)) s was survived"
                        : "unknown while keepalive.message asks for no answer; with \"options\" it would be known"))
        let isOver = keepAlives.schedule.isOverCapacity
        findings.append(.init("starved phones", isPresent: isOver, keepAlives.arithmetic))
        let load = Double(keepAlives.processorTime.lastCycle) / Double(max(1, period.nanoseconds)) * 100
        let largest = keepAlives.schedule.lastCycle?.largestBatch ?? 0
        let isHeavy = load > 10 || largest > KeepAliveSchedule.batchLimit
        findings.append(
            .init(
                "high processor load", isPresent: isHeavy,
                "\(KeepAliveReport.percent(load)) % of one processor in the last cycle, at most \(largest) messages at once"
                    + (isHeavy ? ": a smaller keepalive.quantity or a longer keepalive.period lowers it" : "")))
        findings.append(mediaFinding(behindNAT: survey.behindNAT, phones))
        if survey.cutOff.count > 0 {
            findings.append(
                .init(
                    "phones by TCP or TLS are cut off", isPresent: true,
                    "the connection of \(survey.cutOff.count) contacts, one of \(survey.cutOff.example) for one, has closed: no call reaches "
                        + "them before they register anew"))
        }
        if survey.refused.count > 0 {
            findings.append(
                .init(
                    "the network refuses keep-alives", isPresent: true,
                    "\(survey.refused.count) phones, \(survey.refused.example) for one, were not heard since"))
        }
        return findings
    }

    /// Whether the media of a phone behind NAT may go past relayd, where it hardly arrives: by the rule that decides it for each
    /// call, and by the calls that are up.
    private func mediaFinding(behindNAT: Int, _ phones: Phones) -> KeepAliveReport.Finding {
        let symptom = "one-way audio because media is not relayed"
        let natIsRelayed = configuration.media.proxyBehindNAT == .on
        func side(_ mode: MediaProxyMode, _ name: String, isBehindNAT: Bool = false) -> MediaProxy.Side {
            MediaProxy.Side(mode: mode, isBehindNAT: isBehindNAT, address: nil, convertsDigits: false, name: name)
        }
        // A user that is a trunk's calls with that trunk's mode.
        let ownTrunks = Set(phones.trunks.values)
        let modes = [configuration.media.proxy] + configuration.trunks.filter { ownTrunks.contains($0.name) }
            .map { $0.mediaProxy ?? configuration.media.proxy }
        let others = [side(configuration.media.proxy, "other phones")]
            + configuration.trunks.map { side($0.mediaProxy ?? configuration.media.proxy, $0.name) }
        let past = others.filter { other in
            modes.contains { !MediaProxy.decide(side($0, "the phone", isBehindNAT: true), other, natIsRelayed: natIsRelayed).isRelayed }
        }
        let now = directCalls.compactMap { calls[$0] }.filter { $0.caller.isBehindNAT || $0.chosenBranch?.target.isBehindNAT == true }
        if let example = now.min(by: { $0.number.rawValue < $1.number.rawValue }) {
            return .init(
                symptom, isPresent: true,
                "\(now.count) of the present calls, \(example.id) for one, \(now.count == 1 ? "goes" : "go") past relayd although a "
                    + "phone behind NAT takes part (\(example.proxy.reason)): set media.proxy_behind_nat = \"on\"")
        }
        guard !past.isEmpty else {
            return .init(
                symptom, isPresent: false,
                natIsRelayed
                    ? "media.proxy_behind_nat is on: calls of phones behind NAT are relayed"
                    : "media.proxy and media_proxy of the trunks have the media of every call relayed")
        }
        let names = past.prefix(3).map(\.name).joined(separator: ", ") + (past.count > 3 ? " and \(past.count - 3) more" : "")
        let settings = "media.proxy_behind_nat is off, and with media.proxy = \"\(configuration.media.proxy.rawValue)\" and media_proxy of "
            + "the trunks calls with \(names) may go past relayd"
        return .init(
            symptom, isPresent: behindNAT > 0,
            behindNAT > 0 ? "\(settings), and \(behindNAT) phones are behind NAT: set it to \"on\"" : "\(settings), but no phone is behind NAT")
    }
}

extension KeepAliveReport {
    static func seconds(_ milliseconds: UInt32) -> String { "\(milliseconds / 1_000).\(milliseconds % 1_000 / 100)" }
    static func percent(_ value: Double) -> String { "\(Int(value * 100 + 0.5) / 100).\(Int(value * 100 + 0.5) % 100 / 10)" }
}
