import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("the proxy is told of calls whose media died", .inTurn, .serialized)
struct NGCallbackTests {
    @Test("once a call, at the proxy's address, with Call-ID and tags", arguments: ["xmlrpc", "jsonrpc"])
    func callback(format: String) async throws {
        try await Testbed.with { settings in
            settings.ng = [
                "tcp = \"\(settings.listen.ip):2224\"", "timeout = 1", "timeout_callback = \"http://%%:8080/RPC2\"",
                "timeout_callback_format = \"\(format)\"",
            ]
        } body: { bed in
            let listener = try StreamListener(SocketAddress(ip: bed.host, port: 8080))
            try answerCall(on: bed, keys: ["xmlrpc-callback": "\(bed.host)"])
            let peer = try #require(listener.accept(within: 30_000))
            let end = format == "xmlrpc" ? "</methodCall>" : "\"id\":1}"
            let request = try peer.receive(until: end)
            #expect(request.hasPrefix("POST /RPC2 HTTP/1.1\r\n"))
            #expect(request.contains("dlg.terminate_dlg"))
            let parameters = format == "xmlrpc" ? ["<string>call</string>", "<string>a</string>", "<string>b</string>"]
                : ["[\"call\",\"a\",\"b\"]"]
            for parameter in parameters { #expect(request.contains(parameter)) }
            try peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            try await eventually("it is counted") { try bed.daemon.control.counter(.ngCallbacksSent) == 1 }
            #expect(listener.accept(within: 300) == nil, "no second time")
            #expect(try bed.daemon.control.calls().isEmpty)
        }
    }

    @Test("a proxy that does not answer holds up nobody, is counted each time, and warned of once")
    func unreachable() async throws {
        try await Testbed.with { settings in
            settings.ng = [
                "tcp = \"\(settings.listen.ip):2224\"", "timeout = 1",
                "timeout_callback = \"http://\(settings.listen.ip):8081/RPC2\"",
            ]
        } body: { bed in
            try answerCall(on: bed, id: "first")
            try answerCall(on: bed, id: "second")
            try await eventually("both failed") { try bed.daemon.control.counter(.ngCallbacksFailed) == 2 }
            try await bed.daemon.logs("ng.callback_failed")
            let warnings = bed.daemon.log.split(separator: "\n").filter { $0.contains("ng.callback_failed") }
            #expect(warnings.count == 1, "\(warnings)")
            #expect(warnings.allSatisfy { $0.contains("ECONNREFUSED") && $0.contains("http://\(bed.host):8081/RPC2") })

            // This one accepts and says nothing.
            let listener = try StreamListener(SocketAddress(ip: bed.host, port: 8081))
            try answerCall(on: bed, id: "third")
            let peer = try #require(listener.accept(within: 30_000))
            #expect(try bed.daemon.control.calls().isEmpty, "control goes on meanwhile")
            try await eventually("it is given up") { try bed.daemon.control.counter(.ngCallbacksFailed) == 3 }
            try await bed.daemon.logs("ETIMEDOUT")
            _ = peer
        }
    }

    @Test("a call that was ended by its proxy is not reported")
    func deleted() async throws {
        try await Testbed.with { settings in
            settings.ng = [
                "tcp = \"\(settings.listen.ip):2224\"", "timeout = 4",
                "timeout_callback = \"http://\(settings.listen.ip):8080/RPC2\"",
            ]
        } body: { bed in
            let listener = try StreamListener(SocketAddress(ip: bed.host, port: 8080))
            let proxy = try answerCall(on: bed)
            try proxy.send("3 d7:call-id4:call7:command6:delete12:delete-delayi0ee")
            try await eventually("it is gone") { try bed.daemon.control.calls().isEmpty }
            #expect(listener.accept(within: 5_000) == nil)
        }
    }

    @Test(
        "Kamailio ends the dialog of a call whose media died, with BYE to both sides", .needs(.sipp, .kamailio),
        arguments: DialogKamailio.RPC.allCases)
    func kamailio(rpc: DialogKamailio.RPC) async throws {
        // What Kamailio sends to a loopback address comes from 127.0.0.1, so that is what %% becomes.
        // Below the ephemeral range, where no connection of anyone's takes the port in the meantime.
        let rpcAddress = SocketAddress(ip: .ipv4Loopback, port: try Loopback.freeRange(of: 2, on: .ipv4Loopback).lowerBound)
        try await Testbed.with { settings in
            settings.ng = [
                "listen = \"\(settings.listen.ip):2223\"", "timeout = 5", "timeout_callback = \"http://%%:\(rpcAddress.port)/RPC2\"",
                "timeout_callback_format = \"\(rpc.rawValue)\"",
            ]
        } body: { bed in
            let kamailio = try await DialogKamailio.start(
                at: SocketAddress(ip: bed.host, port: 5090), callee: bed.carrier,
                relay: SocketAddress(ip: bed.host, port: 2223), rpc: rpc, rpcAddress: rpcAddress)
            do {
                let callerMedia = try MediaEndpoint(on: bed.host, call: 1, party: .caller)
                let calleeMedia = try MediaEndpoint(on: bed.host, call: 1, party: .callee)
                defer {
                    callerMedia.close()
                    calleeMedia.close()
                }
                let callee = try await bed.callee("callee-stays") { $0.media = calleeMedia.address }
                var plan = SIPp.Plan("caller-stays", at: bed.customer, calling: kamailio.address)
                plan.media = callerMedia.address
                let caller = try await SIPp.start(plan)
                let answer = try await caller.receives("200 with SDP") { $0.status == 200 && $0.mediaAddress != nil }
                let invite = try await callee.receives("INVITE with SDP") { $0.method == "INVITE" && $0.mediaAddress != nil }
                let towardsCaller = try #require(answer.mediaAddress)
                let towardsCallee = try #require(invite.mediaAddress)
                callerMedia.start(to: towardsCaller)
                calleeMedia.start(to: towardsCallee)
                try await eventually("each party hears the other") {
                    !callerMedia.heard.numbers.isEmpty && !calleeMedia.heard.numbers.isEmpty
                }
                callerMedia.stop()
                calleeMedia.stop()
                // Each scenario ends, with success, when it has its BYE.
                for party in [caller, callee] { try await party.succeeds() }
                try await eventually("it is counted") { try bed.daemon.control.counter(.ngCallbacksSent) == 1 }
                #expect(try bed.daemon.control.calls().isEmpty)
            } catch {
                try await kamailio.stop()
                throw SocketError(description: "\(error)\n--- Kamailio's log\n\(kamailio.log.suffix(6_000))")
            }
            try await kamailio.stop()
        }
    }

    /// Makes a call without media, over TCP.
    @discardableResult
    private func answerCall(on bed: Testbed, id: String = "call", keys: [String: String] = [:]) throws -> StreamPeer {
        let proxy = try StreamPeer(connectingTo: SocketAddress(ip: bed.host, port: 2224))
        let offer = ["call-id": id, "from-tag": "a", "sdp": sdp(bed.host, port: 30_000)].merging(keys) { $1 }
        _ = try ask(proxy, "1 ", request("offer", offer))
        let answer = ["call-id": id, "from-tag": "a", "to-tag": "b", "sdp": sdp(bed.host, port: 30_002)]
        #expect(try ask(proxy, "2 ", request("answer", answer))["result"] == "ok")
        return proxy
    }
}
