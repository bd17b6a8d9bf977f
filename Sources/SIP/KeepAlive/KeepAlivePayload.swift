package import Core

/// What a keep-alive carries.
package enum KeepAlivePayload: Equatable, Sendable {
    /// Nothing is sent: the feature is off.
    case off
    /// These octets, whoever gets them.
    case datagram([UInt8])
    /// A SIP OPTIONS for each binding: the only one that is answered.
    case options

    /// `crlf`, `null4` and `options` by name, empty is off, anything else is the text itself.
    package init(_ text: String) {
        switch text {
        case "": self = .off
        case "crlf": self = .datagram(Array("\r\n\r\n".utf8))
        case "null4": self = .datagram([0, 0, 0, 0])
        case "options": self = .options
        default: self = .datagram(Array(text.utf8))
        }
    }

    package var isEliciting: Bool { self == .options }
}

/// Writes the OPTIONS of a keep-alive without a string, and recognises its answer (RFC 3261 §11).
///
/// Branch and Call-ID carry the binding, so an answer finds it without a transaction: nothing is retransmitted, the next period
/// sends again.
package struct KeepAliveOptions: Sendable {
    private let beforeBranch: [UInt8]
    private let from: [UInt8]
    private let callIDHost: [UInt8]
    private let userAgent: [UInt8]
    /// Distinguishes runs: an answer to a request of an earlier run names nobody.
    private let run: [UInt8]
    private var sequence: UInt32 = 0

    private static let mark = Array("z9hG4bKka".utf8)
    private static let idCount = 16

    /// - Parameter run: letters and digits.
    package init(via: SocketAddress, userAgent: String, run: String) {
        beforeBranch = Array(" SIP/2.0\r\nVia: SIP/2.0/UDP \(via);branch=".utf8)
        from = Array(";rport\r\nMax-Forwards: 70\r\nFrom: <sip:keepalive@\(via)>;tag=".utf8)
        callIDHost = Array("@\(via.ip)".utf8)
        self.userAgent = Array(" OPTIONS\r\nUser-Agent: \(userAgent)\r\nContent-Length: 0\r\n\r\n".utf8)
        self.run = Array(run.utf8)
    }

    /// Replaces what is in `output` by a request to `contact`.
    package mutating func write(to contact: some Collection<UInt8>, route: some Collection<UInt8>, id: BindingID, into output: inout [UInt8]) {
        sequence = sequence % 0x7fff_ffff + 1
        output.removeAll(keepingCapacity: true)
        Self.append("OPTIONS ", to: &output)
        output += contact
        output += beforeBranch
        output += Self.mark
        appendID(id, to: &output)
        Self.append(sequence, to: &output)
        if !route.isEmpty {
            Self.append("\r\nRoute: ", to: &output)
            output += route
        }
        output += from
        output += run
        Self.append("\r\nTo: <", to: &output)
        output += contact
        Self.append(">\r\nCall-ID: ka", to: &output)
        appendID(id, to: &output)
        output += callIDHost
        Self.append("\r\nCSeq: ", to: &output)
        Self.append(sequence, to: &output)
        output += userAgent
    }

    /// The binding that a response answers; nil when it is no answer to one of these.
    package func binding(answeredBy response: SIPMessage) -> BindingID? {
        guard !response.isRequest, response.method == .options, let branch = response.topVia.branch, branch.starts(with: Self.mark),
            let tag = response.fromTag, tag.elementsEqual(run)
        else { return nil }
        let digits = branch.dropFirst(Self.mark.count).prefix(Self.idCount)
        guard digits.count == Self.idCount else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard let bits = Octet.hexValue(digit) else { return nil }
            value = value << 4 | UInt64(bits)
        }
        return BindingID(index: UInt32(value >> 32), generation: UInt32(truncatingIfNeeded: value))
    }

    private func appendID(_ id: BindingID, to output: inout [UInt8]) {
        let value = UInt64(id.index) << 32 | UInt64(id.generation)
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: value >> UInt64(shift) & 15)
            output.append(digit < 10 ? Octet.zero + digit : 0x61 + digit - 10)
        }
    }

    private static func append(_ text: StaticString, to output: inout [UInt8]) {
        // SAFETY: a static string is there for good.
        unsafe output += UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    private static func append(_ number: UInt32, to output: inout [UInt8]) {
        var divisor: UInt32 = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            output.append(Octet.zero + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }
}
