/// A request method. Method names are case-sensitive (RFC 3261 §7.1), so `invite` on the wire is `unknown`.
package enum Method: UInt8, Hashable, Sendable, CaseIterable {
    case invite, ack, bye, cancel, options, register, info, update, prack, refer, subscribe, notify, message, publish
    case unknown

    /// The name on the wire; empty for `unknown`, whose name only the message has (`SIPMessage.methodText`).
    package var text: String {
        switch self {
        case .invite: "INVITE"
        case .ack: "ACK"
        case .bye: "BYE"
        case .cancel: "CANCEL"
        case .options: "OPTIONS"
        case .register: "REGISTER"
        case .info: "INFO"
        case .update: "UPDATE"
        case .prack: "PRACK"
        case .refer: "REFER"
        case .subscribe: "SUBSCRIBE"
        case .notify: "NOTIFY"
        case .message: "MESSAGE"
        case .publish: "PUBLISH"
        case .unknown: ""
        }
    }

    package init(_ text: String) { self.init(packed: Self.pack(text)) }

    init(_ octets: Span<UInt8>, _ range: Range<Int>) {
        let count = range.count
        self.init(packed: count < 16 ? Self.pack(octets.vector(at: range.lowerBound).number(ofFirst: count), count: count) : 0)
    }

    private init(packed: UInt128) {
        self = Self.packedNames.first { $0.key == packed }?.method ?? .unknown
    }

    /// A name of up to 15 octets as one number, which makes a comparison one instruction or two: its length stands behind it.
    private static func pack(_ name: String) -> UInt128 {
        let count = name.utf8.count
        return count < 16 ? pack(name.utf8.reversed().reduce(0) { $0 << 8 | UInt128($1) }, count: count) : 0
    }

    @inline(__always)
    private static func pack(_ octets: UInt128, count: Int) -> UInt128 { octets | UInt128(count) << 120 }

    private static let packedNames: [(key: UInt128, method: Method)] = allCases.dropLast().map { method in
        (pack(method.text), method)
    }
}

/// Several methods, as Allow names them; those nobody here knows are one.
package struct Methods: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// A literal goes by a loop over an array at run time.
    package static var none: Methods { Methods(rawValue: 0) }

    package init(_ method: Method) { self.init(rawValue: 1 << UInt16(method.rawValue)) }

    package func contains(_ method: Method) -> Bool { contains(Methods(method)) }
    package mutating func remove(_ method: Method) { remove(Methods(method)) }
}

extension SIPMessage {
    /// What Allow names (RFC 3261 §20.5); nil without one that names anything.
    package var allowedMethods: Methods? {
        guard has(.allow) else { return nil }
        let span = octets.span
        var methods = Methods.none
        for field in all(.allow) {
            var scanner = ListScanner(field.valueRange)
            while let range = scanner.next(span) { methods.insert(Methods(Method(span, range))) }
        }
        return methods == .none ? nil : methods
    }
}
