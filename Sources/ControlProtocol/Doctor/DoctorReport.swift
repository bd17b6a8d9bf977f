/// What `relayctl doctor` found: the vendor's ten steps in their order, and one more.
package struct DoctorReport: Codable, Equatable, Sendable {
    package enum Outcome: String, Codable, Sendable {
        case passed, failed
        /// It could not be found out; the evidence says why.
        case skipped
    }

    package struct Step: Codable, Equatable, Sendable {
        package var number: Int
        package var title: String
        package var outcome: Outcome
        package var evidence: String
        /// What to do about it; empty when it passed.
        package var advice: String

        package init(_ number: Int, _ title: String, _ outcome: Outcome, _ evidence: String, advice: String = "") {
            self.number = number
            self.title = title
            self.outcome = outcome
            self.evidence = evidence
            self.advice = advice
        }
    }

    package var steps: [Step]

    package init(steps: [Step]) { self.steps = steps.sorted { $0.number < $1.number } }

    package var hasFailed: Bool { steps.contains { $0.outcome == .failed } }

    /// For people.
    package func text(_ style: TextStyle) -> String {
        var text = ""
        for step in steps {
            let (word, tone): (String, TextStyle.Tone) =
                switch step.outcome {
                case .passed: ("passed ", .good)
                case .failed: ("FAILED ", .bad)
                case .skipped: ("skipped", .faint)
                }
            text += "\(step.number < 10 ? " " : "")\(step.number)  \(style.painted(word, tone))  \(style.painted(step.title, .strong))\n"
            for line in wrapped(style.safe(step.evidence), to: max(24, style.width - 13)) { text += "             \(line)\n" }
            if !step.advice.isEmpty {
                for line in wrapped(style.safe("Do: \(step.advice)"), to: max(24, style.width - 13)) {
                    text += "             \(style.painted(line, .bad))\n"
                }
            }
        }
        let failed = steps.count { $0.outcome == .failed }
        let skipped = steps.count { $0.outcome == .skipped }
        let count = steps.count - failed - skipped
        return text + "\n\(count) passed, \(failed) failed, \(skipped) skipped.\n"
    }
}
