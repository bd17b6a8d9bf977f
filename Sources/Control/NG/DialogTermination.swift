import Configuration
package import Core

/// What a proxy is asked when the media of a call have died: to end its dialog, with BYE to both sides.
///
/// Kamailio's `dlg.terminate_dlg` takes Call-ID, From tag and To tag, as rtpengine sends them with `xmlrpc-format = 2`.
package struct DialogTermination: Equatable, Sendable {
    /// For relayd's own log.
    package let shortID: String
    package let callID: String
    package let callerTag: String
    package let calleeTag: String
    /// Stands for `%%` in the URL.
    package let proxy: IPAddress?

    /// The whole HTTP request (RFC 9112).
    func httpRequest(to server: SocketAddress, path: String, format: CallbackFormat) -> [UInt8] {
        let body = format == .xmlrpc ? xml : json
        let head = [
            "POST \(path) HTTP/1.1", "Host: \(server)", "User-Agent: relayd",
            "Content-Type: \(format == .xmlrpc ? "text/xml" : "application/json")", "Content-Length: \(body.utf8.count)",
            "Connection: close",
        ]
        return Array((head.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }

    private static let method = "dlg.terminate_dlg"

    private var parameters: [String] { [callID, callerTag, calleeTag] }

    private var xml: String {
        let values = parameters.map { "<param><value><string>\(Self.xmlEscaped($0))</string></value></param>" }
        return "<?xml version=\"1.0\"?>\r\n<methodCall><methodName>\(Self.method)</methodName>"
            + "<params>\(values.joined())</params></methodCall>\r\n"
    }

    private var json: String {
        let values = parameters.map { "\"\(Self.jsonEscaped($0))\"" }
        return "{\"jsonrpc\":\"2.0\",\"method\":\"\(Self.method)\",\"params\":[\(values.joined(separator: ","))],\"id\":1}"
    }

    /// XML knows no control characters at all; SIP puts none into Call-IDs and tags.
    private static func xmlEscaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { escaped, scalar in
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case _ where scalar.value < 0x20: escaped += "?"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
    }

    private static func jsonEscaped(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { escaped, scalar in
            switch scalar {
            case "\"", "\\": escaped += "\\\(scalar)"
            case _ where scalar.value < 0x20: escaped += "?"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
    }
}
