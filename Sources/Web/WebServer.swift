package import Core
import Dispatch
import FlyingFox
import FlyingSocks
import Foundation
import Synchronization

/// Serves a `WebSite` over HTTP, on threads of its own.
package enum WebServer {
    package struct StartError: Error, CustomStringConvertible {
        package let description: String
    }

    /// Returns once it listens. It serves until the process ends.
    package static func start(on address: Core.SocketAddress, _ site: WebSite) throws {
        let server: HTTPServer
        switch address.ip.family {
        case .ipv4: server = Self.server(on: try sockaddr_in.inet(ip4: "\(address.ip)", port: address.port), site)
        case .ipv6: server = Self.server(on: try sockaddr_in6.inet6(ip6: "\(address.ip)", port: address.port), site)
        }
        let outcome = Outcome()
        Task.detached {
            do {
                try await server.run()
            } catch {
                outcome.tell(error)
            }
        }
        Task.detached {
            if (try? await server.waitUntilListening(timeout: 5)) != nil { outcome.tell(nil) }
        }
        if let error = outcome.wait() { throw StartError(description: sentence(address, error)) }
    }

    private static func server(on address: some FlyingSocks.SocketAddress, _ site: WebSite) -> HTTPServer {
        HTTPServer(address: address, timeout: 15, logger: .disabled, handler: Handler(site: site))
    }

    private static func sentence(_ address: Core.SocketAddress, _ error: any Error) -> String {
        if case FlyingSocks.SocketError.failed(_, EADDRINUSE, _) = error {
            return "Another process listens on http.listen = \(address): stop it, or change that key; \"\" is for none."
        }
        if case FlyingSocks.SocketError.failed(_, _, let message) = error {
            return "http.listen = \(address) could not be bound: \(message)."
        }
        return "http.listen = \(address) could not be served: \(error)."
    }

    /// The first that is told counts.
    private final class Outcome: Sendable {
        private let error = Mutex<(any Error)??>(nil)
        private let isKnown = DispatchSemaphore(value: 0)

        func tell(_ outcome: (any Error)?) {
            error.withLock { if $0 == nil { $0 = .some(outcome) } }
            isKnown.signal()
        }

        func wait() -> (any Error)? {
            isKnown.wait()
            return error.withLock { $0 ?? nil }
        }
    }

    private struct Handler: HTTPHandler {
        let site: WebSite

        func handleRequest(_ request: FlyingFox.HTTPRequest) async throws -> FlyingFox.HTTPResponse {
            var query: [String: String] = [:]
            for item in request.query { query[item.name] = item.value }
            let answer = await site.answer(
                WebRequest(
                    method: request.method.rawValue, path: request.path, query: query, host: request.headers[.host],
                    isOwnPage: request.headers[HTTPHeader("X-Relayd")] != nil))
            var headers = FlyingFox.HTTPHeaders()
            headers[.contentType] = answer.contentType
            headers[.cacheControl] = "no-store"
            headers[HTTPHeader("X-Content-Type-Options")] = "nosniff"
            headers[HTTPHeader("Content-Security-Policy")] = WebSite.contentSecurityPolicy
            return FlyingFox.HTTPResponse(
                statusCode: FlyingFox.HTTPStatusCode(answer.status, phrase: answer.phrase), headers: headers,
                body: Data(answer.body))
        }
    }
}
