/// What has to happen before a changed value counts.
package enum ReloadClass: String, Sendable, CaseIterable {
    case appliedNow = "applied now"
    case newCallsOnly = "new calls only"
    /// A value above the one at start needs a restart: memory and sockets are taken then.
    case appliedUpToStart = "applied now up to its value at start"
    case needsRestart = "needs restart"
}

/// One thing an operator can set: its name, range, default and explanation, and where its value goes in `Root`.
///
/// Parsing, `relayd check`, `relayctl config show` and the reference file are all made from lists of these.
struct ConfigurationKey<Root>: Sendable {
    /// Dotted from the top of the file; a trunk's keys are named inside their table.
    let name: String
    /// The name it has in VOS3000, accepted at the top of the file in place of `name`.
    let vosName: String?
    let expected: String
    let reload: ReloadClass
    let explanation: String
    /// A value for the reference file when the default depends on the machine or on another key, and on which.
    let example: (literal: String, defaultNote: String)?
    /// Takes the value of another root over.
    let copy: @Sendable (_ source: Root, _ target: inout Root) -> Void
    private let read: @Sendable (TOMLNode, inout Root) throws(Refusal) -> Void
    /// For people; empty when the value is absent.
    let text: @Sendable (Root) -> String
    /// As TOML.
    let literal: @Sendable (Root) -> String

    init<Value: Sendable>(
        _ name: String, _ path: any WritableKeyPath<Root, Value> & Sendable, _ format: ValueFormat<Value>,
        _ reload: ReloadClass, vosName: String? = nil, example: (literal: String, defaultNote: String)? = nil,
        shown: (@Sendable (Root) -> String)? = nil, _ explanation: String
    ) {
        self.name = name
        self.vosName = vosName
        self.expected = format.expected
        self.reload = reload
        self.explanation = explanation
        self.example = example
        read = { (node, root) throws(Refusal) in root[keyPath: path] = try format.parse(node) }
        copy = { $1[keyPath: path] = $0[keyPath: path] }
        text = shown ?? { format.text($0[keyPath: path]) }
        literal = { format.literal($0[keyPath: path]) }
    }

    /// Puts a value where it belongs, or says what is wrong with it and what was expected.
    func problem(reading node: TOMLNode, into root: inout Root) -> String? {
        do {
            try read(node, &root)
            return nil
        } catch {
            return "\(error.reason), expected \(expected)"
        }
    }
}
