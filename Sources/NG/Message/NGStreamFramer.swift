/// Cuts the messages out of a TCP or unix stream.
///
/// Nothing separates them there: bencode says how long it is, JSON ends with the brace that closes its first one. White
/// space between messages, as from a terminal, is skipped. Every octet is looked at once, however the stream is cut.
/// After an error there is no way back into step: answer nothing and close the connection.
package struct NGStreamFramer: Sendable {
    package enum Failure: Error, Equatable, Sendable {
        case cookieTooLong
        /// What follows the cookie is neither bencode nor JSON.
        case malformed
        /// The message would exceed `NGLimits.octets`.
        case tooLong
    }

    private enum State {
        case between, cookie, payload
        case bencode(depth: Int)
        case bencodeInteger(depth: Int)
        case bencodeLength(depth: Int, Int)
        /// Inside a string, this many octets before its end.
        case bencodeString(depth: Int, Int)
        case json(depth: Int)
        case jsonString(depth: Int)
        case jsonEscape(depth: Int)
    }

    private let limits: NGLimits
    private var buffer: [UInt8] = []
    /// Where the message being read starts, and the first octet not looked at yet.
    private var start = 0
    private var position = 0
    private var state = State.between

    package init(limits: NGLimits = NGLimits()) { self.limits = limits }

    /// Octets kept for a message that is not complete, or has not been taken.
    package var pendingCount: Int { buffer.count - start }

    /// Takes what was read. Call `next()` until it returns nil before giving more.
    package mutating func append(_ octets: some Collection<UInt8>) {
        if start > 0 {
            buffer.removeFirst(start)
            position -= start
            start = 0
        }
        buffer += octets
    }

    /// The next whole message, for `NGEnvelope`; nil when more octets are needed.
    ///
    /// - Throws: `Failure`, and the same again on every further call.
    package mutating func next() throws(Failure) -> [UInt8]? {
        while position < buffer.count {
            if case .bencodeString(let depth, let rest) = state {
                let step = min(rest, buffer.count - position)
                position += step
                state = step == rest ? .bencode(depth: depth) : .bencodeString(depth: depth, rest - step)
                continue
            }
            guard position - start < limits.octets else { throw .tooLong }
            let isComplete = try read(buffer[position])
            position += 1
            if isComplete {
                defer {
                    start = position
                    state = .between
                }
                return Array(buffer[start..<position])
            }
        }
        return nil
    }

    /// True when the octet is the message's last. A failure leaves the state as it was, so it is met again.
    private mutating func read(_ octet: UInt8) throws(Failure) -> Bool {
        switch state {
        case .between:
            if ASCII.isWhiteSpace(octet) { start = position + 1 } else { state = .cookie }
        case .cookie:
            if octet == UInt8(ascii: " ") {
                state = .payload
            } else if position - start >= limits.cookieOctets {
                throw .cookieTooLong
            }
        case .payload:
            switch octet {
            case UInt8(ascii: "d"): state = .bencode(depth: 1)
            case UInt8(ascii: "{"): state = .json(depth: 1)
            case _ where ASCII.isWhiteSpace(octet): break
            default: throw .malformed
            }
        case .bencode(let depth):
            return try readBencode(octet, depth: depth)
        case .bencodeInteger(let depth):
            if octet == UInt8(ascii: "e") {
                state = .bencode(depth: depth)
            } else if !ASCII.isDigit(octet), octet != UInt8(ascii: "-") {
                throw .malformed
            }
        case .bencodeLength(let depth, let count):
            if octet == UInt8(ascii: ":") {
                guard position - start + count < limits.octets else { throw .tooLong }
                state = count == 0 ? .bencode(depth: depth) : .bencodeString(depth: depth, count)
            } else {
                try readLength(octet, depth: depth, before: count)
            }
        case .bencodeString:
            break
        case .json(let depth):
            switch octet {
            case UInt8(ascii: "{"), UInt8(ascii: "["): state = .json(depth: depth + 1)
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 1 { return true }
                state = .json(depth: depth - 1)
            case UInt8(ascii: "\""): state = .jsonString(depth: depth)
            default: break
            }
        case .jsonString(let depth):
            if octet == UInt8(ascii: "\"") { state = .json(depth: depth) }
            if octet == UInt8(ascii: "\\") { state = .jsonEscape(depth: depth) }
        case .jsonEscape(let depth):
            state = .jsonString(depth: depth)
        }
        return false
    }

    private mutating func readBencode(_ octet: UInt8, depth: Int) throws(Failure) -> Bool {
        switch octet {
        case UInt8(ascii: "d"), UInt8(ascii: "l"): state = .bencode(depth: depth + 1)
        case UInt8(ascii: "i"): state = .bencodeInteger(depth: depth)
        case UInt8(ascii: "e"):
            if depth == 1 { return true }
            state = .bencode(depth: depth - 1)
        default: try readLength(octet, depth: depth, before: 0)
        }
        return false
    }

    private mutating func readLength(_ octet: UInt8, depth: Int, before: Int) throws(Failure) {
        guard ASCII.isDigit(octet) else { throw .malformed }
        let count = before * 10 + Int(octet - UInt8(ascii: "0"))
        guard count <= limits.octets else { throw .tooLong }
        state = .bencodeLength(depth: depth, count)
    }
}
