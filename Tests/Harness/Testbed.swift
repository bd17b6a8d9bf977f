package import ControlProtocol
package import Core
import Foundation
import Glibc

/// A daemon between one customer and one carrier, on a loopback address of its own.
package final class Testbed: Sendable {
    package let host: IPAddress
    /// Where the customer's SIP phone is. Calls come from here.
    package let customer: SocketAddress
    /// Where the carrier's is. Every number is routed there.
    package let carrier: SocketAddress
    package let daemon: Daemon

    /// Runs `body` with a fresh daemon and ends the daemon whatever happens.
    ///
    /// - Throws: what `body` throws, and `Daemon.Trouble` when the daemon crashed or does not stop cleanly.
    package static func with(
        _ adjust: @Sendable (inout DaemonSettings) -> Void = { _ in }, body: (Testbed) async throws -> Void
    ) async throws {
        let bed = try await Testbed(adjust)
        do {
            try await body(bed)
        } catch {
            bed.daemon.process.kill()
            throw Daemon.Trouble(description: "\(error)\n--- relayd's log\n\(bed.daemon.log.suffix(8_000))")
        }
        try await bed.finish()
    }

    private init(_ adjust: (inout DaemonSettings) -> Void) async throws {
        host = Loopback.host()
        customer = SocketAddress(ip: host, port: 5070)
        carrier = SocketAddress(ip: host, port: 5080)
        var settings = DaemonSettings(
            listen: SocketAddress(ip: host, port: 5060), mediaPorts: 10_000...10_199)
        settings.trunks = [
            .init("customers", customer), .init("carrier", carrier, prefixes: [""]),
        ]
        adjust(&settings)
        daemon = try await Daemon.start(settings)
    }

    private func finish() async throws {
        // A test that stopped the daemon itself has looked at its exit code.
        if daemon.process.exit == nil {
            let exit = try await daemon.stop()
            guard exit == .exited(code: 0) else {
                throw Daemon.Trouble(description: "relayd ended with \(exit):\n\(daemon.log.suffix(8_000))")
            }
        }
        if case .signalled(let number) = daemon.process.exit, number != SIGKILL {
            throw Daemon.Trouble(description: "relayd crashed with signal \(number):\n\(daemon.log.suffix(8_000))")
        }
    }

    /// What `relayctl why` says of a call, by any of its names.
    package func why(_ name: String) async throws -> CallExplanation { try await daemon.why(name) }

    /// A SIPp in the customer's place.
    package func caller(_ scenario: String, _ adjust: (inout SIPp.Plan) -> Void = { _ in }) async throws -> SIPp {
        var plan = SIPp.Plan(scenario, at: customer, calling: daemon.sipAddress)
        plan.media = SocketAddress(ip: host, port: 9)
        adjust(&plan)
        return try await SIPp.start(plan)
    }

    /// A SIPp in the carrier's place. It listens when this returns.
    package func callee(_ scenario: String, _ adjust: (inout SIPp.Plan) -> Void = { _ in }) async throws -> SIPp {
        var plan = SIPp.Plan(scenario, at: carrier)
        plan.media = SocketAddress(ip: host, port: 9)
        adjust(&plan)
        return try await SIPp.start(plan)
    }

    /// Sets up a call whose media the test plays, and returns once the callee has its ACK. The party of `hangsUpWhenTold`
    /// stays until `ConnectedCall.hangUp`; else pauses decide.
    ///
    /// - Parameter keys: what stands for `[NAME]` in the scenario of each.
    package func connect(
        caller callerScenario: String, callee calleeScenario: String, pause: Duration = .seconds(2),
        hangsUpWhenTold party: MediaStream.Party? = nil,
        keys: (caller: [String: String], callee: [String: String]) = ([:], [:])
    ) async throws -> ConnectedCall {
        let id = UInt32.random(in: 1...UInt32.max)
        let callerMedia = try MediaEndpoint(on: host, call: id, party: .caller)
        let calleeMedia = try MediaEndpoint(on: host, call: id, party: .callee)
        do {
            let callee = try await callee(calleeScenario) {
                $0.media = calleeMedia.address
                $0.pause = pause
                $0.hangsUpWhenTold = party == .callee
                $0.keys = keys.callee
            }
            let caller = try await caller(callerScenario) {
                $0.media = callerMedia.address
                $0.pause = pause
                $0.hangsUpWhenTold = party == .caller
                $0.keys = keys.caller
            }
            let answer = try await caller.receives("200 with SDP") { $0.status == 200 && $0.mediaAddress != nil }
            let invite = try await callee.receives("INVITE with SDP") { $0.method == "INVITE" && $0.mediaAddress != nil }
            _ = try await callee.receives("ACK") { $0.method == "ACK" }
            guard let towardsCaller = answer.mediaAddress, let towardsCallee = invite.mediaAddress else {
                preconditionFailure("both were waited for")
            }
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

/// A call that was answered, with the media of both parties in the test's hands.
package final class ConnectedCall: Sendable {
    package let caller: SIPp
    package let callee: SIPp
    package let callerMedia: MediaEndpoint
    package let calleeMedia: MediaEndpoint
    /// What relayd's SDP told the caller, and the callee.
    package let relayTowardsCaller: SocketAddress
    package let relayTowardsCallee: SocketAddress

    init(
        caller: SIPp, callee: SIPp, callerMedia: MediaEndpoint, calleeMedia: MediaEndpoint,
        relayTowardsCaller: SocketAddress, relayTowardsCallee: SocketAddress
    ) {
        self.caller = caller
        self.callee = callee
        self.callerMedia = callerMedia
        self.calleeMedia = calleeMedia
        self.relayTowardsCaller = relayTowardsCaller
        self.relayTowardsCallee = relayTowardsCallee
    }

    deinit {
        callerMedia.close()
        calleeMedia.close()
    }

    /// Both parties begin to send. Returns when each has heard the other: from then on every packet must arrive.
    package func startMedia() async throws {
        callerMedia.start(to: relayTowardsCaller)
        calleeMedia.start(to: relayTowardsCallee)
        try await eventually("each party hears the other") {
            !callerMedia.heard.numbers.isEmpty && !calleeMedia.heard.numbers.isEmpty
        }
    }

    /// Lets the party that waits for it hang up.
    package func hangUp() throws {
        for party in [caller, callee] where party.plan.hangsUpWhenTold { try party.hangUp() }
    }

    /// Waits until the caller's `count` INVITEs are agreed, lets the call end as its scenarios say, and returns what the callee was
    /// offered.
    package func hangUp(afterOffers count: Int) async throws -> [TracedMessage] {
        try await caller.agrees(with: callee, count: count)
        try hangUp()
        try await caller.succeeds()
        try await callee.succeeds()
        return callee.received("INVITE")
    }

    package func stopMedia() {
        callerMedia.stop()
        calleeMedia.stop()
    }

    /// Lets both parties talk for `packets` packets, then stops them.
    ///
    /// - Returns: per direction the packets that were sent since both had heard each other, and those that arrived.
    package func exchange(packets: UInt32) async throws -> Exchange {
        try await startMedia()
        let callerStart = callerMedia.sentCount
        let calleeStart = calleeMedia.sentCount
        try await eventually("\(packets) packets are sent", within: .seconds(60)) {
            callerMedia.sentCount >= callerStart + packets && calleeMedia.sentCount >= calleeStart + packets
        }
        stopMedia()
        let fromCaller = Array(callerStart..<callerMedia.sentCount)
        let fromCallee = Array(calleeStart..<calleeMedia.sentCount)
        // What is on its way arrives; what was lost never does, and then the comparison tells which.
        try? await eventually("the last packet arrives", within: .seconds(20)) {
            calleeMedia.heard.numbers.last == fromCaller.last && callerMedia.heard.numbers.last == fromCallee.last
        }
        return Exchange(
            sentByCaller: fromCaller, heardByCallee: calleeMedia.heard.numbers.filter { $0 >= callerStart },
            sentByCallee: fromCallee, heardByCaller: callerMedia.heard.numbers.filter { $0 >= calleeStart })
    }

    package struct Exchange: Sendable {
        package let sentByCaller: [UInt32]
        package let heardByCallee: [UInt32]
        package let sentByCallee: [UInt32]
        package let heardByCaller: [UInt32]
    }
}
