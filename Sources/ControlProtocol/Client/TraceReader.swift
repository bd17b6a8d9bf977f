import Core

extension ControlClient {
    /// Pages back until `count` messages are found or there is nothing older.
    ///
    /// - Returns: the messages, the oldest first, and the `from` of what comes after.
    package mutating func lookBack(
        _ query: TraceQuery, last count: Int
    ) throws(ControlClientError) -> (messages: [TracedSIPMessage], newer: UInt64) {
        var query = query
        var pages: [[TracedSIPMessage]] = []
        var missing = count
        var newer: UInt64?
        repeat {
            query.limit = min(256, max(1, missing))
            let page = try trace(query)
            newer = newer ?? page.newer
            if missing > 0 { pages.append(page.messages.suffix(missing)) }
            missing -= min(missing, page.messages.count)
            query.before = page.older
        } while missing > 0 && query.before != nil
        return (pages.reversed().flatMap { $0 }, newer ?? 0)
    }
}
