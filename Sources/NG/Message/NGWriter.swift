import Core

/// Writes a message piece by piece, in bencode or JSON, without a dictionary made of it first.
///
/// Keys and values stand in the order in which they are written; each key once is the writer's business.
struct NGWriter {
    private(set) var octets: [UInt8]
    private let format: NGFormat
    /// JSON: something stands before the next entry or element.
    private var needsComma = false

    /// - Parameter octets: what it adds to.
    init(_ format: NGFormat, addingTo octets: consuming [UInt8] = []) {
        self.format = format
        self.octets = octets
    }

    // MARK: Values

    mutating func beginDictionary() { begin(bencode: UInt8(ascii: "d"), json: UInt8(ascii: "{")) }
    mutating func endDictionary() { end(json: UInt8(ascii: "}")) }
    mutating func beginList() { begin(bencode: UInt8(ascii: "l"), json: UInt8(ascii: "[")) }
    mutating func endList() { end(json: UInt8(ascii: "]")) }

    mutating func integer(_ value: Int64) {
        separate()
        if format == .bencode { octets.append(UInt8(ascii: "i")) }
        if value < 0 { octets.append(UInt8(ascii: "-")) }
        octets.append(decimal: value.magnitude)
        if format == .bencode { octets.append(UInt8(ascii: "e")) }
        needsComma = true
    }

    mutating func string(_ string: ArraySlice<UInt8>) {
        separate()
        switch format {
        case .bencode:
            octets.append(decimal: UInt64(string.count))
            octets.append(UInt8(ascii: ":"))
            octets += string
        case .json: JSON.encode(string, to: &octets)
        }
        needsComma = true
    }

    mutating func text(_ text: StaticString) {
        separate()
        switch format {
        case .bencode:
            octets.append(decimal: UInt64(text.utf8CodeUnitCount))
            octets.append(UInt8(ascii: ":"))
            octets.append(text)
        case .json: JSON.encode(ArraySlice(text.description.utf8), to: &octets)
        }
        needsComma = true
    }

    mutating func text(_ text: String) {
        guard format == .bencode else { return string(ArraySlice(text.utf8)) }
        octets.append(decimal: UInt64(text.utf8.count))
        octets.append(UInt8(ascii: ":"))
        octets += text.utf8
    }

    mutating func value(_ value: NGValue) {
        switch value {
        case .string(let octets): string(octets)
        case .integer(let number): integer(number)
        case .list(let values):
            beginList()
            for value in values { self.value(value) }
            endList()
        case .dictionary(let dictionary):
            beginDictionary()
            entries(of: dictionary)
            endDictionary()
        }
    }

    // MARK: Entries

    /// The key of the value that is written next.
    mutating func key(_ key: StaticString) {
        text(key)
        endKey()
    }

    mutating func key(text: String) {
        self.text(text)
        endKey()
    }

    mutating func key(_ key: ArraySlice<UInt8>) {
        string(key)
        endKey()
    }

    mutating func entry(_ key: StaticString, _ value: Int64) {
        self.key(key)
        integer(value)
    }

    mutating func entry(_ key: StaticString, text: String) {
        self.key(key)
        self.text(text)
    }

    mutating func entries(of dictionary: NGDictionary) {
        for entry in dictionary.entries {
            key(entry.key)
            value(entry.value)
        }
    }

    private mutating func endKey() {
        guard format == .json else { return }
        octets.append(UInt8(ascii: ":"))
        needsComma = false
    }

    private mutating func separate() {
        if needsComma, format == .json { octets.append(UInt8(ascii: ",")) }
    }

    private mutating func begin(bencode: UInt8, json: UInt8) {
        separate()
        octets.append(format == .bencode ? bencode : json)
        needsComma = false
    }

    private mutating func end(json: UInt8) {
        octets.append(format == .bencode ? UInt8(ascii: "e") : json)
        needsComma = true
    }
}
