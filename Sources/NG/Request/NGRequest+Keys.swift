import Core

/// What the keys of the dictionary mean.
extension NGRequest {
    mutating func apply(_ key: NGKey, _ value: NGValue) {
        switch key {
        case .callID: callID = value.text ?? callID
        case .fromTag: fromTag = value.text ?? fromTag
        case .toTag: toTag = value.text ?? toTag
        case .viaBranch: viaBranch = value.text ?? viaBranch
        case .sdp: sdp = value.octets ?? sdp
        case .receivedFrom: receivedFrom = value.lastWord.flatMap { IPAddress(ascii: $0) } ?? receivedFrom
        case .sipMessageType: isSIPReply = value.octets.flatMap { Self.messageTypes[$0] }
        case .supports:
            supportsLoadLimit = false
            value.forEachWord { word in if Self.loadLimit[word] != nil { supportsLoadLimit = true } }
        case .flags: value.forEachWord { applyFlag($0) }

        case .direction: applyDirection(value)
        case .fromInterface: routing.fromInterface = value.text
        case .toInterface: routing.toInterface = value.text
        case .interface: routing.interface = value.text
        case .mediaAddress: routing.mediaAddress = value.lastWord.flatMap(Self.address)
        case .addressFamily: routing.addressFamily = value.text.flatMap(Self.family)
        case .transportProtocol: applyTransport(value)
        case .tos: routing.tos = value.number.flatMap { UInt8(exactly: $0) } ?? routing.tos

        case .replace: value.forEachWord { applyReplacement($0) }
        case .ice: value.forEachWord { applyICE($0) }
        case .rtcpMux: value.forEachWord { applyMultiplexing($0) }
        case .codec, .codecs:
            for entry in value.dictionary?.entries ?? [] {
                if let operation = NGCodecOperation.table[entry.key] { applyCodecs(operation, value: entry.value) }
            }
        case .codecStrip: applyCodecs(.strip, value: value)
        case .codecOffer: applyCodecs(.offer, value: value)
        case .codecExcept: applyCodecs(.except, value: value)
        case .codecTranscode, .transcode: applyCodecs(.transcode, value: value)
        case .codecMask: applyCodecs(.mask, value: value)
        case .codecAccept: applyCodecs(.accept, value: value)
        case .codecSet: applyCodecs(.set, value: value)
        case .codecConsume: applyCodecs(.consume, value: value)
        case .codecIgnore: applyCodecs(.ignore, value: value)
        case .endpointLearning: value.forEachWord { applyLearning($0) }

        case .deleteDelay:
            if let seconds = value.number, (0...86_400).contains(seconds) { deleteDelay = .seconds(seconds) }
        case .label, .fromLabel: label = value.text
        case .toLabel: toLabel = value.text
        case .setLabel: setLabel = value.text
        case .address: address = value.lastWord.flatMap(Self.address)
        case .all: appliesToAll = value.text.map { $0 != "none" } ?? appliesToAll
        case .limit: limit = value.number.map { Int(max(0, min($0, 1024))) } ?? limit
        case .recordCall: applyRecording(value)
        case .recordingFile, .outputFile, .recordingDestination, .outputDestination: recordingFile = value.text
        case .recordingPath, .recordingDirectory, .outputPath, .outputDirectory: recordingPath = value.text
        case .metadata: metadata = value.text
        case .xmlrpcCallback: xmlrpcCallback = value.text

        case .ptime, .ptimeReverse: warn("\(key.rawValue) ignored: relayd does not repacketise")
        case .sdes, .osrtp: warn("SDES ignored: relayd passes SRTP on and does not encrypt")
        case .dtls, .dtlsReverse, .dtlsFingerprint: warn("DTLS ignored: relayd passes SRTP on and does not encrypt")
        case .t38, .t38WithDot: warn("T.38 ignored: relayd passes T.38 on and does not convert")
        case .moh, .audioPlayer, .player, .mediaEcho: warn("\(key.rawValue) ignored: relayd does not generate media")
        case .dtmfSecurity, .dtmfSecurityTrigger, .delayBuffer:
            warn("\(key.rawValue) ignored: relayd does not change media")
        case .command, .flagString: break
        }
    }

