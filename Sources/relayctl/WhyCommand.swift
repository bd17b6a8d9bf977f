import ArgumentParser
import ControlProtocol

struct WhyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why", abstract: "What became of a call, and why: verdict, evidence, ladder, media.",
        discussion: """
            A present call, or one that has ended: the last thousand can be explained in full, of older ones the record still \
            has verdict and sentence.
            """)
    @OptionGroup var global: GlobalOptions

    @Argument(help: "As `relayctl calls` or `relayctl records` name it, either Call-ID, or a number (then its newest call).")
    var call: String

    func run() throws {
        var client = try global.connect()
        let explanation = try client.why(call)
        global.print(explanation) { explanation.text($0) }
    }
}
