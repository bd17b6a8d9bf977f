/// Lines on their way to one client, in order. The front may be partly sent.
struct OutgoingLines {
    private var lines: [[UInt8]] = []
    private var firstLine = 0
    /// Octets of the first line that the kernel has taken.
    private var sentOfFirst = 0
    /// Octets not yet taken by the kernel.
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ line: [UInt8]) {
        guard !line.isEmpty else { return }
        lines.append(line)
        count += line.count
    }

    /// A copy of what comes next, for the kernel to read from while this queue grows.
    func next(atMost limit: Int) -> [UInt8] {
        var octets: [UInt8] = []
        octets.reserveCapacity(min(limit, count))
        var start = sentOfFirst
        for line in lines[firstLine...] {
            guard octets.count < limit else { break }
            octets += line[start...].prefix(limit - octets.count)
            start = 0
        }
        return octets
    }

    mutating func drop(_ sent: Int) {
        precondition(sent <= count, "more was sent than was there")
        count -= sent
        sentOfFirst += sent
        while firstLine < lines.count, sentOfFirst >= lines[firstLine].count {
            sentOfFirst -= lines[firstLine].count
            lines[firstLine] = []
            firstLine += 1
        }
        // Moving the rest up costs its length, so at least as much has to have gone.
        if firstLine * 2 >= lines.count {
            lines.removeFirst(firstLine)
            firstLine = 0
        }
    }
}
