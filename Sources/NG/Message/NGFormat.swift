/// How a dictionary is written. An answer takes the format of its request.
package enum NGFormat: Sendable {
    case bencode
    case json

    package func encoded(_ dictionary: NGDictionary) -> [UInt8] {
        var writer = NGWriter(self)
        writer.value(.dictionary(dictionary))
        return writer.octets
    }
}

/// What a message may cost before it is refused. The longest known request has a hundred values in four levels.
package struct NGLimits: Sendable {
    /// Of a whole message, cookie included. A UDP datagram holds no more.
    package var octets = 65_535
    package var cookieOctets = 128
    /// Levels of lists and dictionaries, the message's own included.
    package var depth = 16
    /// Strings, integers, lists and dictionaries, keys not counted.
    package var values = 1024

    package init() {}
}

/// Why a text is no message. The sender is told in `NGErrorReason`'s words; these are for tests and logs.
package enum NGSyntaxError: Error, Equatable, Sendable {
    /// `offset` is where reading stopped, in octets from the start.
    case malformed(offset: Int)
    case truncated
    case tooDeep
    case tooManyValues
    /// The outermost value is no dictionary.
    case noDictionary
}
