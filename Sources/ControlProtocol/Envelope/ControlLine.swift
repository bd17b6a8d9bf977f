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
