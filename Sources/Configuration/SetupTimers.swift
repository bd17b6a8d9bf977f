/// How long a callee may take over each stage of call set-up. One runs at a time, from the response that began its stage.
package struct SetupTimers: Hashable, Sendable {
    package enum Stage: String, CaseIterable, Sendable {
        /// The INVITE is out, and nothing was heard.
        case invite
        /// 100 Trying, and nothing more.
        case trying
        /// 181, 182, 183 or another progress without a description, and no ringing.
        case progress
        /// A provisional response with a description: the caller may hear something.
        case earlyMedia
        /// 180 Ringing.
        case ringing
    }

    package var invite = Duration.seconds(10)
    package var trying = Duration.seconds(20)
    package var progress = Duration.seconds(20)
    package var earlyMedia = Duration.seconds(120)
    package var ringing = Duration.seconds(120)

    package init() {}

    package subscript(stage: Stage) -> Duration {
        switch stage {
        case .invite: invite
        case .trying: trying
        case .progress: progress
        case .earlyMedia: earlyMedia
        case .ringing: ringing
        }
    }

    /// The stage that a provisional response begins, nil when the present one goes on: each stage begins once, and a
    /// callee that has rung is not given less time because it says something else.
    package static func stage(after stage: Stage?, status: Int, hasDescription: Bool) -> Stage? {
        let next: Stage =
            switch status {
            case 100: .trying
            case 180: hasDescription ? .earlyMedia : .ringing
            default: hasDescription ? .earlyMedia : .progress
            }
        guard let stage, let old = Stage.allCases.firstIndex(of: stage), let new = Stage.allCases.firstIndex(of: next) else {
            return next
        }
        return new > old ? next : nil
    }
}
