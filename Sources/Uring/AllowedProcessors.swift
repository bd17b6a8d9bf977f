extension SystemLimits {
    /// The CPUs this process was given (`taskset`, a container, a unit's AllowedCPUs), in ascending order; empty when the
    /// kernel does not say. Threads are pinned within these only. Read once: before a thread is told to keep off some.
    public static let allowedProcessors: [Int] = {
        guard let status = text(ofFile: "/proc/self/status") else { return [] }
        let field = "Cpus_allowed_list:"
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(field) }) else { return [] }
        return processors(in: line.dropFirst(field.count))
    }()

    /// Reads `0-3,8,10-11`.
    static func processors(in list: some StringProtocol) -> [Int] {
        list.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int(String($0).filter(\.isNumber)) }
            guard let first = ends.first, let last = ends.last, first <= last, last < 65_536 else { return [] }
            return Array(first...last)
        }
    }
}
