/// What an event says: few names, each once, with their values. A JSON object on the wire.
///
/// A list and no dictionary, because most are made only to be written down.
package struct EventFields: Sendable {
    private var pairs: [(String, String)] = []

    package init() {}

    package subscript(name: String) -> String? {
        get { pairs.first { $0.0 == name }?.1 }
        set {
            let index = pairs.firstIndex { $0.0 == name }
            switch (index, newValue) {
            case (let index?, let value?): pairs[index].1 = value
            case (let index?, nil): pairs.remove(at: index)
            case (nil, let value?): pairs.append((name, value))
            case (nil, nil): break
            }
        }
    }

    package var isEmpty: Bool { pairs.isEmpty }

    /// In alphabetical order.
    package var sorted: [(name: String, value: String)] { pairs.sorted { $0.0 < $1.0 }.map { (name: $0.0, value: $0.1) } }

    package var dictionary: [String: String] {
        Dictionary(pairs, uniquingKeysWith: { _, last in last })
    }
}

extension EventFields: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, String)...) {
        pairs = elements
    }
}

extension EventFields: Equatable {
    package static func == (left: EventFields, right: EventFields) -> Bool { left.dictionary == right.dictionary }
}

extension EventFields: Codable {
    package init(from decoder: any Decoder) throws {
        pairs = try decoder.singleValueContainer().decode([String: String].self).map { ($0.key, $0.value) }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(dictionary)
    }
}
