import ArgumentParser

do {
    var command = try RelayControl.parseAsRoot(globalOptionsLast(Array(CommandLine.arguments.dropFirst())))
    try command.run()
} catch {
    Console.end(error)
}

/// Global options belong to each command; this lets them stand before it too: `relayctl --json calls`.
func globalOptionsLast(_ arguments: [String]) -> [String] {
    var rest = arguments[...]
    var moved: [String] = []
    while let first = rest.first {
        if first == "--json" || first.hasPrefix("--socket=") {
            moved.append(rest.removeFirst())
        } else if first == "--socket", rest.count > 1 {
            moved += rest.prefix(2)
            rest = rest.dropFirst(2)
        } else {
            break
        }
    }
    // Not behind a `--`, which would make arguments of them.
    let end = rest.firstIndex(of: "--") ?? rest.endIndex
    return Array(rest[..<end]) + moved + rest[end...]
}
