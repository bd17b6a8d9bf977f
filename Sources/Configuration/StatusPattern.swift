/// A final status after which the next route is tried, or a class of them.
package struct StatusPattern: Hashable, Sendable {
    package let range: ClosedRange<Int>
}

extension StatusPattern: LosslessStringConvertible {
    /// `408`, `5xx`.
    package var description: String { range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound / 100)xx" }

    /// Nil for what is no status of the classes 4 and 5, and for those that say that the callee was reached: trying someone
    /// else would ring a busy phone twice.
    package init?(_ description: String) {
        if description == "5xx" {
            range = 500...599
        } else {
            guard description.utf8.count == 3, let status = Int(description), (400...599).contains(status),
                !Self.isReached(status)
            else { return nil }
            range = status...status
        }
    }

    /// 486 Busy Here, 487 and every 6xx are the callee's last word (RFC 3261 §21.4.19, §21.6).
    package static func isReached(_ status: Int) -> Bool { status == 486 || status == 487 || status >= 600 }
}

extension ValueFormat where Value == StatusPattern {
    static let failover = ValueFormat<StatusPattern>.string(
        expected: "", text: \.description, parse: { StatusPattern($0) }
    ).list("a list of statuses like [\"408\", \"480\", \"5xx\"], without 486, 487 and 6xx, which are the callee's last word")
}
