/// An answer, before it is written in the request's format.
package struct NGReply: Sendable {
    private enum Body: Sendable {
        case entries(NGDictionary)
        /// A session description, and what goes into `warning`.
        case description([UInt8], warning: String?)
        case call(NGCallReport, Detail, warning: String?)
    }

    private let content: Body
    package let isError: Bool

    private init(_ content: Body, isError: Bool = false) {
        self.content = content
        self.isError = isError
    }

    private init(_ entries: NGDictionary, isError: Bool = false) { self.init(.entries(entries), isError: isError) }

    /// The whole message: cookie, space, dictionary.
    package func encoded(cookie: some Collection<UInt8>, format: NGFormat) -> [UInt8] {
        var octets: [UInt8] = []
        encode(cookie: cookie, format: format, to: &octets)
        return octets
    }

    /// The same into memory that is used again and again; what it held is gone.
    package func encode(cookie: some Collection<UInt8>, format: NGFormat, to octets: inout [UInt8]) {
        var memory: [UInt8] = []
        swap(&memory, &octets)
        memory.removeAll(keepingCapacity: true)
        memory += cookie
        memory.append(UInt8(ascii: " "))
        let start = memory.count
        switch content {
        case .entries(let entries):
            var writer = NGWriter(format, addingTo: consume memory)
            writer.value(.dictionary(entries))
            octets = writer.octets
        case .description(let description, let warning):
            var writer = NGWriter(format, addingTo: consume memory)
            writer.beginDictionary()
            writer.key("sdp")
            writer.string(description[...])
            Self.close(&writer, warning)
            octets = writer.octets
        case .call(let report, let wanted, let warning):
            for detail in Detail.allCases where detail.rawValue >= wanted.rawValue {
                memory.removeLast(memory.count - start)
                var writer = NGWriter(format, addingTo: consume memory)
                writer.beginDictionary()
                Self.write(report, detail, to: &writer)
                if detail != wanted { writer.entry("left out", text: "ask with flag full-statistics") }
                Self.close(&writer, warning)
                memory = writer.octets
                // What was asked for in full is as long as it is.
                if wanted == .full || memory.count <= Self.usualSize { break }
            }
            octets = memory
        }
    }

    /// As a client reads it.
    package var body: NGDictionary {
        (try? Bencode.decode(encoded(cookie: [], format: .bencode).dropFirst())) ?? NGDictionary()
    }

    /// `result` comes last in what succeeds, as rtpengine has it.
    private static func close(_ writer: inout NGWriter, _ warning: String?) {
        if let warning { writer.entry("warning", text: warning) }
        writer.entry("result", text: "ok")
        writer.endDictionary()
    }

    /// What was accepted without effect goes into `warning` as one text.
    private static func warning(_ warnings: [String]) -> String? {
        warnings.isEmpty ? nil : warnings.joined(separator: "; ")
    }
}

extension NGReply {
    package static let pong = NGReply(["result": .text("pong")])

    package static func ok(warnings: [String] = []) -> NGReply { ok(NGDictionary(), warnings: warnings) }

    /// With other entries before `result`.
    static func ok(_ entries: NGDictionary, warnings: [String] = []) -> NGReply {
        var entries = entries
        if let warning = warning(warnings) { entries["warning"] = .text(warning) }
        entries["result"] = .text("ok")
        return NGReply(entries)
    }

    /// The answer to `offer` and `answer`.
    package static func ok(sdp: [UInt8], warnings: [String] = []) -> NGReply {
        NGReply(.description(sdp, warning: warning(warnings)))
    }

    package static func error(_ reason: NGErrorReason) -> NGReply {
        NGReply(["result": .text("error"), "error-reason": .text(reason.text)], isError: true)
    }

    /// Every port is taken. Kamailio takes this call to its next node because of the words.
    package static let outOfPorts = error(.outOfPorts)

    /// No more sessions, or none at all while draining: the next node is to take the call.
    ///
    /// - Parameter supportsLoadLimit: as the request says. Others get the same words as an error.
    package static func sessionLimit(supportsLoadLimit: Bool) -> NGReply {
        guard supportsLoadLimit else { return error(.sessionLimit) }
        return NGReply(["result": .text("load limit"), "message": .text(NGErrorReason.sessionLimit.text)])
    }

    /// For `delete` of a call or tag that does not exist: a proxy says delete more than once, so that is no error
    /// unless it asks for one.
    package static func nothingToDelete(isFatal: Bool) -> NGReply {
        isFatal ? error(.nothingToDelete) : ok(warnings: [NGErrorReason.nothingToDelete.text])
    }

    /// For `list`: the Call-IDs.
    package static func list(_ callIDs: some Sequence<String>) -> NGReply {
        ok(["calls": .list(callIDs.map { .text($0) })])
    }

    /// For `query` and `delete`.
    ///
    /// - Parameter detail: `.full` when the request asks for it. Anything else is made shorter until the answer fits
    ///   `usualSize`, and says so in `left out`.
    package static func call(_ report: NGCallReport, detail: Detail = .usual, warnings: [String] = []) -> NGReply {
        NGReply(.call(report, detail, warning: warning(warnings)))
    }
}
