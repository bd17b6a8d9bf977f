import Core

/// A record as a line of the journal: octet for octet what `JSONEncoder` writes with sorted keys, at a fraction of its cost.
///
/// A field that `CallRecord` gains has to be written here too, in its place in the alphabet; a test compares both.
struct RecordLine {
    /// With its line end.
    private(set) var octets: [UInt8] = []

    init(_ record: CallRecord) {
        octets.reserveCapacity(1_280)
        octets.append(UInt8(ascii: "{"))
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
        octets.append(UInt8(ascii: "}"))
        octets.append(UInt8(ascii: "\n"))
    }

    // MARK: Fields

    private mutating func add(_ name: String, _ direction: CallRecord.Direction) {
        begin(name)
        octets.append(UInt8(ascii: "{"))
        if let digits = direction.digits {
            begin("digits")
            octets.append(UInt8(ascii: "{"))
            add("events", digits.events)
            add("info", digits.info)
            add("tones", digits.tones)
            octets.append(UInt8(ascii: "}"))
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
        octets.append(UInt8(ascii: "}"))
    }

    private mutating func add(_ name: String, _ text: String?) {
        guard let text else { return }
        begin(name)
        octets.append(UInt8(ascii: "\""))
        for octet in text.utf8 { append(escaping: octet) }
        octets.append(UInt8(ascii: "\""))
    }

    private mutating func add(_ name: String, _ number: some FixedWidthInteger) {
        begin(name)
        if number < 0 { octets.append(UInt8(ascii: "-")) }
        octets.append(decimal: UInt64(number.magnitude))
    }

    /// JSON has no infinity.
    private mutating func add(_ name: String, _ number: Double?) {
        guard let number, number.isFinite else { return }
        begin(name)
        let text = number.description.utf8
        octets += number.description.hasSuffix(".0") ? text.dropLast(2) : text.dropLast(0)
    }

    private mutating func add(_ name: String, _ time: WallTime?) {
        guard let time else { return }
        begin(name)
        octets.append(UInt8(ascii: "\""))
        time.append(to: &octets)
        octets.append(UInt8(ascii: "\""))
    }

    private mutating func add(_ name: String, _ address: SocketAddress?) {
        guard let address else { return }
        begin(name)
        octets.append(UInt8(ascii: "\""))
        address.append(to: &octets)
        octets.append(UInt8(ascii: "\""))
    }

    // MARK: Octets

    /// Names need no escaping.
    private mutating func begin(_ name: String) {
        if octets.last != UInt8(ascii: "{") { octets.append(UInt8(ascii: ",")) }
        octets.append(UInt8(ascii: "\""))
        octets += name.utf8
        octets.append(UInt8(ascii: "\""))
        octets.append(UInt8(ascii: ":"))
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
            octets.append(UInt8(ascii: "\\"))
            octets.append(letter)
        } else if octet < 0x20 {
            octets += "\\u00\(octet < 0x10 ? "0" : "")\(String(octet, radix: 16))".utf8
        } else {
            octets.append(octet)
        }
    }
}
