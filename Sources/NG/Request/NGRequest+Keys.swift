import Core

/// What the keys of the dictionary mean. Keys and flags arrive as `ASCII.word` folds them.
extension NGRequest {
    mutating func apply(key: String, _ value: NGValue) {
        switch key {
        case "call-id": callID = value.text ?? callID
        case "from-tag": fromTag = value.text ?? fromTag
        case "to-tag": toTag = value.text ?? toTag
        case "via-branch": viaBranch = value.text ?? viaBranch
        case "sdp": sdp = value.octets ?? sdp
        case "received-from": receivedFrom = Self.words(value).lastAddress ?? receivedFrom
        case "sip-message-type": isSIPReply = Self.isReply(value)
        case "supports": supportsLoadLimit = Self.foldedWords(value).contains("load-limit")
        case "flags": for word in Self.words(value) { applyFlag(word[...]) }

        case "direction": applyDirection(value)
        case "from-interface": routing.fromInterface = value.text
        case "to-interface": routing.toInterface = value.text
        case "interface": routing.interface = value.text
        case "media-address": routing.mediaAddress = Self.words(value).last.flatMap(Self.address)
        case "address-family": routing.addressFamily = value.text.flatMap(Self.family)
        case "transport-protocol": applyTransport(value)
        case "tos": routing.tos = value.number.flatMap { UInt8(exactly: $0) } ?? routing.tos

        case "replace": for word in Self.foldedWords(value) { applyReplacement(word) }
        case "ice": for word in Self.foldedWords(value) { applyICE(word) }
        case "rtcp-mux": for word in Self.foldedWords(value) { applyMultiplexing(word) }
        case "codec", "codecs":
            for entry in value.dictionary?.entries ?? [] { applyCodecs(ASCII.word(entry.key), entry.value) }
        case "codec-strip", "codec-offer", "codec-except": applyCodecs(String(key.dropFirst(6)), value)
        case "codec-transcode", "codec-mask", "codec-accept", "codec-set", "codec-consume", "codec-ignore":
            applyCodecs(String(key.dropFirst(6)), value)
        case "transcode": applyCodecs(key, value)
        case "endpoint-learning": for word in Self.foldedWords(value) { applyLearning(word) }

        case "delete-delay":
            if let seconds = value.number, (0...86_400).contains(seconds) { deleteDelay = .seconds(seconds) }
        case "label", "from-label": label = value.text
        case "to-label": toLabel = value.text
        case "set-label": setLabel = value.text
        case "address": address = Self.words(value).last.flatMap(Self.address)
        case "all": appliesToAll = value.text.map { $0 != "none" } ?? appliesToAll
        case "limit": limit = value.number.map { Int(max(0, min($0, 1024))) } ?? limit
        case "record-call": applyRecording(value)
        case "recording-file", "output-file", "recording-destination", "output-destination": recordingFile = value.text
        case "recording-path", "recording-dir", "output-path", "output-dir": recordingPath = value.text
        case "metadata": metadata = value.text
        case "xmlrpc-callback": xmlrpcCallback = value.text

        case "ptime", "ptime-reverse": warn("\(key) ignored: relayd does not repacketise")
        case "sdes", "osrtp": warn("SDES ignored: relayd passes SRTP on and does not encrypt")
        case "dtls", "dtls-reverse", "dtls-fingerprint":
            warn("DTLS ignored: relayd passes SRTP on and does not encrypt")
        case "t38", "t.38": warn("T.38 ignored: relayd passes T.38 on and does not convert")
        case "moh", "audio-player", "player", "media-echo": warn("\(key) ignored: relayd does not generate media")
        case "dtmf-security", "dtmf-security-trigger", "delay-buffer":
            warn("\(key) ignored: relayd does not change media")
        default: break
        }
    }

    mutating func applyFlag(_ octets: ArraySlice<UInt8>) {
        let flag = ASCII.word(octets)
        switch flag {
        case "trust-address": source.trustsAddress = true
        case "sip-source-address": source.trustsAddress = false
        case "asymmetric": source.isAsymmetric = true
        case "symmetric": source.isSymmetric = true
        case "strict-source": source.isStrict = true
        case "media-before-lock": source.opensAtOnce = true
        case "media-handover": source.allowsHandover = true
        case "port-latching": source.portLatching = true
        case "no-port-latching": source.portLatching = false

        case "loop-protect": isLoopProtected = true
        case "no-rtcp-attribute": rtcpAttribute = .none
        case "full-rtcp-attribute": rtcpAttribute = .full
        case "original-sendrecv": keepsDirection = true
        case "fatal": isFatal = true
        case "to-tag": deletesToTagOnly = true
        case "directional", "unidirectional": isDirectional = true
        case "all": appliesToAll = true
        case "record-call": recordsCall = true
        case "full-statistics": wantsFullStatistics = true

        case "always-transcode", "allow-transcoding", "force-transcoding":
            warn("\(flag) ignored: relayd does not transcode")
        case "webrtc": warn("WebRTC ignored: relayd passes SRTP on and does not speak ICE")
        case "generate-rtcp": warn("generate-RTCP ignored: relayd passes RTCP on")
        case "pad-crypto": warn("SDES ignored: relayd passes SRTP on and does not encrypt")
        case "trickle-ice": warn("ICE is removed: relayd does not speak ICE")
        case "inject-dtmf", "detect-dtmf": warn("\(flag) ignored: relayd does not change media")
        case "siprec": warn("SIPREC ignored: a call of relayd has two sides")
        default: applyPrefixed(octets)
        }
    }

