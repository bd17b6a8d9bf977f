import Core
import NG
import Testing

@Suite struct NGMessageTests {
    private func bencode(_ text: String) throws(NGSyntaxError) -> NGDictionary {
        try Bencode.decode(ArraySlice(text.utf8))
    }

    private func json(_ text: String) throws(NGSyntaxError) -> NGDictionary { try JSON.decode(ArraySlice(text.utf8)) }

    @Test("what a proxy sends comes out again octet for octet", arguments: Sample.all)
    func roundTrip(message: String) throws {
        let envelope = try Sample.envelope(message)
        #expect(envelope.format == .bencode)
        let again = Sample.text(envelope.cookie) + " " + Sample.text(envelope.format.encoded(envelope.dictionary))
        #expect(again == message)
    }

    @Test("bencode and JSON say the same", arguments: Sample.all)
    func translation(message: String) throws {
        let dictionary = try Sample.envelope(message).dictionary
        let octets = NGFormat.json.encoded(dictionary)
        #expect(try JSON.decode(octets[...]) == dictionary)
        #expect(try NGEnvelope(parsing: Array("c ".utf8) + octets).format == .json)
    }

    @Test("keys in any order; of equal keys the last counts, in the first one's place")
    func keys() throws {
        #expect(try bencode("d1:bi1e1:ai2e1:b1:xe") == ["b": .text("x"), "a": .integer(2)])
        #expect(try json(#"{"b":1,"a":2,"b":"x"}"#) == ["b": .text("x"), "a": .integer(2)])
    }

    @Test("every kind of value", arguments: [
        ("d1:ai-42e1:b0:1:cle1:dd1:xdeee",
            ["a": .integer(-42), "b": .text(""), "c": .list([]), "d": .dictionary(["x": .dictionary([:])])]),
        ("d1:al1:x1:yi7eee \r\n", ["a": .list([.text("x"), .text("y"), .integer(7)])]),
    ] as [(String, NGDictionary)])
    func bencodeValues(text: String, expected: NGDictionary) throws {
        #expect(try bencode(text) == expected)
    }

    @Test("what is no bencode is refused", arguments: [
        ("", .truncated), ("d", .truncated), ("d1:a", .truncated), ("d1:a3:xy", .truncated), ("i1e", .noDictionary),
        ("d1:ai1ee!", .malformed(offset: 8)), ("di1e1:ae", .malformed(offset: 1)), ("d1:aiee", .malformed(offset: 5)),
        ("d1:ai-ee", .malformed(offset: 6)), ("d1:ai99999999999999999999ee", .malformed(offset: 25)),
        ("d1:a9999999999:xe", .malformed(offset: 13)), ("d-1:ae", .malformed(offset: 1)),
        ("d1:ai1x", .malformed(offset: 6)),
    ] as [(String, NGSyntaxError)])
    func badBencode(text: String, error: NGSyntaxError) {
        #expect(throws: error) { try bencode(text) }
    }

