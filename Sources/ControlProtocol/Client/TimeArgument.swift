package import Core

extension WallTime {
    /// A time as people type it: `90s`, `30m`, `2h` or `7d` before `now`, or a UTC time of which the end may be missing:
    /// `2026-01-31`, `2026-01-31T08:00`, `2026-01-31 08:00:15`, with or without `Z`. Nil for anything else.
    package init?(typed text: String, now: WallTime) {
        if let time = Self.before(now, text) {
            self = time
            return
        }
        var whole = text.replacing(" ", with: "T")
        if whole.hasSuffix("Z") { whole.removeLast() }
        let pattern = "0000-01-01T00:00:00.000"
        // Only after a day, minute, second or millisecond: `2026-01-3` would be read as the 31st.
        guard [10, 16, 19, 23].contains(whole.count) else { return nil }
        self.init(whole + pattern.dropFirst(whole.count) + "Z")
    }

    private static func before(_ now: WallTime, _ text: String) -> WallTime? {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Int(text.dropLast()), (0...1_000_000).contains(count)
        else { return nil }
        return now + .seconds(-count * unit)
    }
}
