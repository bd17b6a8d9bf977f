/// Cuts what comes over a TCP or TLS connection into SIP messages by their Content-Length (RFC 3261 §18.3), and finds the
/// keep-alives between them (RFC 5626 §4.4.1).
///
/// Sans-IO: `append` what was read, then take `next()` until it returns nil. Holds at most one message and what was read
/// behind it.
package struct SIPStreamFramer: Sendable {
    package enum Item: Equatable, Sendable {
        case message([UInt8])
        /// CRLF CRLF: the peer wants a CRLF back.
        case ping
        /// CRLF: the answer to our ping, or a line end too many.
        case pong
        /// The header of a message whose end cannot be found, and what its sender is told; the connection is of no use any
        /// more.
        case unframed([UInt8], status: Int, reason: String)
    }

    /// The stream is no SIP, or a peer sends what is too long: nothing more can be read from it.
    package enum Failure: Error, Equatable, Sendable {
        case headerTooLong, notSIP, unframed
    }

    private let maximumOctets: Int
    private var buffer: [UInt8] = []
    /// Where the message being read starts, and the first octet in which the end of its header was not looked for yet.
    private var start = 0
    private var position = 0
    /// Header and body of the message whose header is complete.
    private var messageCount: Int?
    /// The last thing that came was one line end alone.
    private var hasLoneLineEnd = false
    private var failure: Failure?

    /// - Parameter maximumOctets: of one message, header and body.
    package init(maximumOctets: Int = MessageParser.maximumOctets) { self.maximumOctets = maximumOctets }

    /// Octets of a message that is not complete.
    package var pendingCount: Int { buffer.count - start }

    package mutating func append(_ octets: some Collection<UInt8>) {
        if start > 0 {
            buffer.removeFirst(start)
            position -= start
            start = 0
        }
        buffer += octets
    }

    /// The next item; nil when more octets are needed.
    ///
    /// - Throws: `Failure`, and the same again on every further call.
    package mutating func next() throws(Failure) -> Item? {
        if let failure { throw failure }
        if messageCount == nil {
            if let keepAlive = takeKeepAlive() { return keepAlive }
            guard let end = try endOfHeader() else { return nil }
            let header = start..<end
            switch Self.contentLength(buffer.span, header) {
            case .count(let count) where header.count + count <= maximumOctets: messageCount = header.count + count
            case .count: return unframed(header, 513, "Message Too Large")
            case .missing: return unframed(header, 400, "Missing Content-Length")
            case .malformed: return unframed(header, 400, "Malformed Content-Length")
            }
        }
        guard let count = messageCount, buffer.count - start >= count else { return nil }
        let message = Array(buffer[start..<start + count])
        hasLoneLineEnd = false
        advance(by: count)
        return .message(message)
    }

    private mutating func advance(by count: Int) {
        start += count
        position = start
        messageCount = nil
    }

    private mutating func unframed(_ header: Range<Int>, _ status: Int, _ reason: String) -> Item {
        failure = .unframed
        return .unframed(Array(buffer[header]), status: status, reason: reason)
    }

    /// Line ends before a message (RFC 3261 §7.5). Two at once are a ping; one is a pong unless the rest of a ping follows.
    private mutating func takeKeepAlive() -> Item? {
        guard buffer.count - start >= 2, buffer[start] == Octet.carriageReturn, buffer[start + 1] == Octet.lineFeed else {
            return nil
        }
        if buffer.count - start >= 4, buffer[start + 2] == Octet.carriageReturn, buffer[start + 3] == Octet.lineFeed {
            advance(by: 4)
            hasLoneLineEnd = false
            return .ping
        }
        advance(by: 2)
        // A lone CRLF must not wait for what may never come; when the other half of a ping does come, it is a ping.
        hasLoneLineEnd.toggle()
        return hasLoneLineEnd ? .pong : .ping
    }

    /// The end of the empty line; nil while it has not come.
    private mutating func endOfHeader() throws(Failure) -> Int? {
        if position == start, start < buffer.count {
            // What begins otherwise is TLS or noise, and would be collected up to the limit for nothing.
            let isLoneCarriageReturn = buffer[start] == Octet.carriageReturn && buffer.count - start == 1
            guard Octet.isToken(buffer[start]) || isLoneCarriageReturn else { throw fail(.notSIP) }
        }
        while position + 3 < buffer.count {
            if buffer[position] == Octet.carriageReturn, buffer[position + 1] == Octet.lineFeed,
                buffer[position + 2] == Octet.carriageReturn, buffer[position + 3] == Octet.lineFeed
            {
                return position + 4
            }
            position += 1
            guard position - start < maximumOctets else { throw fail(.headerTooLong) }
        }
        return nil
    }

    private mutating func fail(_ failure: Failure) -> Failure {
        self.failure = failure
        buffer = []
        start = 0
        position = 0
        return failure
    }

    private enum ContentLength { case count(Int), missing, malformed }

    /// Of a header with its empty line. One that is given twice must say the same (RFC 3261 §20.14, §7.3.1).
    private static func contentLength(_ octets: Span<UInt8>, _ header: Range<Int>) -> ContentLength {
        var found: Int?
        var line = header.lowerBound
        while line < header.upperBound {
            var end = line
            // A line goes on where the next one starts with white space.
            while end + 1 < header.upperBound {
                if octets[end] == Octet.carriageReturn, octets[end + 1] == Octet.lineFeed {
                    let isFolded =
                        end + 2 < header.upperBound && (octets[end + 2] == Octet.space || octets[end + 2] == Octet.tab)
                    if !isFolded { break }
                }
                end += 1
            }
            if let value = contentLengthValue(octets, line..<min(end, header.upperBound)) {
                guard let count = octets.decimal(value, limit: Int(Int32.max)), found == nil || found == count else {
                    return .malformed
                }
                found = count
            }
            line = end + 2
        }
        return found.map { .count($0) } ?? .missing
    }

    /// Where the value stands, if this is that line.
    private static func contentLengthValue(_ octets: Span<UInt8>, _ line: Range<Int>) -> Range<Int>? {
        let nameEnd = octets.endOfToken(from: line.lowerBound, to: line.upperBound)
        let name = line.lowerBound..<nameEnd
        guard octets.equals(name, ignoringCase: "Content-Length") || octets.equals(name, ignoringCase: "l") else { return nil }
        let colon = octets.skippingWhiteSpace(from: nameEnd, to: line.upperBound)
        guard colon < line.upperBound, octets[colon] == Octet.colon else { return nil }
        return octets.trimmingWhiteSpace(colon + 1..<line.upperBound)
    }
}
