package import Core

/// The steps that look at settings and figures instead of placing a call. Pure.
package enum DoctorLints {
    package static func timeoutStep(_ rows: [ConfigurationRow]) -> DoctorReport.Step {
        let title = "No-media timeout is set"
        let timeouts = rows.filter { $0.key.hasSuffix("no_media_timeout") }
        let off = timeouts.filter { $0.value == "0s" || $0.value == "0" }
        let shown = timeouts.map { "\($0.key) = \($0.value)" }.joined(separator: ", ")
        if timeouts.isEmpty { return .init(2, title, .skipped, "This relayd has no such key.") }
        if off.isEmpty { return .init(2, title, .passed, "\(shown).") }
        return .init(
            2, title, .failed, "\(off.map(\.key).joined(separator: ", ")) is 0: those calls stay up when their media dies. \(shown).",
            advice: "set media.no_media_timeout to 60 and take the zeros out of the trunks, but for emergency numbers")
    }

    package static func sessionTimerStep(_ rows: [ConfigurationRow]) -> DoctorReport.Step {
        let title = "Session timer is the back-up"
        let timers = rows.filter { row in
            row.vosName == "SS_SESSION_TIMER" || ["session_timer", "session_expires"].contains { row.key.hasSuffix($0) }
        }
        guard !timers.isEmpty else {
            return .init(9, title, .skipped, "This relayd has no session timer (RFC 4028) of its own.")
        }
        let shown = timers.map { "\($0.key) = \($0.value)" }.joined(separator: ", ")
        let off = timers.filter { ["0s", "0", "off", "false"].contains($0.value) }
        if off.isEmpty { return .init(9, title, .passed, "\(shown).") }
        return .init(
            9, title, .failed, "\(off.map(\.key).joined(separator: ", ")) is off. \(shown).",
            advice: "set it to 1800: an endpoint that is gone is then noticed even where media is not relayed")
    }

    package static func documentedStep(_ rows: [ConfigurationRow]) -> DoctorReport.Step {
        let title = "Settings are documented"
        let own = rows.filter { $0.origin != "default" }
        guard !own.isEmpty else {
            return .init(
                10, title, .failed, "relayd runs on defaults alone: there is no file that says what was decided.",
                advice: "write the output of `relayd reference` to a file, keep what you decide, and start with --config")
        }
        // `FILE:LINE`, or `NAME at FILE:LINE`.
        let files = Set(
            own.map { row in
                let place = row.origin.split(separator: " at ").last ?? ""
                return place.split(separator: ":").dropLast().joined(separator: ":")
            })
        let vos = own.filter { $0.origin.contains(" at ") }.count
        return .init(
            10, title, .passed,
            "\(own.count) values are from \(files.sorted().joined(separator: ", ")), each with its line"
                + (vos > 0 ? ", \(vos) under their VOS3000 names" : "") + "; `relayctl config show` prints all \(rows.count).")
    }

    /// - Parameter audit: nil when the records could not be read.
    package static func auditStep(_ audit: AuditReport?, hours: Int) -> DoctorReport.Step {
        let title = "No traces of ghost calls in the records"
        guard let audit else { return .init(8, title, .skipped, "The records could not be read.") }
        guard audit.examined > 0 else { return .init(8, title, .passed, "No answered calls in the last \(hours) h.") }
        guard let first = audit.findings.first else {
            return .init(8, title, .passed, "None in \(audit.examined) answered calls of the last \(hours) h.")
        }
        return .init(
            8, title, .failed,
            "\(audit.findings.count) found in \(audit.examined) answered calls of the last \(hours) h, first: \(first.subject), "
                + "\(first.evidence).",
            advice: "look at all of them with `relayctl audit --since \(hours)h`")
    }

    /// Senders that are no trunk and no phone: those that a trunk was probably meant to be cost somebody his calls.
    package static func strangersStep(_ report: StrangerReport, hours: Int, now: WallTime) -> DoctorReport.Step {
        let title = "Nobody is refused by mistake"
        let recent = report.shown.filter { $0.lastAt.milliseconds >= now.milliseconds - Int64(hours) * 3_600_000 }
        guard let busiest = recent.first else {
            return .init(11, title, .passed, "No request came from anybody who is no trunk and no phone in the last \(hours) h.")
        }
        let requests = recent.reduce(0) { $0 + $1.requests }
        let policy = report.policy == "drop" ? "dropped" : "refused"
        let slips = recent.filter(\.isSlip)
        guard let slip = slips.first else {
            return .init(
                11, title, .passed,
                "\(requests) requests of \(recent.count) strangers were \(policy), none of them near a trunk; most of \(busiest.source), "
                    + "\(busiest.requests), the last \(busiest.method)\(busiest.userAgent.isEmpty ? "" : " by \(busiest.userAgent)").")
        }
        let others = slips.count > 1 ? " \(slips.count - 1) more are near a trunk: `relayctl strangers`." : ""
        return .init(
            11, title, .failed,
            "\(slip.requests) requests from \(slip.lastAddress), the last one \(slip.method), were \(policy) because it is no trunk: "
                + "\(slip.hint).\(others)",
            advice: "correct address or sources of that trunk, then `relayctl reload`; see `relayctl why \(slip.lastAddress.ip)`")
    }

    /// Calls that are up although nobody was heard for longer than they may be silent, and ports that belong to nobody.
    package static func accumulationStep(
        _ calls: [CallSummary], _ status: StatusReport, audit: AuditReport?
    ) -> DoctorReport.Step {
        let title = "Nothing accumulates"
        let connected = calls.filter { $0.state == .connected }
        let stuck = connected.filter { call in
            let silence = [call.fromCaller, call.fromCallee].map { $0.silenceSeconds ?? 0 }
            let isHeld = [call.fromCaller, call.fromCallee].contains { $0.state == .held }
            return !isHeld && (silence.min() ?? 0) > Double(max(60, call.noMediaTimeoutSeconds) + 5)
        }
        let piles = audit?.findings.filter { $0.pattern == .pileUp } ?? []
        let figures = "\(connected.count) connected calls, \(status.media.portsInUse) ports in use, "
            + "\(status.records.pending) records waiting"
        if !stuck.isEmpty {
            let names = stuck.prefix(5).map { "\($0.id) (\($0.monitored ? "watched" : "not watched: \($0.monitoredReason)"))" }
            return .init(
                7, title, .failed, "\(stuck.count) calls are up in which nobody is heard: \(names.joined(separator: ", ")). \(figures).",
                advice: "end them with `relayctl hangup ID`, and give their trunk a no_media_timeout")
        }
        if let pile = piles.first {
            return .init(7, title, .failed, "\(pile.subject): \(pile.evidence). \(figures).", advice: "see `relayctl audit`")
        }
        // Four ports a call; some calls are just opening or closing, and NG calls may have several media.
        if calls.isEmpty, status.media.portsInUse > 0 {
            return .init(7, title, .failed, "No call is present and \(status.media.portsInUse) ports are in use.",
                advice: "restart relayd when it suits, and report this")
        }
        return .init(7, title, .passed, "Nobody is silent beyond their timeout. \(figures).")
    }
}
