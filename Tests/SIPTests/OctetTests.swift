import Core
import Testing

@testable import SIP

/// What looks at eight octets at a time, beside what looks at each.
@Suite struct OctetTests {
    @Test("an octet is found where it first is, in any part of any text", arguments: 1...8 as ClosedRange<UInt64>)
    func search(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        // Few kinds, so that most are there more than once, with those beside the limits and the highest bit among them.
        let kinds: [UInt8] = [0, 9, 10, 13, 14, 0x20, 0x21, 0x22, 0x7e, 0x7f, 0x80, 0x8a, 0x8d, 0xff]
        for _ in 0..<2_000 {
            let octets = (0..<Int(random.next() % 40)).map { _ in
                random.next() % 3 == 0 ? kinds[Int(random.next() % UInt64(kinds.count))] : UInt8(ascii: "x")
            }
            let start = Int(random.next() % UInt64(octets.count + 1))
            let end = start + Int(random.next() % UInt64(octets.count - start + 1))
            let span = octets.span
            for kind in kinds {
                #expect(span.firstIndex(of: kind, in: start..<end) == octets[start..<end].firstIndex(of: kind), "\(octets) \(start)..<\(end) \(kind)")
            }
            for limit in [1, 14, 0x21, 0x80] as [UInt8] {
                #expect(
                    span.firstIndex(below: limit, in: start..<end) == octets[start..<end].firstIndex { $0 < limit } ?? end,
                    "\(octets) \(start)..<\(end) \(limit)")
            }
            #expect(span.hasLineEnd == octets.contains { $0 == 10 || $0 == 13 })
        }
    }

    @Test("what no URI may hold is refused wherever it stands", arguments: [0x00, 0x1f, 0x20, 0x22, 0x3c, 0x3e, 0x7f] as [UInt8])
    func refusedInURI(octet: UInt8) {
        let uri = Array("sip:someone@host.example.com;a=b".utf8)
        #expect(SIPURI(uri) != nil)
        for index in uri.indices {
            var broken = uri
            broken[index] = octet
            #expect(SIPURI(broken) == nil, "at \(index)")
        }
        #expect(SIPURI(Array("sip:b\u{fc}ro-und-noch-mehr@host.example.com".utf8)) != nil)
    }
}
