internal import CTLS

/// Certificate, key and authorities of one side, shared by its sessions. One thread.
@safe
public final class TLSContext {
    /// Which certificate a peer must show.
    public enum Verification: String, CaseIterable, Sendable {
        /// Any, or none.
        case none
        /// A server's must be good; a client may have none, but one that it shows must be good.
        case offered
        /// A client without a good one is refused.
        case required
    }

    /// What is wrong with a file, or with what they are together.
    public struct Failure: Error, Equatable, CustomStringConvertible {
        public let path: String?
        public let reason: String

        public var description: String { path.map { "\($0): \(reason)" } ?? reason }
    }

    public let isServer: Bool
    let context: OpaquePointer

    /// TLS 1.2 and newer.
    ///
    /// - Parameters:
    ///   - certificate: path of a PEM file with the certificate and those that lead from it to an authority.
    ///   - key: path of a PEM file without a password.
    ///   - authorities: path of a PEM file; nil: those of the system.
    public init(
        isServer: Bool, certificate: String? = nil, key: String? = nil, authorities: String? = nil,
        verification: Verification
    ) throws(Failure) {
        let verify =
            switch verification {
            case .none: CTLS_VERIFY_NONE
            case .offered: CTLS_VERIFY_OFFERED
            case .required: CTLS_VERIFY_REQUIRED
            }
        var reason = [CChar](repeating: 0, count: 256)
        var culprit: UnsafePointer<CChar>?
        // SAFETY: the C strings and the buffer live through the call; `culprit` is one of those strings, read below only
        // to see which.
        let opened: (context: OpaquePointer?, path: String?) = unsafe withCString(certificate) { certificate in
            unsafe withCString(key) { key in
                unsafe withCString(authorities) { authorities in
                    let context = unsafe ctls_context_open(
                        isServer ? 1 : 0, certificate, key, authorities, Int32(verify), &reason, reason.count, &culprit)
                    return unsafe (context, culprit.map { unsafe String(cString: $0) })
                }
            }
        }
        guard let context = unsafe opened.context else {
            throw unsafe Failure(path: opened.path, reason: text(reason))
        }
        self.isServer = isServer
        unsafe self.context = context
    }

    deinit { unsafe ctls_context_close(context) }
}

func withCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
    guard let text else { return body(nil) }
    return unsafe text.withCString { unsafe body($0) }
}

private func text(_ octets: [CChar]) -> String {
    String(decoding: octets.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
