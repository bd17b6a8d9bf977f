/// The keys of a request that mean something, as they are compared.
enum NGKey: String, CaseIterable, Sendable {
    case command
    case callID = "call-id"
    case fromTag = "from-tag"
    case toTag = "to-tag"
    case viaBranch = "via-branch"
    case sdp
    case receivedFrom = "received-from"
    case sipMessageType = "sip-message-type"
    case supports, flags
    case flagString = "rtpp-flags"

    case direction
    case fromInterface = "from-interface"
    case toInterface = "to-interface"
    case interface
    case mediaAddress = "media-address"
    case addressFamily = "address-family"
    case transportProtocol = "transport-protocol"
    case tos

    case replace, ice
    case rtcpMux = "rtcp-mux"
    case codec, codecs
    case codecStrip = "codec-strip"
    case codecOffer = "codec-offer"
    case codecExcept = "codec-except"
    case codecTranscode = "codec-transcode"
    case codecMask = "codec-mask"
    case codecAccept = "codec-accept"
    case codecSet = "codec-set"
    case codecConsume = "codec-consume"
    case codecIgnore = "codec-ignore"
    case transcode
    case endpointLearning = "endpoint-learning"

    case deleteDelay = "delete-delay"
    case label
    case fromLabel = "from-label"
    case toLabel = "to-label"
    case setLabel = "set-label"
    case address, all, limit
    case recordCall = "record-call"
    case recordingFile = "recording-file"
    case outputFile = "output-file"
    case recordingDestination = "recording-destination"
    case outputDestination = "output-destination"
    case recordingPath = "recording-path"
    case recordingDirectory = "recording-dir"
    case outputPath = "output-path"
    case outputDirectory = "output-dir"
    case metadata
    case xmlrpcCallback = "xmlrpc-callback"

    // Accepted, and said to have no effect.
    case ptime
    case ptimeReverse = "ptime-reverse"
    case sdes, osrtp, dtls
    case dtlsReverse = "dtls-reverse"
    case dtlsFingerprint = "dtls-fingerprint"
    case t38
    case t38WithDot = "t.38"
    case moh
    case audioPlayer = "audio-player"
    case player
    case mediaEcho = "media-echo"
    case dtmfSecurity = "dtmf-security"
    case dtmfSecurityTrigger = "dtmf-security-trigger"
    case delayBuffer = "delay-buffer"

    static let table = WordTable(allCases)
}

/// The words of `flags` that stand for themselves.
enum NGFlag: String, CaseIterable, Sendable {
    case trustAddress = "trust-address"
    case sipSourceAddress = "sip-source-address"
    case asymmetric, symmetric
    case strictSource = "strict-source"
    case mediaBeforeLock = "media-before-lock"
    case mediaHandover = "media-handover"
    case portLatching = "port-latching"
    case noPortLatching = "no-port-latching"

    case loopProtect = "loop-protect"
    case noRTCPAttribute = "no-rtcp-attribute"
    case fullRTCPAttribute = "full-rtcp-attribute"
    case originalSendrecv = "original-sendrecv"
    case fatal
    case toTag = "to-tag"
    case directional, unidirectional, all
    case recordCall = "record-call"
    case fullStatistics = "full-statistics"

    // Accepted, and said to have no effect.
    case alwaysTranscode = "always-transcode"
    case allowTranscoding = "allow-transcoding"
    case forceTranscoding = "force-transcoding"
    case webrtc
    case generateRTCP = "generate-rtcp"
    case padCrypto = "pad-crypto"
    case trickleICE = "trickle-ice"
    case injectDTMF = "inject-dtmf"
    case detectDTMF = "detect-dtmf"
    case siprec

    static let table = WordTable(allCases)
}

/// The words of the lists `codec`, one for each way of choosing codecs.
enum NGCodecOperation: String, CaseIterable, Sendable {
    case strip, offer, except
    // Accepted, and said to have no effect.
    case transcode, mask, accept, set, consume
    // Nothing.
    case ignore

    static let table = WordTable(allCases)
}

extension NGReplacements {
    static let table = WordTable<NGReplacements>([
        ("origin", .origin), ("origin-full", .wholeOrigin), ("session-connection", .sessionConnection),
        ("session-name", .sessionName), ("username", .username), ("sdp-version", .sdpVersion),
        ("force-increment-sdp-ver", .forcedSDPVersion), ("zero-address", .zeroAddress),
    ])
}

extension NGMultiplexing {
    static let table = WordTable<NGMultiplexing>([
        ("offer", .offer), ("require", [.offer, .require]), ("demux", .demux), ("accept", .accept), ("reject", .reject),
    ])
}

extension NGSourceOptions.EndpointLearning {
    static let table = WordTable(allCases)
}
