package import Core
import Foundation

/// A certificate with its key, made by openssl, that is its own authority.
package final class Certificate: Sendable {
    package let directory: TemporaryDirectory
    package var certificate: String { directory.file("certificate.pem") }
    package var key: String { directory.file("key.pem") }

    /// - Parameters:
    ///   - host: the address it is for.
    ///   - name: the name it is for.
    package init(for host: IPAddress, name: String = "relayd.test") async throws {
        directory = try TemporaryDirectory("tls")
        let result = try await run(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                "/CN=\(name)", "-addext", "subjectAltName=IP:\(host),DNS:\(name)", "-keyout", key, "-out", certificate,
            ])
        guard result.code == 0 else { throw SocketError(description: "openssl req: \(result.errors)") }
    }

    /// Lines of the table `[sip]`: relayd serves with it and believes it.
    package var settings: [String] {
        ["tls_certificate = \"\(certificate)\"", "tls_key = \"\(key)\"", "tls_authorities = \"\(certificate)\""]
    }
}
