import FoundationEssentials

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
