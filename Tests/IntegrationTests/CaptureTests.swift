import ControlProtocol
import Core
import Foundation
import Harness
import NG
import Testing

/// `relayctl capture` and recordings, read by tshark.
@Suite("Captures and recordings", .inTurn, .serialized, .needs(.sipp, .tshark))
struct CaptureTests {
    private static func expectStreams(
        _ streams: [CaptureFile.Stream], _ call: ConnectedCall, location: SourceLocation = #_sourceLocation
    ) {
        // What each party said, as it came and as it went out.
        for (endpoint, relay, peer, otherRelay) in [
            (call.callerMedia, call.relayTowardsCaller, call.calleeMedia, call.relayTowardsCallee),
            (call.calleeMedia, call.relayTowardsCallee, call.callerMedia, call.relayTowardsCaller),
        ] {
            let own = streams.filter { $0.ssrc == endpoint.stream.ssrc }
            #expect(own.allSatisfy { $0.lost == 0 && $0.packets > 20 }, "\(streams)", sourceLocation: location)
            #expect(own.contains { $0.source == endpoint.address && $0.destination == relay }, sourceLocation: location)
            #expect(own.contains { $0.source == otherRelay && $0.destination == peer.address }, sourceLocation: location)
            #expect(Set(own.map(\.packets)).count == 1, "as many went out as came in", sourceLocation: location)
        }
        #expect(streams.count == 4, sourceLocation: location)
    }

    @Test("a capture of a call that is already up has the SIP of both legs with its SDP, and all RTP without loss")
    func trunkCall() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            let summary = try #require(try bed.daemon.control.calls().first)
            let file = bed.daemon.directory.file("call.pcapng")
            let arguments = ["capture", summary.id, "-o", file, "--socket", bed.daemon.control.socketPath]
            let capture = try ChildProcess(
                Daemon.commandLineTool, arguments, outputPath: bed.daemon.directory.file("capture.log"))
            try await eventually("RTP is in the file") { (try? Data(contentsOf: URL(filePath: file)))?.count ?? 0 > 20_000 }
            try await eventually("the call goes on for a while") { call.callerMedia.heard.numbers.count > 100 }
            call.stopMedia()
            try bed.daemon.control.hangUp(summary.id)
            let exit = try await capture.exit(within: .seconds(30))
            #expect(exit == .exited(code: 0), "\(capture.output)")
            #expect(capture.output.contains("the call has ended"), "\(capture.output)")

            let captured = CaptureFile(file)
            Self.expectStreams(try await captured.rtpStreams(), call)
            let methods = try await captured.fields(["sip.Method", "sip.Status-Code", "sdp.media.port"], where: "sip")
            for (message, port) in [
                (["INVITE", ""], call.callerMedia.address.port), (["INVITE", ""], call.relayTowardsCallee.port),
                (["", "200"], call.calleeMedia.address.port), (["", "200"], call.relayTowardsCaller.port),
            ] {
                #expect(methods.contains { Array($0.prefix(2)) == message && $0[2] == "\(port)" }, "\(methods)")
            }
            #expect(methods.count { $0[0] == "BYE" } >= 2, "the end of both legs is there: \(methods)")
            #expect(try await captured.fields(["frame.number"], where: "udp.checksum.bad or ip.checksum_bad.expert").isEmpty)
            // Nobody listens any more.
            #expect(try bed.daemon.control.counter(.tappedPacketsLost) == 0)
            try await call.caller.succeeds()
            try await call.callee.succeeds()
        }
    }

    @Test("a capture ends after its seconds while the call goes on, and an unknown call is refused without a file")
    func limits() async throws {
        try await Testbed.with { bed in
            let call = try await bed.connect(caller: "caller-stays", callee: "callee-stays")
            try await call.startMedia()
            let summary = try #require(try bed.daemon.control.calls().first)
            let file = bed.daemon.directory.file("short.pcapng")
            let socket = bed.daemon.control.socketPath
            let short = try await run(
                Daemon.commandLineTool, ["capture", summary.id, "-o", file, "--seconds", "3", "--socket", socket])
            #expect(short.code == 0 && short.errors.contains("the time is over"), "\(short.errors)")
            #expect(try await CaptureFile(file).rtpStreams().count == 4)
            #expect(try bed.daemon.control.calls().map(\.state) == [.connected])
            let none = bed.daemon.directory.file("none.pcapng")
            let refused = try await run(Daemon.commandLineTool, ["capture", "nosuch", "-o", none, "--socket", socket])
            #expect(refused.code == 1 && refused.errors.contains("nosuch"), "\(refused.errors)")
            #expect(!FileManager.default.fileExists(atPath: none))
            call.stopMedia()
            try bed.daemon.control.hangUp(summary.id)
            try await call.caller.succeeds()
            try await call.callee.succeeds()
        }
    }

    @Test("a call through Kamailio is captured by its Call-ID, and recorded because the proxy asks for it", .needs(.kamailio))
    func proxiedCall() async throws {
        let directory = try TemporaryDirectory("recordings")
        defer { directory.remove() }
        let recordings = directory.file("calls")
        try await KamailioTestbed.with(flags: "replace-origin record-call=on", { $0.ng = ["recording_directory = \"\(recordings)\""] }) { bed in
            let call = try await bed.connect(
                caller: "proxied-caller-hangs-up", callee: "proxied-callee-stays", hangsUpWhenTold: .caller)
            try await call.startMedia()
            let file = directory.file("ng.pcapng")
            let id = try #require(call.caller.callID)
            let capture = try ChildProcess(
                Daemon.commandLineTool, ["capture", id, "-o", file, "--socket", bed.relayd.control.socketPath],
                outputPath: directory.file("capture.log"))
            try await eventually("RTP is in the file") { (try? Data(contentsOf: URL(filePath: file)))?.count ?? 0 > 5_000 }
            let heard = call.callerMedia.heard.numbers.count
            try await eventually("the call goes on for a while") { call.callerMedia.heard.numbers.count > heard + 50 }
            // Else the last packet could come in and, with the call over, not go out.
            call.stopMedia()
            try call.hangUp()
            try await call.caller.succeeds()
            try await call.callee.succeeds()
            #expect(try await capture.exit(within: .seconds(30)) == .exited(code: 0), "\(capture.output)")
            Self.expectStreams(try await CaptureFile(file).rtpStreams(), call)
            let made = try await CaptureFile(file).fields(["sip.Method", "sdp.media.port"], where: "sip and sdp")
            #expect(made.count == 4, "\(made)")

            let names = try FileManager.default.contentsOfDirectory(atPath: recordings)
            #expect(names.count == 1, "\(names)")
            let recording = CaptureFile(recordings + "/" + (names.first ?? ""))
            try await eventually("the recording is closed") {
                bed.relayd.log.contains("ng.recording_ended")
            }
            let streams = try await recording.rtpStreams(at: [call.callerMedia.address.port, call.calleeMedia.address.port])
            #expect(streams.count == 2 && streams.allSatisfy { $0.lost == 0 }, "\(streams)")
            for endpoint in [call.callerMedia, call.calleeMedia] {
                // From its first packet on: what came before the other one could be sent to is there too.
                let stream = streams.first { $0.ssrc == endpoint.stream.ssrc }
                #expect(stream.map { UInt32($0.packets) <= endpoint.sentCount && $0.packets > 50 } ?? false, "\(streams)")
            }
            #expect(try bed.relayd.control.counter(.recordingsStarted) == 1)
            #expect(try bed.relayd.control.counter(.recordingsFailed) == 0)
        }
    }
}
