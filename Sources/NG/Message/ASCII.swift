/// The characters that the grammars of this module share.
enum ASCII {
    @inline(__always)
    static func isDigit(_ octet: UInt8) -> Bool { octet &- 0x30 < 10 }

    @inline(__always)
    static func isWhiteSpace(_ octet: UInt8) -> Bool {
        octet == 0x20 || octet == 0x09 || octet == 0x0a || octet == 0x0d
    }

    /// A key, command or flag as it is compared: lower case, with hyphens for the spaces and underscores that some
    /// clients write.
    static func word(_ octets: some Collection<UInt8>) -> String {
        let folded = octets.map { octet -> UInt8 in
            switch octet {
            case UInt8(ascii: " "), UInt8(ascii: "_"): UInt8(ascii: "-")
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): octet | 0x20
            default: octet
            }
        }
        return String(decoding: folded, as: UTF8.self)
    }
}
