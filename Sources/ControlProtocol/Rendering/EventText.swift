import Core

extension Event {
    /// One line for people: `20:15:04.123  call.answered    3f2a9c1d  key=value`. Never cut.
    package func text(_ style: TextStyle) -> String {
        let time = style.painted(Quantity.timeOfDay(at), .faint)
        let name = style.painted(style.safe(self.name.rawValue).padded(to: 15), .strong)
        let call = style.safe(callID ?? "-")
        let details = fields.sorted.map { key, value -> String in
            style.safe(value.isEmpty || value.contains(" ") ? "\(key)=\"\(value)\"" : "\(key)=\(value)")
        }
        guard !details.isEmpty else { return "\(time)  \(name)  \(call)\n" }
        return "\(time)  \(name)  \(call.padded(to: 8))  \(details.joined(separator: " "))\n"
    }
}
