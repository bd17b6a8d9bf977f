package import Core

/// Quantities as people read them.
package enum Quantity {
    /// `1:02:03`.
    package static func duration(seconds: Int) -> String {
        let seconds = max(0, seconds)
        return "\(seconds / 3_600):\(twoDigits(seconds / 60 % 60)):\(twoDigits(seconds % 60))"
    }

    /// `4.2 s`; from 100 s on without the tenths, from an hour on `1:02:03`.
    package static func silence(seconds: Double) -> String {
        guard seconds.isFinite, seconds < 3_600 else {
            return duration(seconds: seconds.isFinite ? Int(min(seconds, 1e12)) : 0)
        }
        let tenths = Int((max(0, seconds) * 10).rounded(.down))
        return tenths < 1_000 ? "\(tenths / 10).\(tenths % 10) s" : "\(tenths / 10) s"
    }

    /// `2026-11-23 20:15:04`, in UTC; say so where it is shown.
    package static func dateAndTime(_ time: WallTime) -> String {
        let text = time.description
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(8))"
    }

    /// `20:15:04.123`.
    package static func timeOfDay(_ time: WallTime) -> String {
        String(time.description.dropFirst(11).prefix(12))
    }

    private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