    mutating func applyFlag(_ octets: ArraySlice<UInt8>) {
        guard let flag = NGFlag.table[octets] else { return applyPrefixed(octets) }
        switch flag {
        case .trustAddress: source.trustsAddress = true
        case .sipSourceAddress: source.trustsAddress = false
        case .asymmetric: source.isAsymmetric = true
        case .symmetric: source.isSymmetric = true
        case .strictSource: source.isStrict = true
        case .mediaBeforeLock: source.opensAtOnce = true
        case .mediaHandover: source.allowsHandover = true
        case .portLatching: source.portLatching = true
        case .noPortLatching: source.portLatching = false

        case .loopProtect: isLoopProtected = true
        case .noRTCPAttribute: rtcpAttribute = .none
        case .fullRTCPAttribute: rtcpAttribute = .full
        case .originalSendrecv: keepsDirection = true
        case .fatal: isFatal = true
        case .toTag: deletesToTagOnly = true
        case .directional, .unidirectional: isDirectional = true
        case .all: appliesToAll = true
        case .recordCall: recordsCall = true
        case .fullStatistics: wantsFullStatistics = true

        case .alwaysTranscode, .allowTranscoding, .forceTranscoding:
            warn("\(flag.rawValue) ignored: relayd does not transcode")
        case .webrtc: warn("WebRTC ignored: relayd passes SRTP on and does not speak ICE")
        case .generateRTCP: warn("generate-RTCP ignored: relayd passes RTCP on")
        case .padCrypto: warn("SDES ignored: relayd passes SRTP on and does not encrypt")
        case .trickleICE: warn("ICE is removed: relayd does not speak ICE")
        case .injectDTMF, .detectDTMF: warn("\(flag.rawValue) ignored: relayd does not change media")
        case .siprec: warn("SIPREC ignored: a call of relayd has two sides")
        }
    }

    /// `replace-origin` for `origin` in the list `replace`, and the like.
    private mutating func applyPrefixed(_ octets: ArraySlice<UInt8>) {
        func rest(after prefix: String) -> ArraySlice<UInt8>? { ASCII.rest(of: octets, after: prefix) }
        if let word = rest(after: "replace-") { return applyReplacement(word) }
        if let word = rest(after: "rtcp-mux-") { return applyMultiplexing(word) }
        if let word = rest(after: "endpoint-learning-") { return applyLearning(word) }
        if let word = rest(after: "ice-") { return applyICE(word) }
        if let name = rest(after: "transcode-") { return applyCodecs(.transcode, value: .string(name)) }
        if let codec = rest(after: "codec-"), let hyphen = codec.firstIndex(where: { ASCII.folded($0) == UInt8(ascii: "-") }),
            let operation = NGCodecOperation.table[codec[..<hyphen]], hyphen + 1 < codec.endIndex
        {
            return applyCodecs(operation, value: .string(codec[(hyphen + 1)...]))
        }
        for (prefix, key) in [("sdes-", NGKey.sdes), ("osrtp-", .osrtp), ("dtls-", .dtls), ("t38-", .t38)]
        where rest(after: prefix) != nil {
            return apply(key, .string([]))
        }
    }

    private mutating func applyDirection(_ value: NGValue) {
        let names = value.words.map { String(decoding: $0, as: UTF8.self) }
        if names.count > 0 { routing.fromInterface = names[0] }
        if names.count > 1 { routing.toInterface = names[1] }
    }

    private mutating func applyTransport(_ value: NGValue) {
        guard let octets = value.octets else { return }
        let known = ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"]
        routing.transport = known.first { ASCII.equal(octets, $0) } ?? routing.transport
    }

    private mutating func applyReplacement(_ word: ArraySlice<UInt8>) {
        if let replacement = NGReplacements.table[word] { replacements.formUnion(replacement) }
    }

