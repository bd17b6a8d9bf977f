import ArgumentParser
import ControlProtocol
import Foundation
import Glibc

/// The file cannot be written, and why.
private struct CaptureFileError: Error, CustomStringConvertible {
    let description: String
}

/// `relayctl capture CALL -o FILE.pcapng`: the SIP and media of one present call, for Wireshark.
struct CaptureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture", abstract: "Writes SIP and media of one call to a pcapng file, from now on.",
        discussion: """
            The file begins with the SIP messages of both legs that relayd still has, and goes on with what passes: RTP and \
            RTCP as they came from each party and as they went out to the other. It ends with the call, after --seconds, at \
            --mebibytes, or with Ctrl-C; what is written by then is a good file. Nothing of it is written by relayd itself.
            """)
    @OptionGroup var global: GlobalOptions

    @Argument(help: "As `relayctl calls` shows it, or a Call-ID.")
    var id: String

    @Option(name: .shortAndLong, help: ArgumentHelp("Where to write; - is standard output.", valueName: "file"))
    var output: String

    @Option(help: "End after so many, 1 to 86400.")
    var seconds: Int?

    @Option(help: "End when the file has so many, 1 to 4096.")
    var mebibytes = 256

    func validate() throws {
        if let seconds, !(1...86_400).contains(seconds) { throw ValidationError("--seconds must be from 1 to 86400.") }
        guard (1...4_096).contains(mebibytes) else { throw ValidationError("--mebibytes must be from 1 to 4096.") }
    }

    func run() throws {
        var client = try global.connect()
        let start = try client.capture(CaptureQuery(id: id, seconds: seconds, mebibytes: mebibytes))
        // Only now: a call that does not exist leaves no file behind.
        let file = try openOutput()
        defer { if file != STDOUT_FILENO { close(file) } }
        while let chunk = try client.nextCaptureChunk() {
            guard chunk.capture == start.capture else { continue }
            if let data = chunk.data { try write(data, to: file) }
            if let end = chunk.end { return try finish(end) }
        }
        throw ControlClientError.closed
    }

    private func openOutput() throws -> Int32 {
        if output == "-" { return STDOUT_FILENO }
        // SAFETY: open reads the C string only during the call.
        let file = unsafe open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
        guard file >= 0 else { throw CaptureFileError(description: "\(output) cannot be written: \(Self.reason).") }
        return file
    }

    private func write(_ data: Data, to file: Int32) throws {
        var rest = data[...]
        while !rest.isEmpty {
            // SAFETY: the pointer is used inside the closure only, with the count it came with.
            let written = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw CaptureFileError(description: "\(output) cannot be written: \(Self.reason).") }
            rest = rest.dropFirst(written)
        }
    }

    private static var reason: String { unsafe String(cString: strerror(errno)) }

    private func finish(_ end: CaptureEnd) throws {
        let why =
            switch end.reason {
            case .callEnded: "the call has ended"
            case .seconds: "the time is over"
            case .size: "the file is full"
            case .stopping: "relayd stops"
            case .failed: end.failure ?? "it failed"
            }
        let lost = end.lost > 0 ? ", \(end.lost) packets were relayed but not captured" : ""
        let text = "\(end.packets) packets, \(end.octets) octets\(lost): \(why).\n"
        if global.json {
            if output != "-" { Console.write(JSONText.document(end)) }
        } else {
            FileHandle.standardError.write(Data(text.utf8))
        }
        if end.reason == .failed { throw ExitCode(1) }
    }
}
