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

    @Test("the longest prefix wins, whatever the order of the trunks", arguments: [
        ("4930123", "berlin"), ("4940123", "germany"), ("49", "germany"), ("4", "default"), ("1555", "default"),
        ("", "default"), ("493", "germany"), ("0044", "default"), ("+4930", "plus"), ("49301", "berlin"),
    ])
    func longestPrefix(number: String, name: String) {
        let trunks = [
            Self.trunk("default", prefixes: [""]), Self.trunk("berlin", prefixes: ["4930"]),
            Self.trunk("germany", prefixes: ["49"]), Self.trunk("plus", prefixes: ["+49"]), Self.trunk("none"),
        ]
        #expect(Routing(trunks: trunks).trunk(to: number)?.name == name)
        #expect(Routing(trunks: trunks.reversed()).trunk(to: number)?.name == name)
    }

    @Test("without a default route a number may lead nowhere")
    func noRoute() {
        let routing = Routing(trunks: [Self.trunk("germany", prefixes: ["49", "0049"]), Self.trunk("none")])
        for number in ["", "4", "48", "004", "1"] { #expect(routing.trunk(to: number) == nil, "\(number)") }
        #expect(routing.trunk(to: "00491") != nil)
        #expect(Routing(trunks: []).trunk(to: "49") == nil)
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
