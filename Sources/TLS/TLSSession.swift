internal import CTLS

/// One TLS session without its socket: give it what came from the network, send what it has for the network.
///
/// Not thread-safe; it belongs to the thread of its context.
@safe
public final class TLSSession {
    public enum State: Equatable, Sendable {
        case handshaking, established
        /// The peer has ended it in order.
        case ended
        case failed(reason: String)
    }

    public private(set) var state = State.handshaking
    private let context: TLSContext
    private let session: OpaquePointer

    /// - Parameters:
    ///   - name: for a client: the host name it asks for (SNI), or the address; with `verifies` the certificate must be for it.
    ///   - verifies: for a client. A server does as its context says.
    /// - Returns: nil when no memory is left, or `name` is no name.
    public init?(_ context: TLSContext, name: String? = nil, verifies: Bool = false) {
        // SAFETY: the C string lives through the call; the context lives as long as the session.
        let opened = unsafe withCString(name) { name in
            unsafe ctls_session_open(context.context, context.isServer ? 1 : 0, name, verifies ? 1 : 0)
        }
        guard let session = unsafe opened else { return nil }
        self.context = context
        unsafe self.session = session
        if !context.isServer { handshake() }
    }

    deinit { unsafe ctls_session_close(session) }

    /// Takes octets from the network.
    ///
    /// - Returns: the plain octets they contain.
    public func receive(_ octets: some Collection<UInt8>) -> [UInt8] {
        guard state == .handshaking || state == .established else { return [] }
        let octets = Array(octets)
        // SAFETY: the octets live through the call.
        let isTaken = unsafe octets.withUnsafeBufferPointer { octets in
            unsafe ctls_session_feed(session, octets.baseAddress, octets.count)
        }
        guard isTaken == 1 else {
            state = .failed(reason: "out of memory")
            return []
        }
        if state == .handshaking { handshake() }
        return state == .established ? readPlain() : []
    }

    /// Encrypts octets; they are in `takeOutput` then. Before the handshake is done that is an error of the caller.
    public func send(_ octets: [UInt8]) {
        guard state == .established else { return }
        // SAFETY: the octets live through the call.
        let result = unsafe octets.withUnsafeBufferPointer { octets in
            unsafe ctls_session_write(session, octets.baseAddress, octets.count)
        }
        if result < 0 { fail() }
    }

    /// Tells the peer that no more will come.
    public func end() { unsafe ctls_session_end(session) }

    /// Everything there is for the network.
    public func takeOutput() -> [UInt8] {
        let count = unsafe ctls_session_pending(session)
        guard count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            // SAFETY: the buffer has room for `count` octets.
            initializedCount = unsafe ctls_session_take(session, buffer.baseAddress, count)
        }
    }

    /// `TLSv1.3 TLS_AES_256_GCM_SHA384`; empty before the handshake is done.
    public var summary: String { unsafe String(cString: ctls_session_description(session)) }
    /// The subject of the peer's certificate; empty without one.
    public var peerSubject: String { unsafe String(cString: ctls_session_subject(session)) }

    private func handshake() {
        let result = unsafe ctls_session_handshake(session)
        if result == 1 {
            state = .established
        } else {
            accept(result)
        }
    }

    private func readPlain() -> [UInt8] {
        var plain: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            // SAFETY: no more than its size is written.
            let count = unsafe chunk.withUnsafeMutableBufferPointer { chunk in
                unsafe ctls_session_read(session, chunk.baseAddress, chunk.count)
            }
            guard count > 0 else {
                accept(count)
                return plain
            }
            plain += chunk[..<Int(count)]
        }
    }

    private func accept(_ result: Int32) {
        switch result {
        case Int32(CTLS_WAIT): break
        case Int32(CTLS_CLOSED): state = .ended
        default: fail()
        }
    }

    private func fail() {
        let reason = unsafe String(cString: ctls_session_error(session))
        state = .failed(reason: reason.isEmpty ? "the session failed" : reason)
    }
}
