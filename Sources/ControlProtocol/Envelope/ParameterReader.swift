package import Core
import FoundationEssentials

/// Reads named parameters and refuses what it does not know: a misspelt filter that is quietly passed over would answer
/// another question than the one asked.
package struct ParameterReader {
    private let method: String
    private let container: KeyedDecodingContainer<Key>?

    init(method: String, line: [UInt8]) throws(ControlError) {
        self.method = method
        do {
            container = try JSONDecoder().decode(Envelope.self, from: Data(line)).container
        } catch {
            throw ControlError(.invalidParams, "The params of \"\(method)\" must be an object of named values.")
        }
    }

    /// Call first, with every key that will be asked for.
    package func allow(_ names: [String]) throws(ControlError) {
        for name in (container?.allKeys ?? []).map(\.stringValue).sorted() where !names.contains(name) {
            if names.isEmpty {
                throw ControlError(.invalidParams, "\"\(method)\" takes no params, and there is \"\(name)\".")
            }
            let hint = closest(to: name, among: names).map { "did you mean \"\($0)\"?" }
                ?? "it takes " + names.map { "\"\($0)\"" }.joined(separator: ", ") + "."
            throw ControlError(.invalidParams, "\"\(method)\" takes no \"\(name)\": \(hint)")
        }
    }

    package func requiredString(_ name: String) throws(ControlError) -> String {
        guard let value = try string(name) else {
            throw ControlError(.invalidParams, "\"\(method)\" needs \"\(name)\", a string.")
        }
        return value
    }

    package func string(_ name: String) throws(ControlError) -> String? {
        try value(name, as: String.self, expected: "a string")
    }

    package func integer(_ name: String, in range: ClosedRange<Int>) throws(ControlError) -> Int? {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let value = try value(name, as: Int.self, expected: expected) else { return nil }
        guard range.contains(value) else { throw wrong(name, expected: expected) }
        return value
    }

    package func flag(_ name: String) throws(ControlError) -> Bool? {
        try value(name, as: Bool.self, expected: "true or false")
    }

    package func strings(_ name: String, limit: Int) throws(ControlError) -> [String]? {
        let expected = "a list of at most \(limit) strings"
        guard let values = try value(name, as: [String].self, expected: expected) else { return nil }
        guard values.count <= limit else { throw wrong(name, expected: expected) }
        return values
    }

    package func time(_ name: String) throws(ControlError) -> WallTime? {
        try value(name, as: WallTime.self, expected: "a UTC time like \"2026-01-31T08:00:00.000Z\"")
    }

    /// A required address with a port.
    package func address(_ name: String) throws(ControlError) -> SocketAddress {
        guard let address = SocketAddress(try requiredString(name)) else {
            throw wrong(name, expected: "an address with a port, like \"127.0.0.1:5070\"")
        }
        return address
    }

    /// One of the values of an enumeration, by its raw value.
    package func oneOf<Value: RawRepresentable & CaseIterable>(
        _ name: String
    ) throws(ControlError) -> Value? where Value.RawValue == String {
        let names = Value.allCases.map(\.rawValue)
        let expected = "one of \(names.map { "\"\($0)\"" }.joined(separator: ", "))"
        guard let text = try value(name, as: String.self, expected: expected) else { return nil }
        guard let value = Value(rawValue: text) else { throw wrong(name, expected: expected) }
        return value
    }

    package func releaseCause(_ name: String) throws(ControlError) -> ReleaseCauses? {
        guard let text = try value(name, as: String.self, expected: "a release cause like \"no_media\"") else {
            return nil
        }
        guard let causes = ReleaseCauses(text) else {
            throw ControlError(.invalidParams, "\"\(name)\" of \"\(method)\" is no release cause: \(ReleaseCauses.hint(for: text))")
        }
        return causes
    }

    /// Nil when the key is absent or null.
    private func value<Value: Decodable>(
        _ name: String, as type: Value.Type, expected: String
    ) throws(ControlError) -> Value? {
        do {
            return try container?.decodeIfPresent(type, forKey: Key(stringValue: name))
        } catch {
            throw wrong(name, expected: expected)
        }
    }

    private func wrong(_ name: String, expected: String) -> ControlError {
        ControlError(.invalidParams, "\"\(name)\" of \"\(method)\" must be \(expected).")
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private struct Envelope: Decodable {
        var container: KeyedDecodingContainer<Key>?

        init(from decoder: any Decoder) throws {
            let request = try decoder.container(keyedBy: Key.self)
            let params = Key(stringValue: "params")
            // An explicit null is no object (JSON-RPC 2.0 §4.2), but some libraries send it for "none".
            guard request.contains(params), try !request.decodeNil(forKey: params) else { return }
            container = try request.nestedContainer(keyedBy: Key.self, forKey: params)
        }
    }
}

extension ReleaseCauses {
    /// What to do about a name that is none.
    package static func hint(for name: String) -> String {
        closest(to: name, among: names).map { "did you mean \"\($0)\"?" } ?? "it is one of \(names.joined(separator: ", "))."
    }
}
