/// The characters that the grammars of this module share.
enum ASCII {
    @inline(__always)
    static func isDigit(_ octet: UInt8) -> Bool { octet &- 0x30 < 10 }

    @inline(__always)
    static func isWhiteSpace(_ octet: UInt8) -> Bool {
        octet == 0x20 || octet == 0x09 || octet == 0x0a || octet == 0x0d
    }

    @inline(__always)
    static func lowercased(_ octet: UInt8) -> UInt8 { octet &- 0x41 < 26 ? octet | 0x20 : octet }

    /// An octet of a key, command or flag as it is compared: lower case, with hyphens for the spaces and underscores that some
    /// clients write.
    @inline(__always)
    static func folded(_ octet: UInt8) -> UInt8 {
        octet == UInt8(ascii: " ") || octet == UInt8(ascii: "_") ? UInt8(ascii: "-") : lowercased(octet)
    }

    /// The same without regard to case.
    static func equal(_ octets: ArraySlice<UInt8>, _ text: String) -> Bool {
        octets.count == text.utf8.count && octets.elementsEqual(text.utf8) { lowercased($0) == lowercased($1) }
    }

    /// What follows `prefix` as words are compared; nil when it does not come first, or nothing follows.
    static func rest(of octets: ArraySlice<UInt8>, after prefix: String) -> ArraySlice<UInt8>? {
        let head = octets.prefix(prefix.utf8.count)
        guard octets.count > prefix.utf8.count, head.elementsEqual(prefix.utf8, by: { folded($0) == $1 }) else { return nil }
        return octets[head.endIndex...]
    }
}
