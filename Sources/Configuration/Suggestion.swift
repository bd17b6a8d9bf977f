/// The name someone most likely meant.
enum Suggestion {
    /// The nearest of `candidates` to `name`, or nil when none is near. Only the last part of a dotted name may match,
    /// which finds a key that stands in the wrong table.
    static func nearest(to name: String, among candidates: [String]) -> String? {
        let scored = candidates.map { candidate in
            let whole = distance(name.lowercased(), candidate.lowercased())
            let leaf = distance(lastPart(of: name), lastPart(of: candidate)) + 1
            return (candidate, min(whole, leaf))
        }
        guard let best = scored.min(by: { $0.1 < $1.1 }), best.1 <= max(2, name.count / 3) else { return nil }
        return best.0
    }

    private static func lastPart(of name: String) -> String {
        (name.split(separator: ".").last.map(String.init) ?? name).lowercased()
    }

    /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
    private static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8)
        let right = Array(right.utf8)
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for row in left.indices {
            var current = [row + 1]
            for column in right.indices {
                var best = min(last[column + 1] + 1, current[column] + 1)
                best = min(best, last[column] + (left[row] == right[column] ? 0 : 1))
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    best = min(best, beforeLast[column - 1] + 1)
                }
                current.append(best)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}
