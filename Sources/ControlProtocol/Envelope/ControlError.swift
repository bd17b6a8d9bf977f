/// An error as the control socket answers it (JSON-RPC 2.0 §5.1): a number for the protocol, a stable name for programs, a
/// sentence for people. On the wire the name is in `data`: `{"code":-32000,"message":"…","data":{"name":"notFound"}}`.
package struct ControlError: Error, Equatable, Sendable {
    package var kind: Kind
    /// One sentence: what is wrong and, where something can be done, what.
    package var message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    package enum Kind: String, CaseIterable, Sendable {
        /// The line is not JSON, or too long.
        case parseError
        /// JSON, but not a request.
        case invalidRequest
        case methodNotFound
        case invalidParams
        case internalError
        /// The call or record named does not exist.
        case notFound
        /// Understood and refused: the present state does not allow it.
        case notAcceptable
        /// Cannot be answered now and may be later.
        case unavailable
        /// A part of the daemon did not answer in time.
        case timedOut

        package var code: Int {
            switch self {
            case .parseError: -32700
            case .invalidRequest: -32600
            case .methodNotFound: -32601
            case .invalidParams: -32602
            case .internalError: -32603
            case .notFound: -32000
            case .notAcceptable: -32001
            case .unavailable: -32002
            case .timedOut: -32003
            }
        }

        /// A code this program does not know reads as an internal error of the other side.
        init(code: Int) { self = Self.allCases.first { $0.code == code } ?? .internalError }
    }
}

extension ControlError: Codable {
    private enum CodingKeys: String, CodingKey { case code, message, data }
    private struct Details: Codable { var name: String }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        kind = Kind(code: try container.decode(Int.self, forKey: .code))
        message = try container.decode(String.self, forKey: .message)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind.code, forKey: .code)
        try container.encode(message, forKey: .message)
        try container.encode(Details(name: kind.rawValue), forKey: .data)
    }
}
