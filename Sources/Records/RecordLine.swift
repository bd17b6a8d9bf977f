import Core

/// A record as a line of the journal: octet for octet what `JSONEncoder` writes with sorted keys, at a fraction of its cost.
///
/// A field that `CallRecord` gains has to be written here too, in its place in the alphabet; a test compares both.
extension OctetBuffer {
    /// With its line end.
    mutating func append(line record: CallRecord) {
        append(UInt8(ascii: "{"))
        add("answerAt", record.answerAt)
        add("calledNumber", record.calledNumber)
        add("calleeAddress", record.calleeAddress)
        add("calleeCallID", record.calleeCallID)
        add("calleeTrunk", record.calleeTrunk)
        add("callerAddress", record.callerAddress)
        add("callerCallID", record.callerCallID)
        add("callerNumber", record.callerNumber)
        add("callerTrunk", record.callerTrunk)
        add("cause", record.cause.rawValue)
        add("deadAirSeconds", record.deadAirSeconds)
        add("durationMilliseconds", record.durationMilliseconds)
        add("endedBy", record.endedBy.rawValue)
        add("explanation", record.explanation)
        add("fromCallee", record.fromCallee)
        add("fromCaller", record.fromCaller)
        add("id", record.id)
        add("noMediaTimeoutSeconds", record.noMediaTimeoutSeconds)
        add("q850", record.q850)
        add("releaseAt", record.releaseAt)
        add("ringAt", record.ringAt)
        add("setupAt", record.setupAt)
        add("sipCode", record.sipCode)
        add("talkSeconds", record.talkSeconds)
        add("verdict", record.verdict?.rawValue)
        append(UInt8(ascii: "}"))
        append(UInt8(ascii: "\n"))
    }

    // MARK: Fields

    private mutating func add(_ name: StaticString, _ direction: CallRecord.Direction) {
        begin(name)
        append(UInt8(ascii: "{"))
        if let digits = direction.digits {
            begin("digits")
            append(UInt8(ascii: "{"))
            add("events", digits.events)
            add("info", digits.info)
            add("tones", digits.tones)
            append(UInt8(ascii: "}"))
        }
        add("highestJitterMilliseconds", direction.highestJitterMilliseconds)
        add("jitterMilliseconds", direction.jitterMilliseconds)
        add("lastMediaAt", direction.lastMediaAt)
        add("lossPercent", direction.lossPercent)
        add("lost", direction.lost)
        add("lowestMOS", direction.lowestMOS)
        add("mos", direction.mos)
        add("octets", direction.octets)
        add("packets", direction.packets)
        add("roundTripMilliseconds", direction.roundTripMilliseconds)
        append(UInt8(ascii: "}"))
    }

    private mutating func add(_ name: StaticString, _ text: String?) {
        guard let text else { return }
        begin(name)
        append(UInt8(ascii: "\""))
        append(escaping: text.utf8Span.span)
        append(UInt8(ascii: "\""))
    }

    private mutating func add(_ name: StaticString, _ number: Int) { add(name, Int64(number)) }

    private mutating func add(_ name: StaticString, _ number: Int64) {
        begin(name)
        append(decimal: number)
    }

    private mutating func add(_ name: StaticString, _ number: UInt64) {
        begin(name)
        append(decimal: number)
    }

    /// JSON has no infinity.
    private mutating func add(_ name: StaticString, _ number: Double?) {
        guard let number, number.isFinite else { return }
        begin(name)
        append(number)
    }

    private mutating func add(_ name: StaticString, _ time: WallTime?) {
        guard let time else { return }
        begin(name)
        append(UInt8(ascii: "\""))
        append(time)
        append(UInt8(ascii: "\""))
    }

    private mutating func add(_ name: StaticString, _ address: SocketAddress?) {
        guard let address else { return }
        begin(name)
        append(UInt8(ascii: "\""))
        append(address)
        append(UInt8(ascii: "\""))
    }

    // MARK: Octets

    /// Names need no escaping.
    @inline(__always)
    private mutating func begin(_ name: StaticString) {
        if unsafe octets.last != UInt8(ascii: "{") { append(UInt8(ascii: ",")) }
        append(UInt8(ascii: "\""))
        append(name)
        append(UInt8(ascii: "\""))
        append(UInt8(ascii: ":"))
    }

    private mutating func append(escaping text: Span<UInt8>) {
        // Without a branch for each octet: nearly always none of them is special.
        var special: UInt8 = 0
        for index in text.indices {
            let octet = text[index]
            special |= (octet < 0x20 ? 1 : 0) | (octet == UInt8(ascii: "\"") ? 1 : 0) | (octet == UInt8(ascii: "\\") ? 1 : 0)
        }
        guard special != 0 else { return unsafe text.withUnsafeBufferPointer { unsafe append(copying: $0) } }
        for index in text.indices { append(escaping: text[index]) }
    }

    private mutating func append(escaping octet: UInt8) {
        let letter: UInt8? =
            switch octet {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): octet
            case 0x08: UInt8(ascii: "b")
            case 0x09: UInt8(ascii: "t")
            case 0x0a: UInt8(ascii: "n")
            case 0x0c: UInt8(ascii: "f")
            case 0x0d: UInt8(ascii: "r")
            default: nil
            }
        if let letter {
            append(UInt8(ascii: "\\"))
            append(letter)
        } else if octet < 0x20 {
            append("\\u00")
            append(octet < 0x10 ? UInt8(ascii: "0") : UInt8(ascii: "1"))
            append("0123456789abcdef".utf8.dropFirst(Int(octet & 0xf)).first ?? 0)
        } else {
            append(octet)
        }
    }
}
