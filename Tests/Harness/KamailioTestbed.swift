package import Core
import Foundation
import Glibc

/// A Kamailio between a caller and its callees, and the relayd nodes its media pass, each on a loopback address of its own.
package final class KamailioTestbed: Sendable {
    package let host: IPAddress
    package let caller: SocketAddress
    package let callees: [SocketAddress]
    package let nodes: [Daemon]
    package let kamailio: Kamailio

    /// Runs `body` and ends everything whatever happens.
    ///
    /// - Throws: what `body` throws with the logs, and `Daemon.Trouble` when a relayd crashed or does not stop cleanly.
    package static func with(
        nodes weights: [Int] = [1], callees: Int = 1, flags: String? = nil,
        _ adjust: @Sendable (inout DaemonSettings) -> Void = { _ in }, body: (KamailioTestbed) async throws -> Void
    ) async throws {
        let bed = try await KamailioTestbed(weights, callees, flags, adjust)
        do {
            try await body(bed)
        } catch {
            bed.kamailio.stop()
            for node in bed.nodes { node.process.kill() }
            let logs = bed.nodes.map { $0.log.suffix(4_000) }.joined(separator: "\n---\n")
            throw Daemon.Trouble(
                description: "\(error)\n--- Kamailio's log\n\(bed.kamailio.log.suffix(6_000))\n--- relayd's log\n\(logs)")
        }
        bed.kamailio.stop()
        for node in bed.nodes where node.process.exit == nil {
            let exit = try await node.stop()
            guard exit == .exited(code: 0) else {
                throw Daemon.Trouble(description: "relayd ended with \(exit):\n\(node.log.suffix(8_000))")
            }
        }
        for node in bed.nodes {
            if case .signalled(let number) = node.process.exit, number != SIGKILL {
                throw Daemon.Trouble(description: "relayd crashed with signal \(number):\n\(node.log.suffix(8_000))")
            }
        }
    }

    private init(
        _ weights: [Int], _ calleeCount: Int, _ flags: String?, _ adjust: (inout DaemonSettings) -> Void
    ) async throws {
        let host = Loopback.host()
        self.host = host
        caller = SocketAddress(ip: host, port: 5070)
        callees = (0..<calleeCount).map { SocketAddress(ip: host, port: 5080 + UInt16($0)) }
        var nodes: [Daemon] = []
        for _ in weights { nodes.append(try await Daemon.start(Self.settings(adjust))) }
        self.nodes = nodes
        var plan = Kamailio.Plan(
            at: SocketAddress(ip: host, port: 5060),
            nodes: zip(nodes, weights).map { Kamailio.Node($0.settings.ngListen!, weight: $1) }, callees: callees)
        if let flags { plan.flags = flags }
        kamailio = try await Kamailio.start(plan)
    }

    private static func settings(_ adjust: (inout DaemonSettings) -> Void) -> DaemonSettings {
        let host = Loopback.host()
        var settings = DaemonSettings(listen: SocketAddress(ip: host, port: 5060), mediaPorts: 10_000...10_199)
        settings.ngListen = SocketAddress(ip: host, port: 2223)
        settings.ngDeleteDelay = 0
        adjust(&settings)
        return settings
    }

    /// The only relayd, or the first.
    package var relayd: Daemon { nodes[0] }

    /// A SIPp that calls through Kamailio.
    package func caller(_ scenario: String, _ adjust: (inout SIPp.Plan) -> Void = { _ in }) async throws -> SIPp {
        var plan = SIPp.Plan(scenario, at: caller, calling: kamailio.plan.address)
        plan.media = SocketAddress(ip: host, port: 9)
        adjust(&plan)
        return try await SIPp.start(plan)
    }

    /// A SIPp that Kamailio calls. It listens when this returns.
    package func callee(
        _ scenario: String, branch: Int = 0, _ adjust: (inout SIPp.Plan) -> Void = { _ in }
    ) async throws -> SIPp {
        var plan = SIPp.Plan(scenario, at: callees[branch])
        plan.media = SocketAddress(ip: host, port: 9)
        adjust(&plan)
        return try await SIPp.start(plan)
    }

    /// Sets up a call whose media the test plays, and returns once the callee has its ACK: with the offer in the INVITE,
    /// or in the 200 and its answer in the ACK. The party of `hangsUpWhenTold` stays until `ConnectedCall.hangUp`.
    ///
    /// With `afterRingingElsewhere` the callee gets its INVITE once the caller has heard another branch ring. Until then nobody
    /// listens there, and Kamailio sends it again.
    package func connect(
        caller callerScenario: String, callee calleeScenario: String, pause: Duration = .seconds(2),
        hangsUpWhenTold party: MediaStream.Party? = nil, afterRingingElsewhere isSecond: Bool = false
    ) async throws -> ConnectedCall {
        let id = UInt32.random(in: 1...UInt32.max)
        let callerMedia = try MediaEndpoint(on: host, call: id, party: .caller)
        let calleeMedia = try MediaEndpoint(on: host, call: id, party: .callee)
        do {
            let startCallee = {
                try await self.callee(calleeScenario) {
                    $0.media = calleeMedia.address
                    $0.pause = pause
                    $0.hangsUpWhenTold = party == .callee
                }
            }
            let first = isSecond ? nil : try await startCallee()
            let caller = try await caller(callerScenario) {
                $0.media = callerMedia.address
                $0.pause = pause
                $0.hangsUpWhenTold = party == .caller
            }
            if isSecond { _ = try await caller.receives("180") { $0.status == 180 } }
            let callee = if let first { first } else { try await startCallee() }
            let answer = try await caller.receives("200 with SDP") { $0.status == 200 && $0.mediaAddress != nil }
            let acknowledgement = try await callee.receives("ACK") { $0.method == "ACK" }
            let invite = callee.received("INVITE").first
            guard let towardsCaller = answer.mediaAddress,
                let towardsCallee = invite?.mediaAddress ?? acknowledgement.mediaAddress
            else { throw SocketError(description: "neither INVITE nor ACK told the callee where to send") }
            return ConnectedCall(
                caller: caller, callee: callee, callerMedia: callerMedia, calleeMedia: calleeMedia,
                relayTowardsCaller: towardsCaller, relayTowardsCallee: towardsCallee)
        } catch {
            callerMedia.close()
            calleeMedia.close()
            throw error
        }
    }
}
