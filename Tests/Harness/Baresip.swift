package import Core
import Foundation

/// One baresip, a phone: it registers when it starts, answers calls by itself and sends a tone.
package final class Baresip: Sendable {
    package let process: ChildProcess
    private let directory: TemporaryDirectory

    /// - Parameters:
    ///   - transport: how it reaches `server`; it believes any certificate.
    ///   - launcher: what is put before its command line, as `ip netns exec NAME`.
    ///   - hasVideo: it offers and takes video too, VP8 of a test picture.
    package init(
        user: String, password: String, at address: SocketAddress, server: SocketAddress, transport: Transport = .udp, launcher: [String], hasVideo: Bool = false
    ) throws {
        directory = try TemporaryDirectory("b")
        let modules = (["stdio", "g711", "aufile", "account", "menu"] + (hasVideo ? ["vp8", "fakevideo"] : [])).map { "module \($0).so" }
        let libraries = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib")) ?? []
        let places = ["/usr/lib"] + libraries.map { "/usr/lib/\($0)" }
        let modulePath = places.map { $0 + "/baresip/modules" }.first { FileManager.default.fileExists(atPath: $0) } ?? ""
        let lines = [
            "sip_listen \(address)", "audio_source aufile,\(directory.file("tone.wav"))",
            "audio_player aufile,\(directory.file("heard.wav"))", "audio_alert aufile,/dev/null", "module_path \(modulePath)",
            hasVideo ? "video_source fakevideo,nil\nvideo_display fakevideo,nil\nvideo_size 176x144\nvideo_fps 10" : "",
        ]
        try Data((lines + modules).map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: directory.file("config")))
        let account = "<sip:\(user)@\(server)\(transport == .udp ? "" : ";transport=\(transport.rawValue)")>;auth_user=\(user);auth_pass=\(password);answermode=auto;regint=3600\n"
        try Data(account.utf8).write(to: URL(fileURLWithPath: directory.file("accounts")))
        try Data().write(to: URL(fileURLWithPath: directory.file("contacts")))
        try Self.tone.write(to: URL(fileURLWithPath: directory.file("tone.wav")))
        // It reads commands from a pipe that this test writes to whenever it likes.
        let script = "mkfifo \(directory.file("commands")); exec \"$@\" <> \(directory.file("commands"))"
        process = try ChildProcess(
            "sh", ["-c", script, "sh"] + launcher + ["baresip", "-f", directory.path, "-v"], outputPath: directory.file("log"))
    }

    package var log: String { process.output }

    package func isRegistered() async throws {
        try await eventually("baresip is registered: \(log)") { log.contains("200 OK") }
    }

    package func dial(_ uri: String) throws {
        let pipe = try FileHandle(forWritingTo: URL(fileURLWithPath: directory.file("commands")))
        defer { try? pipe.close() }
        try pipe.write(contentsOf: Data("/dial \(uri)\n".utf8))
    }

    package func kill() { process.kill() }

    /// Twenty seconds of 400 Hz, 8000 samples a second, 16 bits.
    private static var tone: Data {
        let samples = (0..<160_000).map { Int16(8_000 * sin(Double($0) * 2 * .pi * 400 / 8_000)) }
        func octets<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
            (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> Value($0 * 8)) }
        }
        var wave = Array("RIFF".utf8) + octets(UInt32(36 + samples.count * 2)) + Array("WAVEfmt ".utf8) + octets(UInt32(16))
        wave += octets(UInt16(1)) + octets(UInt16(1)) + octets(UInt32(8_000)) + octets(UInt32(16_000))
        wave += octets(UInt16(2)) + octets(UInt16(16)) + Array("data".utf8) + octets(UInt32(samples.count * 2))
        for sample in samples { wave += octets(sample) }
        return Data(wave)
    }
}
