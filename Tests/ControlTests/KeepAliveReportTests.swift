import Control
import ControlProtocol
import Core
import Testing

@Suite struct KeepAliveReportTests {
    @Test("without users the report says that it is off")
    func nobody() {
        let world = SimulatedWorld(seed: 1)
        let report = world.control.keepAliveReport(now: world.now)
        #expect(!report.isOn)
        #expect(report.text(TextStyle(width: 100)).contains("off: there are no users"))
    }
}
