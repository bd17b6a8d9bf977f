package import Control
import ControlProtocol
import Core

/// What is asked over HTTP, as far as it matters here.
package struct WebRequest: Sendable {
    package var method = "GET"
    /// Without the query, percent signs decoded.
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

    static func page(_ text: String, _ contentType: String) -> WebResponse {
        WebResponse(contentType: "\(contentType); charset=utf-8", body: Array(text.utf8))
    }

    package var phrase: String {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        default: "Service Unavailable"
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
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        + "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

    package func answer(_ request: WebRequest) async -> WebResponse {
        guard Self.isOurs(host: request.host) else {
            return .text("Ask by address: \(request.host?.prefix(80) ?? "") is a name.", status: 403)
        }
        let parts = request.path.split(separator: "/").map(String.init)
        if request.method == "POST" { return await post(request, parts) }
        guard request.method == "GET" else { return .text("Only GET.", status: 405) }
        switch parts.first {
        case nil: return .page(Page.html(allowsHangup: allowsHangup), "text/html")
        case "page.js" where parts.count == 1: return .page(Page.script, "text/javascript")
        case "page.css" where parts.count == 1: return .page(Page.style, "text/css")
        case "metrics" where parts.count == 1: return await metrics()
        case "api": return await api(Array(parts.dropFirst()), request.query)
        default: return .text("There is nothing here: see / and /metrics.", status: 404)
        }
    }

    private func metrics() async -> WebResponse {
        await json(questions.answer(to: .metrics)) { reply in
            guard case .metrics(let snapshot) = reply else { return nil }
            return WebResponse(
                contentType: MetricsSnapshot.prometheusContentType, body: Array(snapshot.prometheusText.utf8))
        }
    }

    // MARK: Data

    private func api(_ parts: [String], _ query: [String: String]) async -> WebResponse {
        switch (parts.first, parts.count) {
        case ("overview", 1): return await json(questions.answer(to: .metrics))
        case ("calls", 1):
            let calls = CallsQuery(
                order: query["order"].flatMap(CallOrder.init), match: query["match"],
                limit: min(1_000, max(1, query["limit"].flatMap { Int($0) } ?? 200)))
            return await json(questions.answer(to: .calls(calls)))
        case ("calls", 2): return await json(questions.answer(to: .call(parts[1])))
        case ("registrations", 1):
            let limit = min(1_000, max(1, query["limit"].flatMap { Int($0) } ?? 500))
            return await json(
                questions.answer(to: .registrations(RegistrationQuery(filter: query["filter"], limit: limit))))
        case ("strangers", 1): return await json(questions.answer(to: .strangers(StrangerQuery())))
        case ("keepalive", 1): return await json(questions.answer(to: .keepAlive))
        case ("records", 1):
            var records = RecordQuery(limit: min(1_000, max(1, query["limit"].flatMap { Int($0) } ?? 100)))
            records.match = query["match"]
            records.number = query["number"]
            records.trunk = query["trunk"]
            records.cause = query["cause"].flatMap { ReleaseCauses($0) }
            return await json(questions.answer(to: .records(records)))
        default: return .text("There is no such data.", status: 404)
        }
    }

    /// The one thing that changes something: `/api/calls/ID/hangup`.
    private func post(_ request: WebRequest, _ parts: [String]) async -> WebResponse {
        guard parts.count == 4, parts[0] == "api", parts[1] == "calls", parts[3] == "hangup" else {
            return .text("Only GET.", status: 405)
        }
        guard allowsHangup else { return .text("Calls cannot be ended from here: http.allow_hangup is false.", status: 403) }
        guard request.isOwnPage else { return .text("The header X-Relayd is missing.", status: 403) }
        return await json(questions.answer(once: .hangup(parts[2])))
    }

    private func json(
        _ answer: Questions.Answer, _ render: (ControlReply) -> WebResponse? = { $0.json }
    ) -> WebResponse {
        switch answer {
        case .success(let reply): render(reply) ?? .text("relayd answered something else.", status: 503)
        case .failure(let error): .text(error.message, status: error.kind == .notFound ? 404 : 503)
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

extension ControlReply {
    fileprivate var json: WebResponse? {
        let text: String
        switch self {
        case .metrics(let snapshot): text = JSONText.line(snapshot)
        case .status(let report): text = JSONText.line(report)
        case .calls(let calls): text = JSONText.line(calls)
        case .call(let detail): text = JSONText.line(detail)
        case .records(let records): text = JSONText.line(records)
        case .registrations(let list): text = JSONText.line(list)
        case .keepAlive(let report): text = JSONText.line(report)
        case .strangers(let report): text = JSONText.line(report)
        case .done: text = JSONText.line(Acknowledgement())
        default: return nil
        }
        return WebResponse(contentType: "application/json", body: Array(text.utf8))
    }
}
