import SIP

/// The short name of a call, as its table has it: it is drawn at random, so it serves as its own hash, as `DialogKey`
/// does.
struct ShortID: Hashable {
    private let key: DialogKey

    /// Of a call of ours.
    init(_ id: String) { key = DialogKey(localTag: id) }

    /// Of somebody who asks; nil when no call can have that name.
    init?(asked id: String) {
        guard id.utf8.count <= DialogKey.longestTag else { return nil }
        self.init(id)
    }

    func _rawHashValue(seed: Int) -> Int { key._rawHashValue(seed: seed) }
}