    /// `replace-origin` for `origin` in the list `replace`, and the like.
    private mutating func applyPrefixed(_ octets: ArraySlice<UInt8>) {
        let flag = ASCII.word(octets)
        func rest(after prefix: String) -> ArraySlice<UInt8>? {
            // Folding keeps the length unless the octets are not UTF-8, and no flag with a meaning is that.
            flag.hasPrefix(prefix) && flag.utf8.count == octets.count && octets.count > prefix.utf8.count
                ? octets.dropFirst(prefix.utf8.count) : nil
        }
        if let word = rest(after: "replace-") { return applyReplacement(ASCII.word(word)) }
        if let word = rest(after: "rtcp-mux-") { return applyMultiplexing(ASCII.word(word)) }
        if let word = rest(after: "endpoint-learning-") { return applyLearning(ASCII.word(word)) }
        if let word = rest(after: "ice-") { return applyICE(ASCII.word(word)) }
        if let name = rest(after: "transcode-") { return applyCodecs("transcode", .string(name)) }
        for operation in ["strip", "offer", "except", "transcode", "mask", "accept", "set", "consume", "ignore"] {
            if let name = rest(after: "codec-\(operation)-") { return applyCodecs(operation, .string(name)) }
        }
        for (prefix, key) in [("sdes-", "sdes"), ("osrtp-", "osrtp"), ("dtls-", "dtls"), ("t38-", "t38")]
        where rest(after: prefix) != nil {
            return apply(key: key, .string([]))
        }
    }

    private mutating func applyDirection(_ value: NGValue) {
        let names = Self.words(value).map { String(decoding: $0, as: UTF8.self) }
        if names.count > 0 { routing.fromInterface = names[0] }
        if names.count > 1 { routing.toInterface = names[1] }
    }

    private mutating func applyTransport(_ value: NGValue) {
        guard let text = value.text, text != "accept" else { return }
        let known = ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"]
        guard let transport = known.first(where: { $0 == text.uppercased() }) else { return }
        routing.transport = transport
    }

    private mutating func applyReplacement(_ word: String) {
        switch word {
        case "origin": replacements.insert(.origin)
        case "origin-full": replacements.insert(.wholeOrigin)
        case "session-connection": replacements.insert(.sessionConnection)
        case "session-name": replacements.insert(.sessionName)
        case "username": replacements.insert(.username)
        case "sdp-version": replacements.insert(.sdpVersion)
        case "force-increment-sdp-ver": replacements.insert(.forcedSDPVersion)
        case "zero-address": replacements.insert(.zeroAddress)
        default: break
        }
    }

    private mutating func applyICE(_ word: String) {
        switch word {
        case "force", "optional", "force-relay", "lite", "trickle": warn("ICE is removed: relayd does not speak ICE")
        default: break  // "remove" and "default" are what happens anyway
        }
    }

    private mutating func applyMultiplexing(_ word: String) {
        switch word {
        case "offer": multiplexing.insert(.offer)
        case "require": multiplexing.formUnion([.offer, .require])
        case "demux": multiplexing.insert(.demux)
        case "accept": multiplexing.insert(.accept)
        case "reject": multiplexing.insert(.reject)
        default: break
        }
    }

    private mutating func applyLearning(_ word: String) {
        source.learning = NGSourceOptions.EndpointLearning(rawValue: word) ?? source.learning
    }

    private mutating func applyCodecs(_ operation: String, _ value: NGValue) {
        let names = Self.words(value).map { Self.unescaped(String(decoding: $0, as: UTF8.self)) }
        switch operation {
        case "strip": codecs.strip += names
        case "offer": codecs.offer += names
        case "except": codecs.except += names
        case "transcode", "mask", "accept", "set", "consume":
            warn("codec \(operation) ignored: relayd does not transcode")
        default: break
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
    /// The strings of a list, or of a string with commas between them.
    private static func words(_ value: NGValue) -> [ArraySlice<UInt8>] {
        switch value {
        case .list(let values): values.compactMap(\.octets)
        case .string(let octets): octets.split(separator: UInt8(ascii: ","))
        case .integer, .dictionary: []
        }
    }

    private static func foldedWords(_ value: NGValue) -> [String] { words(value).map { ASCII.word($0) } }

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

    private static func isReply(_ value: NGValue) -> Bool? {
        switch value.octets.map({ ASCII.word($0) }) {
        case "request", "sip-request": false
        case "reply", "sip-reply", "sip-response": true
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

extension [ArraySlice<UInt8>] {
    /// `[IP4, 192.0.2.1]`, or the address alone.
    fileprivate var lastAddress: IPAddress? { last.flatMap { IPAddress(ascii: $0) } }
}
