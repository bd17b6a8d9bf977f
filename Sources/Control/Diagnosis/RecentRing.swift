/// The last so many of what was added; the oldest make room.
struct RecentRing<Element> {
    private let limit: Int
    private var elements: [Element] = []
    private var oldest = 0

    init(limit: Int) { self.limit = limit }

    mutating func add(_ element: Element) {
        guard limit > 0 else { return }
        if elements.count < limit {
            elements.append(element)
        } else {
            elements[oldest] = element
            oldest = (oldest + 1) % limit
        }
    }

    /// The newest first.
    func all(where condition: (Element) -> Bool) -> [Element] {
        (elements[oldest...] + elements[..<oldest]).reversed().filter(condition)
    }

    func newest(where condition: (Element) -> Bool) -> Element? {
        elements[..<oldest].last(where: condition) ?? elements[oldest...].last(where: condition)
    }

    /// Changes the one that was added last of those that meet the condition, if there is one.
    mutating func changeNewest(where condition: (Element) -> Bool, _ change: (inout Element) -> Void) {
        guard
            let index = elements[..<oldest].lastIndex(where: condition) ?? elements[oldest...].lastIndex(where: condition)
        else { return }
        change(&elements[index])
    }

    var count: Int { elements.count }
}

extension RecentRing: Sendable where Element: Sendable {}
