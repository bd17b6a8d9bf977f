import Configuration
import Core

let testHost = HostFacts(processorCount: 4, environment: ["HOME": "/home/op"], userID: 1_000)

func parse(_ text: String) throws(ConfigurationError) -> Configuration {
    try Configuration.parse(text: text, file: "r.toml", host: testHost)
}

/// What a text is refused with, one problem a line.
func problems(_ text: String) -> String {
    do {
        _ = try parse(text)
        return "none"
    } catch {
        return error.description
    }
}

/// The reference file with its commented keys uncommented.
let everyKeySet = Configuration.referenceTOML().split(separator: "\n").map { line in
    line.hasPrefix("#") && !line.hasPrefix("# ") ? line.dropFirst() : line
}.joined(separator: "\n")
