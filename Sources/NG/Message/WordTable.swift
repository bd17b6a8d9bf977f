/// What words mean, however they are spelt: see `ASCII.folded`.
///
/// Requests are made of words from long lists. Here one is found among the few of its length, without a text made of it.
struct WordTable<Meaning: Sendable>: Sendable {
    /// All words as they are compared, one after the other, the shortest first.
    private let octets: [UInt8]
    private let meanings: [Meaning]
    /// By length: the number of the first such word, and where it starts. The last place is of all that are longer: none.
    private let starts: [(number: Int, octet: Int)]

    /// - Parameter words: each once, in lower case with hyphens for spaces.
    init(_ words: [(word: String, meaning: Meaning)]) {
        let sorted = words.sorted { $0.word.utf8.count < $1.word.utf8.count }
        let longest = sorted.last?.word.utf8.count ?? 0
        octets = sorted.flatMap { Array($0.word.utf8) }
        meanings = sorted.map(\.meaning)
        starts = (0...longest + 1).map { count in
            let shorter = sorted.prefix { $0.word.utf8.count < count }
            return (shorter.count, shorter.reduce(0) { $0 + $1.word.utf8.count })
        }
    }

    /// Nil for a word that is not there.
    subscript(word: ArraySlice<UInt8>) -> Meaning? {
        let count = word.count
        guard count + 1 < starts.count else { return nil }
        guard count > 0 else { return nil }
        let word = word.span
        let octets = octets.span
        let first = ASCII.folded(word[0])
        var start = starts[count].octet
        for number in starts[count].number..<starts[count + 1].number {
            if octets[start] == first {
                var index = 1
                while index < count, ASCII.folded(word[index]) == octets[start + index] { index += 1 }
                if index == count { return meanings[number] }
            }
            start += count
        }
        return nil
    }
}

extension WordTable where Meaning: RawRepresentable, Meaning.RawValue == String {
    init(_ meanings: some Sequence<Meaning>) { self.init(meanings.map { ($0.rawValue, $0) }) }
}
