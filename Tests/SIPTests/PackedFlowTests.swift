import Core
@testable import SIP
import Testing

@Suite struct PackedFlowTests {
    @Test("a packed flow is the flow it was made from, in half the octets")
    func whole() throws {
        for transport in Transport.allCases {
            for address in ["0.0.0.0:0", "198.51.100.7:65535", "[::]:5060", "[2001:db8:ffff::1]:5061", "[::ffff:198.51.100.7]:1"] {
                for listener in [nil, 0, 255] as [UInt8?] {
                    for connection in [nil, 0, .max] as [UInt32?] {
                        for mayConnect in [false, true] {
                            let flow = Flow(
                                transport, to: try #require(SocketAddress(address)), listener: listener, connection: connection,
                                mayConnect: mayConnect)
                            let packed = PackedFlow(flow)
                            #expect(packed.flow == flow)
                            #expect(packed.remote == flow.remote)
                            #expect(packed.transport == transport)
                        }
                    }
                }
            }
        }
        #expect(MemoryLayout<PackedFlow>.stride == 24)
    }

    @Test("a binding takes 104 octets beside those of its contact")
    func binding() { #expect(MemoryLayout<Binding>.stride == 104) }
}
