package import Core

/// Tells when nearly everything that comes is the chatter of phones: REGISTERs, and answers to keep-alives.
///
/// Nobody notices when such a message waits for four milliseconds, and a control thread that is woken for several at once uses a
/// third less processor time for each. As soon as calls are an eighth of it, nothing waits any more.
package struct PhoneTraffic {
    /// How long messages are gathered while phones are all there is.
    static let window = Duration.milliseconds(4)
    private static let span = Duration.milliseconds(100)
    /// Messages of phones in one span: a thousand a second.
    private static let crowd = 100

    private var ofPhones = 0
    private var others = 0
    private var spanEnd: Instant
    private var isCrowd = false

    package init(now: Instant) { spanEnd = now + Self.span }

    package mutating func note(isOfPhone: Bool) {
        if isOfPhone { ofPhones += 1 } else { others += 1 }
    }

    /// How long what comes now may be gathered.
    package mutating func gatherTime(at now: Instant) -> Duration {
        if now >= spanEnd {
            // A span that lasted longer, because nothing came, is no crowd.
            isCrowd = ofPhones >= Self.crowd && others * 8 <= ofPhones && now < spanEnd + Self.span
            ofPhones = 0
            others = 0
            spanEnd = now + Self.span
        }
        return isCrowd && others * 8 <= max(ofPhones, Self.crowd) ? Self.window : .zero
    }
}