    @Test("JSON strings with all their escapes, and what is not a string or an integer")
    func jsonValues() throws {
        let dictionary = try json(
            #" { "a" : "\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud800x" , "t":true,"f":false,"n":null,"l":[null,1.5,-3],"o":{} } "#)
        #expect(dictionary == [
            "a": .text("\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}\u{fffd}x"), "t": .integer(1), "f": .integer(0),
            "l": .list([.text("1.5"), .integer(-3)]), "o": .dictionary([:]),
        ])
        #expect(try json(Sample.text(NGFormat.json.encoded(dictionary))) == dictionary)
        #expect(Sample.text(NGFormat.json.encoded(["k": .text("\u{1}\u{1f}\r\n/\u{e9}\"")]))
            == #"{"k":"\u0001\u001f\r\n/é\""}"#)
    }

    @Test("what is no JSON is refused", arguments: [
        "", "{", "[]", "{a:1}", #"{"a":}"#, #"{"a":1,}"#, #"{"a":1}x"#, #"{"a":tru}"#, #"{"a":"x}"#, #"{"a":"\x"}"#,
        #"{"a":"\u12"}"#, "{\"a\":\"\n\"}", #"{"a":[1,]}"#, #"{"a":+1}"#, #"{"a":-}"#, #"{"a" 1}"#, #"{"a":"\u12g4"}"#,
    ])
    func badJSON(text: String) {
        #expect(throws: NGSyntaxError.self) { try json(text) }
    }

    @Test("octets that are not UTF-8 pass bencode unharmed, and JSON as U+FFFD")
    func octets() throws {
        let octets: [UInt8] = Array("d1:k3:".utf8) + [0xff, 0x00, 0xfe] + Array("e".utf8)
        let dictionary = try Bencode.decode(octets[...])
        #expect(NGFormat.bencode.encoded(dictionary) == octets)
        #expect(Sample.text(NGFormat.json.encoded(dictionary)) == "{\"k\":\"\u{fffd}\\u0000\u{fffd}\"}")
    }

    @Test("nesting, number of values and length are limited")
    func limits() {
        func nested(_ depth: Int) -> String {
            "d1:a" + String(repeating: "l", count: depth - 1) + String(repeating: "e", count: depth)
        }
        func nestedJSON(_ depth: Int) -> String {
            "{\"a\":" + String(repeating: "[", count: depth - 1) + String(repeating: "]", count: depth - 1) + "}"
        }
        #expect(throws: Never.self) { try bencode(nested(16)) }
        #expect(throws: NGSyntaxError.tooDeep) { try bencode(nested(17)) }
        #expect(throws: NGSyntaxError.tooDeep) { try bencode(nested(100_000)) }
        #expect(throws: Never.self) { try json(nestedJSON(16)) }
        #expect(throws: NGSyntaxError.tooDeep) { try json(nestedJSON(17)) }
        #expect(throws: NGSyntaxError.tooDeep) { try json(nestedJSON(100_000)) }
        #expect(throws: Never.self) { try bencode("d1:al" + String(repeating: "i0e", count: 1022) + "ee") }
        #expect(throws: NGSyntaxError.tooManyValues) {
            try bencode("d1:al" + String(repeating: "i0e", count: 1023) + "ee")
        }
        #expect(throws: NGSyntaxError.tooManyValues) {
            try json("{\"a\":[" + String(repeating: "0,", count: 1023) + "0]}")
        }
        #expect(throws: NGEnvelope.Failure.self) {
            try Sample.envelope("c d1:a65535:" + String(repeating: "x", count: 65_535) + "e")
        }
    }

    @Test("a message without a cookie is dropped", arguments: [
        "", " ", " d7:command4:pinge", "d7:command4:pinge", "cookie", String(repeating: "c", count: 129) + " de",
    ])
    func noCookie(message: String) {
        #expect(throws: NGEnvelope.Failure.noCookie) { try Sample.envelope(message) }
    }

    @Test("a message with a cookie is answered whatever follows, in its format", arguments: [
        ("ck ", NGFormat.bencode, NGErrorReason.noPayload, "ck d6:result5:error12:error-reason25:Invalid data (no payload)e"),
        ("ck xyz", .bencode, .unknownFormat, "ck d6:result5:error12:error-reason22:Invalid NG data formate"),
        ("ck d3:x", .bencode, .badBencode, "ck d6:result5:error12:error-reason35:Could not decode bencode dictionarye"),
        ("ck {\"command\"", .json, .badJSON, "ck {\"result\":\"error\",\"error-reason\":\"Failed to parse JSON document\"}"),
    ])
    func unreadable(message: String, format: NGFormat, reason: NGErrorReason, answer: String) {
        let failure = NGEnvelope.Failure.unreadable(cookie: ArraySlice("ck".utf8), format: format, reason: reason)
        #expect(throws: failure) { try Sample.envelope(message) }
        #expect(Sample.text(NGReply.error(reason).encoded(cookie: "ck".utf8, format: format)) == answer)
    }
}
