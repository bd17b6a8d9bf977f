import Core

/// The few things read out of the value of an SDP line.
enum SDPText {
    static let space = UInt8(ascii: " ")

    static func string(_ octets: some Collection<UInt8>) -> String { String(decoding: octets, as: UTF8.self) }

    /// A run of digits that fits `Value`; nil for anything else, a sign included.
    static func number<Value: FixedWidthInteger>(_ octets: some Collection<UInt8>) -> Value? {
        guard !octets.isEmpty else { return nil }
        var value: Value = 0
        for octet in octets {
            guard (0x30...0x39).contains(octet) else { return nil }
            let (shifted, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = shifted.addingReportingOverflow(Value(octet - 0x30))
            guard !overflowed, !carried else { return nil }
            value = sum
        }
        return value
    }

    /// The literal address of `IN IP4 192.0.2.1/127`; nil for a host name or anything else.
    static func connectionAddress(_ value: ArraySlice<UInt8>) -> IPAddress? {
        let fields = value.split(separator: space)
        guard fields.count >= 3 else { return nil }
        return IPAddress(ascii: fields[2].prefix { $0 != UInt8(ascii: "/") })
    }

    /// `IN IP4 192.0.2.1` or `IN IP6 2001:db8::1`.
    static func connection(_ address: IPAddress) -> String {
        "IN \(address.family == .ipv4 ? "IP4" : "IP6") \(address)"
    }

    /// The name of an attribute and what follows its colon: `rtpmap` and `0 PCMU/8000`.
    static func attribute(_ value: ArraySlice<UInt8>) -> (name: ArraySlice<UInt8>, value: ArraySlice<UInt8>) {
        guard let colon = value.firstIndex(of: UInt8(ascii: ":")) else { return (value, value.suffix(0)) }
        return (value[..<colon], value[(colon + 1)...])
    }
}
