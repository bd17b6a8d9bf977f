extension ReleaseCause {
    /// The final SIP status the caller gets, as the reference names it.
    public var statusText: String {
        switch self {
        case .normal, .noMedia, .ackMissing, .peerLost, .sessionTimeout, .maximumDuration: "200"
        case .operatorHangup: "200 or 480"
        case .shutdown: "200 or 503"
        case .callerCancelled: "487"
        case .rejected: "the callee's"
        case .noRoute: "404"
        case .unknownSource: "403"
        case .inviteTimeout, .tryingTimeout: "408"
        case .progressTimeout, .earlyMediaTimeout, .ringingTimeout, .notRegistered: "480"
        case .portsExhausted, .capacity, .allRoutesBusy, .allRoutesDown, .transportFailed: "503"
        case .peerUnreachable: "503, 480 of a phone"
        case .sessionIntervalTooSmall: "422"
        case .noCommonCodec: "488"
        case .mediaNotAcceptable: "400, 415 or 488"
        case .badRequest: "416"
        case .tooManyHops: "483"
        case .loopDetected: "482"
        case .prackMissing: "504"
        case .unsupportedExtension: "420"
        }
    }

    /// docs/release-causes.md.
    public static func referenceMarkdown() -> String {
        var lines = [
            "# Release causes", "",
            "Why a call attempt ended: the stable name in records, events and logs, the final SIP status, the Q.850 value of the",
            "Reason header (a Reason that the peer sent takes its place), and what VOS3000 calls it.", "",
            "| Cause | Meaning | SIP | Q.850 | VOS3000 |", "|---|---|---|---|---|",
        ]
        for cause in allCases {
            let statuses = cause.statusText.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }
            let values = Set(statuses.map(cause.q850(status:))).sorted().map(String.init)
            let q850 = values.isEmpty ? "by status" : values.joined(separator: ", ")
            lines.append("| `\(cause.rawValue)` | \(cause.sentence) | \(cause.statusText) | \(q850) | \(cause.vosName ?? "") |")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
