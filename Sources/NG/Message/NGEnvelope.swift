/// One message: a cookie, a space and a dictionary.
///
/// The cookie names the exchange. Whoever sends the same request again, since no answer came, sends the same cookie.
package struct NGEnvelope: Sendable {
    package let cookie: ArraySlice<UInt8>
    package let format: NGFormat
    package let dictionary: NGDictionary

    package enum Failure: Error, Equatable, Sendable {
        /// Nobody to answer: count it and drop it.
        case noCookie
        /// To be answered with the cookie, the format and the reason.
        case unreadable(cookie: ArraySlice<UInt8>, format: NGFormat, reason: NGErrorReason)
    }

    /// Reads a datagram, or what `NGStreamFramer` has cut out of a stream.
    ///
    /// - Throws: `Failure`.
    package init(parsing message: [UInt8], limits: NGLimits = NGLimits()) throws(Failure) {
        guard let space = message.prefix(limits.cookieOctets + 1).firstIndex(of: UInt8(ascii: " ")), space > 0 else {
            throw .noCookie
        }
        let cookie = message[..<space]
        let payload = message[(space + 1)...].drop(while: ASCII.isWhiteSpace)
        func unreadable(_ format: NGFormat, _ reason: NGErrorReason) -> Failure {
            .unreadable(cookie: cookie, format: format, reason: reason)
        }
        guard let first = payload.first else { throw unreadable(.bencode, .noPayload) }
        let isJSON = first == UInt8(ascii: "{")
        guard isJSON || first == UInt8(ascii: "d") else { throw unreadable(.bencode, .unknownFormat) }
        guard message.count <= limits.octets else {
            throw unreadable(isJSON ? .json : .bencode, NGErrorReason("Message exceeds \(limits.octets) octets"))
        }

        self.cookie = cookie
        format = isJSON ? .json : .bencode
        do throws(NGSyntaxError) {
            dictionary = isJSON
                ? try JSON.decode(payload, limits: limits) : try Bencode.decode(payload, limits: limits)
        } catch {
            throw unreadable(isJSON ? .json : .bencode, isJSON ? .badJSON : .badBencode)
        }
    }
}
