/// Splits a stream of octets into lines. Memory stays below the limit plus what one read brings.
package struct LineFramer: Sendable {
    package enum Output: Equatable, Sendable {
        /// Without its line feed, and without a carriage return before that.
        case line([UInt8])
        /// A line longer than the limit has begun; it is passed over up to its end. Reported once for each.
        case tooLong
    }

    /// What a daemon accepts in one line.
    package static let requestLimit = 65_536

    private let limit: Int
    private var partial: [UInt8] = []
    private var isSkipping = false

    /// - Parameter limit: the longest line accepted, in octets without the line feed.
    package init(limit: Int = requestLimit) { self.limit = limit }

    /// Octets received whose line has not ended.
    package var pendingCount: Int { partial.count }

    /// Takes what was received next; blank lines are passed over.
    package mutating func append(_ octets: some Collection<UInt8>) -> [Output] {
        var outputs: [Output] = []
        var rest = octets[...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n"))
            let piece = rest[..<(end ?? rest.endIndex)]
            add(piece, to: &outputs)
            guard let end else { break }
            finishLine(in: &outputs)
            rest = rest[rest.index(after: end)...]
        }
        return outputs
    }

    private mutating func add(_ piece: some Collection<UInt8>, to outputs: inout [Output]) {
        guard !isSkipping else { return }
        guard partial.count + piece.count <= limit else {
            outputs.append(.tooLong)
            partial = []
            isSkipping = true
            return
        }
        partial.append(contentsOf: piece)
    }

    private mutating func finishLine(in outputs: inout [Output]) {
        defer {
            partial.removeAll(keepingCapacity: partial.capacity <= 4_096)
            isSkipping = false
        }
        guard !isSkipping else { return }
        if partial.last == UInt8(ascii: "\r") { partial.removeLast() }
        if !partial.isEmpty { outputs.append(.line(partial)) }
    }
}
