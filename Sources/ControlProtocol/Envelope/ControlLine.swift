import FoundationEssentials

/// Renders what goes over the socket: one JSON text and a line feed.
package enum ControlLine {
    /// - Throws: an `EncodingError` for a value JSON cannot carry, such as a number that is not finite.
    package static func response(to id: RequestID, result: some Encodable) throws -> [UInt8] {
        try line(Response(id: id, result: result))
    }

    package static func error(_ error: ControlError, to id: RequestID) -> [UInt8] {
        do {
            return try line(Failure(id: id, error: error))
        } catch {
            preconditionFailure("strings and whole numbers always encode: \(error)")
        }
    }

    package static func notification(_ method: String, params: some Encodable) throws -> [UInt8] {
        try line(Notification(method: method, params: params))
    }

    package static func request(
        _ method: ControlMethod, id: RequestID, params: (some Encodable)? = [String: String]?.none
    ) throws -> [UInt8] {
        try line(Request(id: id, method: method.rawValue, params: params))
    }

    private static func line(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        // Sorted, so that the same value is the same octets; slashes as they are, for people who read along.
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
    }

    private struct Request<Params: Encodable>: Encodable {
        let jsonrpc = "2.0"
        let id: RequestID
        let method: String
        let params: Params?
    }

    private struct Response<Result: Encodable>: Encodable {
        let jsonrpc = "2.0"
        let id: RequestID
        let result: Result
    }

    private struct Failure: Encodable {
        let jsonrpc = "2.0"
        let id: RequestID
        let error: ControlError
    }

    private struct Notification<Params: Encodable>: Encodable {
        let jsonrpc = "2.0"
        let method: String
        let params: Params
    }
}

/// A line from the daemon, read as far as is needed to know what it is.
package struct ServerMessage: Sendable {
    package enum Kind: Equatable, Sendable {
        case result(RequestID)
        case error(RequestID, ControlError)
        case notification(method: String)
    }

    package let kind: Kind
    package let line: [UInt8]

    /// Nil when the line is no JSON-RPC 2.0 message.
    package init?(line: [UInt8]) {
        guard let head = try? JSONDecoder().decode(Head.self, from: Data(line)), head.jsonrpc == "2.0" else { return nil }
        if let method = head.method {
            kind = .notification(method: method)
        } else if let error = head.error {
            kind = .error(head.id, error)
        } else if head.hasResult {
            kind = .result(head.id)
        } else {
            return nil
        }
        self.line = line
    }

    package func result<Result: Decodable>(as type: Result.Type) throws -> Result {
        try JSONDecoder().decode(ResultBody<Result>.self, from: Data(line)).result
    }

    package func params<Params: Decodable>(as type: Params.Type) throws -> Params {
        try JSONDecoder().decode(ParamsBody<Params>.self, from: Data(line)).params
    }

    private struct Head: Decodable {
        let jsonrpc: String
        let id: RequestID
        let method: String?
        let error: ControlError?
        let hasResult: Bool

        enum CodingKeys: String, CodingKey { case jsonrpc, id, method, error, result }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            jsonrpc = try container.decode(String.self, forKey: .jsonrpc)
            id = try container.decodeIfPresent(RequestID.self, forKey: .id) ?? .null
            method = try container.decodeIfPresent(String.self, forKey: .method)
            error = try container.decodeIfPresent(ControlError.self, forKey: .error)
            hasResult = container.contains(.result)
        }
    }

    private struct ResultBody<Result: Decodable>: Decodable { let result: Result }
    private struct ParamsBody<Params: Decodable>: Decodable { let params: Params }
}
