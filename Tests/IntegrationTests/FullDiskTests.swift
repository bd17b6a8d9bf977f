import ControlProtocol
import Core
import Foundation
import Harness
import Testing

@Suite("A full disk", .inTurn)
struct FullDiskTests {
    @Test(
        "stops no call and loses no record: they wait in memory, are seen to wait, and are written once there is room",
        .needs(.sipp, .root))
    func fullDisk() async throws {
        let count = 10
        // A small disk that only this daemon sees, and that is gone with it.
        try await Testbed.with({ settings in
            settings.launcher = { directory in
                [
                    "unshare", "--mount", "sh", "-c",
                    "mkdir \"$0\" && mount -t tmpfs -o size=1m relayd-test \"$0\" && exec \"$@\"", directory.file("records"),
                ]
            }
        }) { bed in
            // Into its view of the file system, through /proc.
            let filler = "/proc/\(bed.daemon.process.processID)/root\(bed.daemon.directory.file("records"))/filler"
            let fill = try await run("sh", ["-c", "cat /dev/zero > '\(filler)'"])
            #expect(fill.errors.contains("No space left"), "\(fill.errors)")

            let callee = try await bed.callee("callee-hangs-up") { $0.calls = count; $0.pause = .milliseconds(200) }
            let caller = try await bed.caller("caller-stays") { $0.calls = count }
            try await caller.succeeds()
            try await callee.succeeds()
            try await eventually("all records wait") { try bed.daemon.control.status().records.pending == count }
            // SQLite may not even read without room; what it reads is none of them.
            #expect((try? bed.daemon.records())?.isEmpty ?? true)
            #expect(try await bed.daemon.relayctl(["status"]).output.contains("\(count) pending"))
            try await bed.daemon.logs("call records wait in memory")
            let metrics = try await page("/metrics", of: bed)
            #expect(metrics.text.contains("\nrelayd_records_pending \(count)\n"))

            try FileManager.default.removeItem(atPath: filler)
            let records = try await eventually("the records are written", within: .seconds(40)) {
                // Until the store has found that there is room it refuses.
                let records = (try? bed.daemon.records()) ?? []
                return records.count == count ? records : nil
            }
            #expect(records.count == count && Set(records.map(\.id)).count == count)
            #expect(records.allSatisfy { $0.cause == .normal })
            try await eventually("nothing waits") { try bed.daemon.control.status().records.pending == 0 }
            try await bed.daemon.logs("call records are written again")
        }
    }
}