    private mutating func applyICE(_ word: ArraySlice<UInt8>) {
        // "remove" and "default" are what happens anyway.
        if Self.iceOptions[word] != nil { warn("ICE is removed: relayd does not speak ICE") }
    }

    private mutating func applyMultiplexing(_ word: ArraySlice<UInt8>) {
        if let option = NGMultiplexing.table[word] { multiplexing.formUnion(option) }
    }

    private mutating func applyLearning(_ word: ArraySlice<UInt8>) {
        source.learning = NGSourceOptions.EndpointLearning.table[word] ?? source.learning
    }

    private mutating func applyCodecs(_ operation: NGCodecOperation, value: NGValue) {
        func names() -> [String] { value.words.map { Self.unescaped(String(decoding: $0, as: UTF8.self)) } }
        switch operation {
        case .strip: codecs.strip += names()
        case .offer: codecs.offer += names()
        case .except: codecs.except += names()
        case .transcode, .mask, .accept, .set, .consume:
            warn("codec \(operation.rawValue) ignored: relayd does not transcode")
        case .ignore: break
        }
    }

    private mutating func applyRecording(_ value: NGValue) {
        switch value.text?.lowercased() {
        case "yes", "on", "true", "1": recordsCall = true
        case "no", "off", "false", "0": recordsCall = false
        default: recordsCall = value.number.map { $0 != 0 } ?? recordsCall
        }
    }
}

extension NGRequest {
    private static let messageTypes = WordTable([
        ("request", false), ("sip-request", false), ("reply", true), ("sip-reply", true), ("sip-response", true),
    ])
    private static let loadLimit = WordTable([("load-limit", true)])
    private static let iceOptions = WordTable(["force", "optional", "force-relay", "lite", "trickle"].map { ($0, true) })

    /// In brackets or without. In a flag string brackets make a list of it, whose one element this is.
    private static func address(_ octets: ArraySlice<UInt8>) -> IPAddress? {
        if octets.first == UInt8(ascii: "["), octets.last == UInt8(ascii: "]") {
            return IPAddress(ascii: octets.dropFirst().dropLast())
        }
        return IPAddress(ascii: octets)
    }

    private static func family(_ text: String) -> IPAddress.Family? {
        switch text.uppercased() {
        case "IP4", "IPV4", "INET": .ipv4
        case "IP6", "IPV6", "INET6": .ipv6
        default: nil
        }
    }

    /// A script cannot write `=` or a space into a flag, so they come as `--` and `..`.
    private static func unescaped(_ name: String) -> String {
        guard name.contains("--") || name.contains("..") else { return name }
        var result: [UInt8] = []
        for octet in name.utf8 {
            if let last = result.last, last == octet, octet == UInt8(ascii: "-") || octet == UInt8(ascii: ".") {
                result[result.count - 1] = octet == UInt8(ascii: "-") ? UInt8(ascii: "=") : UInt8(ascii: " ")
            } else {
                result.append(octet)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

extension NGValue {
    /// The strings of a list, or of a string with commas between them.
    fileprivate var words: [ArraySlice<UInt8>] {
        switch self {
        case .list(let values): values.compactMap(\.octets)
        case .string(let octets): octets.split(separator: UInt8(ascii: ","))
        case .integer, .dictionary: []
        }
    }

    /// The same without an array of them.
    fileprivate func forEachWord(_ body: (ArraySlice<UInt8>) -> Void) {
        switch self {
        case .list(let values):
            for value in values { if case .string(let octets) = value { body(octets) } }
        case .string(let octets):
            if octets.contains(UInt8(ascii: ",")) { words.forEach(body) } else if !octets.isEmpty { body(octets) }
        case .integer, .dictionary: break
        }
    }

    /// Of `[IP4, 192.0.2.1]` the address.
    fileprivate var lastWord: ArraySlice<UInt8>? {
        var last: ArraySlice<UInt8>?
        forEachWord { last = $0 }
        return last
    }
}
