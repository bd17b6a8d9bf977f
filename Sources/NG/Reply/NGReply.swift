/// An answer, before it is written in the request's format.
package struct NGReply: Equatable, Sendable {
    package private(set) var body: NGDictionary

    /// - Parameter warnings: what was accepted without effect; goes into `warning` as one text.
    private init(_ body: NGDictionary, warnings: [String] = []) {
        self.body = body
        if !warnings.isEmpty { self.body["warning"] = .text(warnings.joined(separator: "; ")) }
    }

    package var isError: Bool { body["result"] == .text("error") }

    /// The whole message: cookie, space, dictionary.
    package func encoded(cookie: some Collection<UInt8>, format: NGFormat) -> [UInt8] {
        var octets: [UInt8] = []
        octets.reserveCapacity(1280)
        octets += cookie
        octets.append(UInt8(ascii: " "))
        format.encode(body, to: &octets)
        return octets
    }
}

extension NGReply {
    package static let pong = NGReply(["result": .text("pong")])

    package static func ok(warnings: [String] = []) -> NGReply {
        NGReply(NGDictionary(), warnings: warnings).closed()
    }

    /// The answer to `offer` and `answer`.
    package static func ok(sdp: some Collection<UInt8>, warnings: [String] = []) -> NGReply {
        NGReply(["sdp": .string(ArraySlice(sdp))], warnings: warnings).closed()
    }

    package static func error(_ reason: NGErrorReason) -> NGReply {
        NGReply(["result": .text("error"), "error-reason": .text(reason.text)])
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
        NGReply(["calls": .list(callIDs.map { .text($0) })]).closed()
    }

    /// For `query` and `delete`.
    package static func call(_ body: NGDictionary, warnings: [String] = []) -> NGReply {
        NGReply(body, warnings: warnings).closed()
    }

    /// `result` comes last in what succeeds, as rtpengine has it.
    private func closed() -> NGReply {
        var reply = self
        reply.body["result"] = .text("ok")
        return reply
    }
}
