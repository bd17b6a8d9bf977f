package import Control
import ControlProtocol
import Core

/// What is asked over HTTP, as far as it matters here.
package struct WebRequest: Sendable {
    package var method = "GET"
    package var path: String
    package var query: [String: String] = [:]
    /// The Host header.
    package var host: String?
    /// It carries the header `X-Relayd`, which a page from elsewhere cannot send.
    package var isOwnPage = false

    package init(
        method: String = "GET", path: String, query: [String: String] = [:], host: String? = nil, isOwnPage: Bool = false
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.host = host
        self.isOwnPage = isOwnPage
    }
}

package struct WebResponse: Sendable {
    package var status = 200
    package var contentType = "text/plain; charset=utf-8"
    package var body: [UInt8]

    static func text(_ text: String, status: Int = 200) -> WebResponse {
        WebResponse(status: status, body: Array((text + "\n").utf8))
    }

    package var phrase: String {
        switch status {
        case 200: "OK"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 503: "Service Unavailable"
        default: "Bad Request"
        }
    }
}

/// The pages and their data: finds out what is asked for, asks the control thread, puts the answer into words. Owns nothing.
package struct WebSite: Sendable {
    private let questions: Questions
    private let allowsHangup: Bool

    package init(door: ControlDoor, allowsHangup: Bool) {
        questions = Questions(door: door)
        self.allowsHangup = allowsHangup
    }

    /// Nothing from elsewhere is loaded, and no page from elsewhere frames this one.
    static let contentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

    package func answer(_ request: WebRequest) async -> WebResponse {
        guard Self.isOurs(host: request.host) else {
            return .text("Ask by address: \(request.host?.prefix(80) ?? "") is a name.", status: 403)
        }
        guard request.method == "GET" else { return .text("Only GET.", status: 405) }
        switch request.path {
        case "/metrics": return await metrics()
        default: return .text("There is nothing here: see /metrics.", status: 404)
        }
    }

    private func metrics() async -> WebResponse {
        switch await questions.answer(to: .metrics) {
        case .success(.metrics(let snapshot)):
            return WebResponse(
                contentType: MetricsSnapshot.prometheusContentType, body: Array(snapshot.prometheusText.utf8))
        case .success: preconditionFailure("metrics are answered with metrics")
        case .failure(let error): return .text(error.message, status: 503)
        }
    }

    /// A page of someone else's can have its own name lead to this address (DNS rebinding) and would then read along: an
    /// address or `localhost` cannot be such a name.
    static func isOurs(host: String?) -> Bool {
        guard let host else { return true }  // HTTP/1.0
        if host == "localhost" || host.hasPrefix("localhost:") { return true }
        return SocketAddress(host, defaultPort: 80) != nil
    }
}
