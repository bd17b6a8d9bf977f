import FoundationEssentials

/// A line from a client, read as far as JSON-RPC 2.0 §4 goes: who asks for which method. Parameters are read once the
/// method is known.
package struct RequestEnvelope: Sendable {
    /// Nil for a notification, which is never answered, not even with an error.
    package let id: RequestID?
    package let method: String
    private let line: [UInt8]

    /// Why a line is no request, and the id to answer with as far as one could be read.
    package struct Refusal: Error, Equatable, Sendable {
        package let id: RequestID
        package let error: ControlError
    }

    package init(line: [UInt8]) throws(Refusal) {
        if line.first(where: { !$0.isJSONSpace }) == UInt8(ascii: "[") {
            throw Refusal(
                id: .null, error: ControlError(.invalidRequest, "Batches are not supported: send one request a line."))
        }
        let head: Head
        do {
            head = try JSONDecoder().decode(Head.self, from: Data(line))
        } catch DecodingError.dataCorrupted {
            throw Refusal(id: .null, error: ControlError(.parseError, "The line is not valid JSON."))
        } catch {
            throw Refusal(id: .null, error: ControlError(.invalidRequest, "A request must be a JSON object."))
        }
        if let fault = head.fault {
            throw Refusal(id: head.id ?? .null, error: ControlError(.invalidRequest, fault))
        }
        id = head.id
        method = head.method
        self.line = line
    }

    /// The parameters by name; all of them absent when the request has no `params`.
    package func parameters() throws(ControlError) -> ParameterReader {
        try ParameterReader(method: method, line: line)
    }

    /// Decodes whatever it can, so that a faulty request is still answered with its own id.
    private struct Head: Decodable {
        var id: RequestID?
        var method = ""
        var fault: String?

        enum CodingKeys: String, CodingKey { case jsonrpc, id, method, params }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            if container.contains(.id) {
                id = (try? container.decodeNil(forKey: .id)) == true
                    ? .null : try? container.decode(RequestID.self, forKey: .id)
                if id == nil { fault = "The id must be a whole number, a string or null." }
            }
            if (try? container.decode(String.self, forKey: .jsonrpc)) != "2.0" {
                fault = "A request must have \"jsonrpc\":\"2.0\"."
            } else if !container.contains(.method) {
                fault = "A request must name its method: \"method\":\"status\", for example."
            } else if let method = try? container.decode(String.self, forKey: .method) {
                self.method = method
            } else {
                fault = "The method must be a string."
            }
        }
    }
}

extension UInt8 {
    fileprivate var isJSONSpace: Bool { self == 0x20 || self == 0x09 || self == 0x0d }
}
