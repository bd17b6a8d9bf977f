/// What an NG message is made of, in bencode and in JSON alike.
///
/// Strings are octets: bencode promises nothing about their encoding, and a session description need not be UTF-8.
package enum NGValue: Equatable, Sendable {
    case string(ArraySlice<UInt8>)
    case integer(Int64)
    case list([NGValue])
    case dictionary(NGDictionary)
}

extension NGValue {
    package static func text(_ text: String) -> NGValue { .string(ArraySlice(text.utf8)) }

    package static func count(_ count: some BinaryInteger) -> NGValue { .integer(Int64(clamping: count)) }

    /// The octets of a string; nil for anything else.
    package var octets: ArraySlice<UInt8>? {
        guard case .string(let octets) = self else { return nil }
        return octets
    }

    /// A string as text, octets that are not UTF-8 replaced by U+FFFD; nil for anything else.
    package var text: String? { octets.map { String(decoding: $0, as: UTF8.self) } }

    /// An integer, or a string of decimal digits: `TOS` comes as either.
    package var number: Int64? {
        switch self {
        case .integer(let value): value
        case .string(let octets): Int64(String(decoding: octets, as: UTF8.self))
        case .list, .dictionary: nil
        }
    }

    package var list: [NGValue]? {
        guard case .list(let values) = self else { return nil }
        return values
    }

    package var dictionary: NGDictionary? {
        guard case .dictionary(let dictionary) = self else { return nil }
        return dictionary
    }
}

/// Keys and values in the order in which they were added, each key once.
package struct NGDictionary: Equatable, Sendable {
    package struct Entry: Equatable, Sendable {
        package let key: ArraySlice<UInt8>
        package var value: NGValue
    }

    package private(set) var entries: [Entry] = []

    package init() {}

    mutating func reserveCapacity(_ count: Int) { entries.reserveCapacity(count) }

    /// The same, of a key that is a part of a message.
    package subscript(key: ArraySlice<UInt8>) -> NGValue? {
        get { index(of: key).map { entries[$0].value } }
        set {
            switch (index(of: key), newValue) {
            case (let index?, let value?): entries[index].value = value
            case (let index?, nil): entries.remove(at: index)
            case (nil, let value?): entries.append(Entry(key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    private func index(of key: some Collection<UInt8>) -> Int? {
        // In place: an entry taken out is a copy, whose parts are counted.
        let count = key.count
        for index in entries.indices where entries[index].key.count == count && entries[index].key.elementsEqual(key) {
            return index
        }
        return nil
    }

    /// Looks a key up as it is spelt. Setting an existing key replaces its value in place; setting nil removes it.
    package subscript(key: some Collection<UInt8>) -> NGValue? {
        get { index(of: key).map { entries[$0].value } }
        set {
            switch (index(of: key), newValue) {
            case (let index?, let value?): entries[index].value = value
            case (let index?, nil): entries.remove(at: index)
            case (nil, let value?): entries.append(Entry(key: ArraySlice(key), value: value))
            case (nil, nil): break
            }
        }
    }

    package subscript(key: String) -> NGValue? {
        get { self[key.utf8] }
        set { self[key.utf8] = newValue }
    }
}

extension NGDictionary: ExpressibleByDictionaryLiteral {
    /// A key that occurs twice keeps its place and takes the last value.
    package init(dictionaryLiteral elements: (String, NGValue)...) {
        for (key, value) in elements { self[key] = value }
    }
}
