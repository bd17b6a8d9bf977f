import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("starting", .inTurn, .serialized)
struct StartTests {
    @Test("a bad configuration ends with 78 and names file, line, key and what was expected", arguments: [
        ("[media]\nports = \"20000-10000\"\n", 2, "media.ports", "10000"),
        ("[sip]\n\nlisten = 5060\n", 3, "sip.listen", "expected an address with a port"),
        ("[limits]\ncalls = 0\n", 2, "limits.calls", "1"),
        ("[media]\nno_media_mode = \"sometimes\"\n", 2, "media.no_media_mode", "both"),
    ])
    func badConfiguration(text: String, line: Int, key: String, expectation: String) async throws {
        let directory = try TemporaryDirectory("config")
        defer { directory.remove() }
        let file = try write(text, in: directory)
        for arguments in [["--config", file], ["check", file]] {
            let result = try await run(Daemon.executable, arguments)
            #expect(result.code == 78)
            let sentence = try #require(result.errors.split(separator: "\n").first { $0.contains(key) }, "\(result.errors)")
            #expect(sentence.contains("\(file):\(line)"))
            #expect(sentence.contains(expectation))
        }
    }

    @Test("an unknown key is an error that suggests the one that was meant")
    func unknownKey() async throws {
        let directory = try TemporaryDirectory("config")
        defer { directory.remove() }
        let file = try write("[media]\nno_media_timout = 60\n", in: directory)
        let result = try await run(Daemon.executable, ["--config", file])
        #expect(result.code == 78)
        #expect(result.errors.contains("\(file):2"))
        #expect(result.errors.contains("no_media_timeout"))
    }

    @Test("text that is not TOML is an error with its line")
    func notTOML() async throws {
        let directory = try TemporaryDirectory("config")
        defer { directory.remove() }
        let file = try write("[sip]\nlisten = = 3\n", in: directory)
        let result = try await run(Daemon.executable, ["check", file])
        #expect(result.code == 78)
        #expect(result.errors.contains("\(file):2"))
    }

    @Test("a good configuration passes the check")
    func goodConfiguration() async throws {
        let directory = try TemporaryDirectory("config")
        defer { directory.remove() }
        let file = try write("[media]\nno_media_timeout = 30\n", in: directory)
        let result = try await run(Daemon.executable, ["check", file])
        #expect(result.code == 0, "\(result.errors)")
    }

    @Test("where io_uring is switched off, one sentence names the sysctl or seccomp")
    func withoutRing() async throws {
        let directory = try TemporaryDirectory("nouring")
        defer { directory.remove() }
        let host = Loopback.host()
        let settings = DaemonSettings(listen: .init(ip: host, port: 5060), mediaPorts: 10_000...10_099)
        let text = settings.toml(socket: directory.file("s"), records: directory.file("records"))
        let file = try write(text, in: directory)
        let executable = Daemon.executable
        let output = directory.file("out")
        let process = try await withoutIOUring { try ChildProcess(executable, ["--config", file], outputPath: output) }
        let exit = try await process.exit(within: .seconds(30))
        guard case .exited(let code) = exit else {
            Issue.record("it crashed: \(exit)")
            return
        }
        #expect(code != 0)
        let sentence = try #require(process.output.split(separator: "\n").first { $0.contains("io_uring") })
        #expect(sentence.contains("seccomp") && sentence.contains("kernel.io_uring_disabled"))
    }

    @Test("a relay worker has its processor to itself, as far as relayd is concerned")
    func processors() async throws {
        try await Testbed.with { bed in
            let tasks = "/proc/\(bed.daemon.process.processID)/task"
            let lists = try FileManager.default.contentsOfDirectory(atPath: tasks).map { task in
                let status = textOfFile("\(tasks)/\(task)/status").split(separator: "\n")
                func value(_ name: String) -> String {
                    status.first { $0.hasPrefix(name) }?.dropFirst(name.count).trimmingCharacters(in: .whitespaces) ?? ""
                }
                return (name: value("Name:"), processors: value("Cpus_allowed_list:"))
            }
            let workers = lists.filter { $0.name.hasPrefix("relay-") }
            #expect(!workers.isEmpty, "\(lists)")
            // With one processor there is nothing to share out.
            guard ProcessInfo.processInfo.activeProcessorCount > 1 else { return }
            #expect(workers.allSatisfy { Int($0.processors) != nil }, "\(lists)")
            let own = Set(workers.map(\.processors))
            #expect(lists.filter { own.contains($0.processors) }.count == workers.count, "\(lists)")
            #expect(Set(lists.map(\.processors)).count == own.count + 1, "all others share the rest: \(lists)")
        }
    }

    @Test("memory for the calls to come is there at the start, unless that is switched off")
    func memory() async throws {
        func residentMebibytes(_ setting: String) async throws -> UInt64 {
            var resident: UInt64 = 0
            try await Testbed.with({ settings in
                settings.calls = 2_000
                settings.limits = [setting]
            }) { bed in
                let memory = try #require(try bed.daemon.control.status().memory)
                #expect(memory.allocated > 1 << 20)
                resident = memory.resident >> 20
            }
            return resident
        }
        let ready = try await residentMebibytes("memory_at_start = true")
        let asUsed = try await residentMebibytes("memory_at_start = false")
        // The trace alone is 64 MiB, the heap 23.
        #expect(ready > asUsed + 80, "\(ready) and \(asUsed) MiB")
    }

    @Test("a SIP port that is taken is named in one sentence")
    func portTaken() async throws {
        let directory = try TemporaryDirectory("taken")
        defer { directory.remove() }
        let host = Loopback.host()
        let taken = try UDPSocket(.init(ip: host, port: 5060))
        let settings = DaemonSettings(listen: taken.address, mediaPorts: 10_000...10_099)
        let file = try write(settings.toml(socket: directory.file("s"), records: directory.file("records")), in: directory)
        let result = try await run(Daemon.executable, ["--config", file])
        #expect(result.code > 0 && result.code < 128)
        #expect((result.errors + result.output).contains("\(taken.address)"))
    }

    private func write(_ text: String, in directory: TemporaryDirectory) throws -> String {
        let file = directory.file("relayd.toml")
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }
}
