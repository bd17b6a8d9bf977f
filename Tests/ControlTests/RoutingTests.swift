import Configuration
import Control
import Core
import Testing

@Suite struct RoutingTests {
    private static func trunk(_ name: String, sources: [String] = [], prefixes: [String] = []) -> Trunk {
        Trunk(
            name: name, address: SocketAddress("203.0.113.1:5060")!, sources: sources.map { TrunkSource($0)! },
            prefixes: prefixes)
    }

    private func names(_ routing: Routing, _ number: String, seed: UInt64 = 1) -> [String] {
        var random = SeededRandom(seed: seed)
        return routing.candidates(for: number, random: &random).map(\.trunk.name)
    }

    private func first(_ routing: Routing, _ number: String) -> String? { names(routing, number).first }

    @Test("every way for a number, in order: longest prefix, lowest priority; each trunk once")
    func order() {
        var trunks = [
            Self.trunk("default", prefixes: [""]), Self.trunk("cheap", prefixes: ["49"]), Self.trunk("dear", prefixes: ["49"]),
            Self.trunk("berlin", prefixes: ["4930", "49"]),
        ]
        trunks[1].priority = 1
        trunks[2].priority = 2
        trunks[3].priority = 3
        var route = Route(prefixes: ["49"], trunk: "default")
        route.priority = 0
        route.called = [.prepend("00")]
        let routing = Routing(trunks: trunks, routes: [route])
        #expect(names(routing, "4930") == ["berlin", "default", "cheap", "dear"])
        #expect(names(routing, "4940") == ["default", "cheap", "dear", "berlin"])
        #expect(names(routing, "1") == ["default"])
        var random = SeededRandom(seed: 1)
        #expect(routing.candidates(for: "4940", random: &random)[0].called == [.prepend("00")])
        #expect(routing.candidates(for: "1", random: &random)[0].called == [])
    }

    @Test("of equals each comes first as often as its weight says, and all of them are candidates")
    func weights() {
        var trunks = ["a", "b", "c"].map { Self.trunk($0, prefixes: ["49"]) }
        trunks[0].weight = 6
        trunks[1].weight = 3
        let routing = Routing(trunks: trunks)
        var firsts: [String: Int] = [:]
        for seed in 1...4_000 as ClosedRange<UInt64> {
            let names = names(routing, "49", seed: seed)
            #expect(names.sorted() == ["a", "b", "c"])
            firsts[names[0], default: 0] += 1
        }
        #expect((2_250...2_550).contains(firsts["a"]!) && (1_050...1_350).contains(firsts["b"]!))
        #expect((300...500).contains(firsts["c"]!))
    }

    @Test("numbers are rewritten rule by rule", arguments: [
        (["strip 2"], "0049123", "49123"), (["prepend +"], "49", "+49"), (["replace +49 0"], "+4930", "030"),
        (["replace +49 0"], "4930", "4930"), (["replace 00"], "0044", "44"), (["replace + 00", "strip 2", "prepend 9#"], "+1", "9#1"),
        (["strip 9"], "123", ""), ([], "123", "123"),
    ] as [([String], String, String)])
    func rewriting(rules: [String], number: String, result: String) {
        #expect(rules.map { NumberRule($0)! }.apply(to: number) == result)
        #expect(rules.map { NumberRule($0)!.description } == rules)
    }

    @Test("what is no rule", arguments: [
        "", "strip", "strip 0", "strip 33", "strip x", "prepend", "prepend 1;2", "prepend 1 2", "replace", "cut 1",
        "replace 1 2 3", "prepend 1@2",
    ])
    func noRules(text: String) { #expect(NumberRule(text) == nil) }

    @Test("a token bucket lets through its rate, after a pause a second's worth at once, and without a rate everything")
    func tokenBucket() {
        let start = Instant(nanoseconds: 1_000_000_000)
        var bucket = TokenBucket(rate: 5, now: start)
        #expect((0..<10).count { _ in bucket.take(now: start) } == 5)
        #expect((1...100).count { bucket.take(now: start + .milliseconds(10 * $0)) } == 5)
        #expect((0..<10).count { _ in bucket.take(now: start + .seconds(60)) } == 5)
        var open = TokenBucket(rate: 0, now: start)
        #expect((0..<100).count { _ in open.take(now: start) } == 100)
    }

    @Test("the longest prefix wins, whatever the order of the trunks", arguments: [
        ("4930123", "berlin"), ("4940123", "germany"), ("49", "germany"), ("4", "default"), ("1555", "default"),
        ("", "default"), ("493", "germany"), ("0044", "default"), ("+4930", "plus"), ("49301", "berlin"),
    ])
    func longestPrefix(number: String, name: String) {
        let trunks = [
            Self.trunk("default", prefixes: [""]), Self.trunk("berlin", prefixes: ["4930"]),
            Self.trunk("germany", prefixes: ["49"]), Self.trunk("plus", prefixes: ["+49"]), Self.trunk("none"),
        ]
        #expect(first(Routing(trunks: trunks), number) == name)
        #expect(first(Routing(trunks: trunks.reversed()), number) == name)
    }

    @Test("without a default route a number may lead nowhere")
    func noRoute() {
        let routing = Routing(trunks: [Self.trunk("germany", prefixes: ["49", "0049"]), Self.trunk("none")])
        for number in ["", "4", "48", "004", "1"] { #expect(first(routing, number) == nil, "\(number)") }
        #expect(first(routing, "00491") != nil)
        #expect(first(Routing(trunks: []), "49") == nil)
    }

    @Test("the most specific source wins: port before address before network", arguments: [
        ("198.51.100.7:5070", "port"), ("198.51.100.7:5060", "host"), ("198.51.100.8:5060", "small"),
        ("198.51.101.8:5060", "large"), ("198.52.0.1:5060", nil), ("[2001:db8::1]:5060", "six"), ("[2001:db9::1]:5060", nil),
    ] as [(String, String?)])
    func mostSpecificSource(address: String, name: String?) {
        let trunks = [
            Self.trunk("large", sources: ["198.51.0.0/16"]), Self.trunk("host", sources: ["198.51.100.7"]),
            Self.trunk("port", sources: ["198.51.100.7:5070"]), Self.trunk("small", sources: ["198.51.100.0/24"]),
            Self.trunk("six", sources: ["2001:db8::/32"]),
        ]
        #expect(Routing(trunks: trunks).trunk(from: SocketAddress(address)!)?.name == name)
        #expect(Routing(trunks: trunks.reversed()).trunk(from: SocketAddress(address)!)?.name == name)
    }
}
