package import Core
import Foundation
import Synchronization

/// One SIPp: a caller or a callee that follows a scenario file. Every run is bounded, so none is ever left behind.
package final class SIPp: Sendable {
    package struct Plan: Sendable {
        /// The name of a file in Tests/IntegrationTests/Scenarios.
        package var scenario: String
        package var address: SocketAddress
        /// Whom a caller calls; nil for a callee.
        package var remote: SocketAddress?
        /// SIPp's `-t`: `u1`, `t1` (one TCP connection), `tn` (one a call).
        package var transport = "u1"
        package var calledNumber = "4930123456"
        package var callerNumber = "4420987654"
        /// What a scenario without media of its own puts into its SDP.
        package var media: SocketAddress?
        /// Where it sends and receives RTP of its own; nil: at the host of `address`.
        package var mediaHost: IPAddress?
        /// What the scenario calls `-d`: how long it talks, or waits.
        package var pause = Duration.milliseconds(500)
        /// In place of its last pause the scenario waits for `hangUp()`, before the answer (CANCEL) as well as after it. A pause is
        /// a race with everything else on a busy machine.
        package var hangsUpWhenTold = false
        /// What stands for `[NAME]` in the scenario; SIPp's own keywords may not stand for a status line's code.
        package var keys: [String: String] = [:]
        /// The scenario of what comes outside of its own calls; nil: there is none. `keys` count for it too.
        package var outOfCall: String?
        /// What is put before its command line, as `ip netns exec NAME`.
        package var launcher: [String] = []
        package var calls = 1
        /// New calls a second.
        package var rate = 50
        /// After this SIPp gives up with an error.
        package var limit = Duration.seconds(60)

        package init(_ scenario: String, at address: SocketAddress, calling remote: SocketAddress? = nil) {
            self.scenario = scenario
            self.address = address
            self.remote = remote
        }
    }

    package let plan: Plan
    package let process: ChildProcess
    private let directory: TemporaryDirectory
    /// What was read of its log last, and how long that was: looking again and again costs little while nothing is new.
    private let parsed = Mutex<(octets: Int, messages: [TracedMessage])>((0, []))
    /// What carries words into a network namespace.
    private let couriers = Mutex<[ChildProcess]>([])

    /// A callee listens when this returns.
    package static func start(_ plan: Plan) async throws -> SIPp {
        let sipp = try SIPp(plan)
        guard plan.remote == nil else { return sipp }
        do {
            try await eventually("SIPp listens on \(plan.address)", within: .seconds(20)) {
                if let exit = sipp.process.exit { throw SocketError(description: "SIPp ended at its start (\(exit))") }
                return isBound(plan.address, isStream: plan.transport.hasPrefix("t"), in: "\(sipp.process.processID)")
            }
        } catch {
            throw SocketError(description: "\(error): \(sipp.errors)\(sipp.process.output.suffix(2_000))")
        }
        return sipp
    }

    private init(_ plan: Plan) throws {
        self.plan = plan
        directory = try TemporaryDirectory("sipp")
        try Tone.write(to: directory.file("tone.ulaw"))
        try Tone.writeDigits(to: directory.file("digits.ulaw"))
        var scenario = Self.scenarioFile(plan.scenario)
        if plan.hangsUpWhenTold || !plan.keys.isEmpty {
            var text = textOfFile(scenario)
            for (name, value) in plan.keys { text = text.replacing("[\(name)]", with: value) }
            if plan.hangsUpWhenTold {
                guard let pause = text.range(of: "<pause/>", options: .backwards) else {
                    throw SocketError(description: "\(plan.scenario) has no pause to leave out")
                }
                text.replaceSubrange(pause, with: "<recv request=\"INFO\"/>")
            }
            scenario = directory.file("scenario.xml")
            try Data(text.utf8).write(to: URL(fileURLWithPath: scenario))
        }
        var arguments = ["-sf", scenario, "-i", "\(plan.address.ip)", "-p", "\(plan.address.port)"]
        arguments += ["-mi", "\(plan.mediaHost ?? plan.address.ip)", "-m", "\(plan.calls)", "-l", "\(plan.calls)", "-r", "\(plan.rate)"]
        if let name = plan.outOfCall {
            var text = textOfFile(Self.scenarioFile(name))
            for (name, value) in plan.keys { text = text.replacing("[\(name)]", with: value) }
            try Data(text.utf8).write(to: URL(fileURLWithPath: directory.file("outside.xml")))
            // Else it takes the next request with the same Call-ID for one of a call that has ended.
            arguments += ["-oocsf", directory.file("outside.xml"), "-deadcall_wait", "0"]
        }
        // It takes this port and the second after it, and ends where one of them is taken.
        arguments += ["-mp", "\(Loopback.sippMediaPort())"]
        arguments += ["-d", "\(plan.pause.milliseconds)", "-timeout", "\(plan.limit.milliseconds)ms", "-timeout_error"]
        arguments += ["-nostdin", "-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"]
        // Left to itself it gives a call up when an INVITE comes again after its 180 and 200, as it does when SIPp stood still
        // for a moment. What it makes of anything else that is not in the scenario: see `surprise`.
        arguments += ["-default_behaviors", "all,-abortunexp"]
        // Its default is more than the limit of open files.
        if plan.transport == "tn" { arguments += ["-max_socket", "1000"] }
        arguments += ["-t", plan.transport, "-key", "caller", plan.callerNumber, "-s", plan.calledNumber]
        if let media = plan.media {
            arguments += ["-key", "sdp_host", "\(media.ip)", "-key", "sdp_port", "\(media.port)"]
        }
        if let remote = plan.remote { arguments.append("\(remote)") }
        let command = plan.launcher + ["sipp"] + arguments
        process = try ChildProcess(
            command[0], Array(command.dropFirst()), environment: ["TERM": "xterm"], workingDirectory: directory.path,
            outputPath: directory.file("screen.log"))
    }

    /// Everything sent and received so far, retransmissions too, oldest first.
    package var messages: [TracedMessage] {
        let log = textOfFile(directory.file("messages.log"))
        return parsed.withLock { parsed in
            if parsed.octets != log.utf8.count { parsed = (log.utf8.count, TracedMessage.parse(log: log)) }
            return parsed.messages
        }
    }

    /// What went otherwise than the scenario says; empty when nothing did.
    package var errors: String { textOfFile(directory.file("errors.log")) }

    /// Messages received, each once: on a busy machine anything over UDP may be sent again, octet for octet the same.
    package func received(_ title: String) -> [TracedMessage] { Self.once(receptions(title)) }

    package func sent(_ title: String) -> [TracedMessage] {
        Self.once(messages.filter { $0.direction == .sent && $0.title == title })
    }

    /// Waits until `count` INVITEs of a call that this one made to `callee` have their answer and its ACK on both sides: each side
    /// is acknowledged on its own, so what one has says nothing of the other.
    package func agrees(with callee: SIPp, count: Int = 1) async throws {
        try await eventually("offer \(count) is answered and acknowledged") {
            sent("ACK").count == count && callee.received("ACK").count == count
        }
    }

    /// Messages received, as often as they came.
    package func receptions(_ title: String) -> [TracedMessage] {
        messages.filter { $0.direction == .received && $0.title == title }
    }

    private static func once(_ messages: [TracedMessage]) -> [TracedMessage] {
        var seen: Set<String> = []
        return messages.filter { seen.insert($0.text).inserted }
    }

    /// The first message received that `condition` accepts, as soon as there is one.
    ///
    /// - Throws: how far SIPp came, when there is none within `limit` or SIPp ended without it.
    package func receives(
        _ what: String, within limit: Duration = .seconds(30), where condition: @Sendable (TracedMessage) -> Bool
    ) async throws -> TracedMessage {
        try await eventually("SIPp (\(plan.scenario)) receives \(what):\n\(progress)", within: limit) {
            // Asked before the messages: what it wrote last is seen even so.
            let exit = process.exit
            if let message = messages.first(where: { $0.direction == .received && condition($0) }) { return message }
            if let exit {
                throw SocketError(description: "SIPp \(plan.scenario) ended (\(exit)) without \(what):\n\(progress)")
            }
            try expectNoSurprise()
            return nil
        }
    }

    private func expectNoSurprise() throws {
        if let surprise {
            throw SocketError(description: "SIPp \(plan.scenario) received what its scenario does not have: \(surprise)\n\(progress)")
        }
    }

    /// The first message that came otherwise than the scenario says and is no repetition of one that had come before.
    private var surprise: String? {
        let errors = errors
        guard errors.contains("unexpected message") else { return nil }
        let received = messages.filter { $0.direction == .received }
        for entry in errors.replacing("\r\n", with: "\n").split(separator: "unexpected message for Call-Id").dropFirst() {
            guard let start = entry.range(of: "received '"), let end = entry.range(of: "'", options: .backwards) else { continue }
            let text = entry[start.upperBound..<max(end.lowerBound, start.upperBound)].trimmingCharacters(in: .newlines)
            // A message that is still being written to the log counts as one that came before: it is looked at again.
            guard received.count(where: { $0.text.trimmingCharacters(in: .newlines) == text }) == 1 else { continue }
            return String(entry.prefix(while: { $0 != "\n" }))
        }
        return nil
    }

    /// What went wrong, what was said, and the last of the screen.
    private var progress: String {
        let titles = messages.map { ($0.direction == .sent ? "> " : "< ") + $0.firstLine }
        return ([errors] + titles + [String(process.output.suffix(1_000))]).joined(separator: "\n")
    }

    /// Waits for the end of the scenario.
    ///
    /// - Throws: with SIPp's own words when a call went otherwise than the scenario says.
    package func succeeds(within limit: Duration? = nil) async throws {
        let exit = try await eventually(
            "SIPp \(plan.scenario) ends:\n\(progress)", within: limit ?? plan.limit + .seconds(5)
        ) { () -> ChildProcess.Exit? in
            let exit = process.exit
            try expectNoSurprise()
            return exit
        }
        guard exit == .exited(code: 0) else {
            throw SocketError(description: "SIPp \(plan.scenario) failed (\(exit)):\n\(progress)")
        }
    }

    /// Ends the pause of a scenario that hangs up when told: by an INFO that SIPp takes for one of its dialog's, of each of its
    /// calls. The scenario must have come that far.
    package func hangUp() throws { try proceed(1_000) }

    /// Ends one of the places of a scenario that wait for an INFO, in early dialogs too. Each step has a number of its own.
    package func proceed(_ step: Int) throws {
        let direction: TracedMessage.Direction = plan.remote == nil ? .received : .sent
        var callIDs: Set<String> = []
        let invites = messages.filter { message in
            message.direction == direction && message.method == "INVITE" && callIDs.insert(message.header("Call-ID") ?? "").inserted
        }
        guard !invites.isEmpty else { throw SocketError(description: "\(plan.scenario) is in no dialog") }
        for invite in invites {
            // Its Call-ID is all that SIPp looks at; the other headers are what a scenario finds in the last message then.
            let headers = invite.headers.filter { !$0.hasPrefix("Content-") && !$0.hasPrefix("Session-Expires") }
            let lines = ["INFO sip:test@\(plan.address) SIP/2.0"] + headers + ["X-Step: \(step)", "Content-Length: 0", "", ""]
            try tell(lines.joined(separator: "\r\n"))
        }
    }

    private func tell(_ request: String) throws {
        guard plan.launcher.isEmpty else {
            let file = directory.file("tell-\(UInt32.random(in: 0...UInt32.max))")
            try Data(request.utf8).write(to: URL(fileURLWithPath: file))
            // One write of cat's is one datagram of bash's.
            let script = ["bash", "-c", "cat '\(file)' > /dev/udp/\(plan.address.ip)/\(plan.address.port)"]
            let command = plan.launcher + script
            let courier = try ChildProcess(command[0], Array(command.dropFirst()), outputPath: directory.file("courier.log"))
            return couriers.withLock { $0.append(courier) }
        }
        guard try UDPSocket(SocketAddress(ip: plan.address.ip, port: 0)).send(Array(request.utf8), to: plan.address) else {
            throw SocketError("\(plan.scenario) cannot be told to go on")
        }
    }

    package static func scenarioFile(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("IntegrationTests/Scenarios/\(name).xml").path
    }

    /// Whether some process has a UDP socket there, or listens for TCP, as the kernel lists them: address and port in
    /// hexadecimal, the address in words of the machine's own octet order.
    ///
    /// - Parameter process: one in whose network namespace to look.
    package static func isBound(_ address: SocketAddress, isStream: Bool = false, in process: String = "self") -> Bool {
        func hexadecimal(_ value: UInt32, width: Int) -> String {
            let digits = String(value, radix: 16, uppercase: true)
            return String(repeating: "0", count: width - digits.count) + digits
        }
        let (high, low) = (address.ip.high, address.ip.low)
        let words = address.ip.family == .ipv4 ? [low] : [high >> 32, high, low >> 32, low]
        let host = words.map { hexadecimal(UInt32(truncatingIfNeeded: $0).bigEndian, width: 8) }.joined()
        let wanted = " \(host):\(hexadecimal(UInt32(address.port), width: 4)) "
        let table = "/proc/\(process)/net/\(isStream ? "tcp" : "udp")\(address.ip.family == .ipv4 ? "" : "6")"
        return textOfFile(table).split(separator: "\n").contains { line in
            line.contains(wanted) && (!isStream || line.contains(" 0A "))  // LISTEN
        }
    }
}

