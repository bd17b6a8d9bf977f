/// Release causes as people ask for them: by our name or by the words of a VOS3000 operator, which stand for several, in any
/// case, with or without what stands between the words.
public struct ReleaseCauses: Hashable, Sendable {
    /// As it was asked for.
    public let name: String
    public let causes: [ReleaseCause]

    public init(_ cause: ReleaseCause) {
        name = cause.rawValue
        causes = [cause]
    }

    /// Nil when nobody calls a cause so.
    public init?(_ name: String) {
        let wanted = Self.letters(name)
        let own = ReleaseCause.allCases.filter { Self.letters($0.rawValue) == wanted }
        let causes = own.isEmpty ? ReleaseCause.allCases.filter { $0.vosName.map(Self.letters) == wanted } : own
        guard !wanted.isEmpty, !causes.isEmpty else { return nil }
        self.name = name
        self.causes = causes
    }

    /// Every name there is, ours first.
    public static var names: [String] {
        let own = ReleaseCause.allCases.map(\.rawValue)
        var others: [String] = []
        for name in ReleaseCause.allCases.compactMap(\.vosName) where !others.contains(name) { others.append(name) }
        return own + others
    }

    private static func letters(_ name: String) -> String { name.lowercased().filter { $0.isLetter || $0.isNumber } }
}

extension ReleaseCauses: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let causes = Self(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no release cause")
        }
        self = causes
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(name)
    }
}