/// One second of a 400 Hz tone in G.711 mu-law.
enum Tone {
    static func write(to path: String) throws {
        let octets = (0..<8_000).map { index in muLaw(Int(8_000 * sin(Double(index) * 2 * .pi * 400 / 8_000))) }
        try Data(octets).write(to: URL(fileURLWithPath: path))
    }

    /// The keys 1, 5, 9 and D (ITU-T Q.23), 80 ms each with as much silence after it, in four seconds.
    static func writeDigits(to path: String) throws {
        var octets: [UInt8] = []
        for (low, high) in [(697.0, 1_209.0), (770, 1_336), (852, 1_477), (941, 1_633)] {
            octets += (0..<640).map { tick in
                let time = Double(tick) / 8_000 * 2 * .pi
                return muLaw(Int(5_000 * sin(low * time) + 5_000 * sin(high * time)))
            }
            octets += [UInt8](repeating: 0xff, count: 640)
        }
        octets += [UInt8](repeating: 0xff, count: 32_000 - octets.count)
        try Data(octets).write(to: URL(fileURLWithPath: path))
    }

    /// G.711 from 16-bit linear: sign, three bits of exponent, four of mantissa, all inverted.
    private static func muLaw(_ sample: Int) -> UInt8 {
        let magnitude = min(abs(sample), 32_635) + 132
        let exponent = max(0, Int.bitWidth - magnitude.leadingZeroBitCount - 8)
        let mantissa = magnitude >> (exponent + 3) & 0x0f
        return ~UInt8((sample < 0 ? 0x80 : 0) | exponent << 4 | mantissa)
    }
}
