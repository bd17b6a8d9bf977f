import SIP

/// Datagrams that the kernel has not taken yet, or may have refused: it says nothing of the others.
///
/// A refusal is there as soon as the kernel was told of the datagram, so two lists take turns: one is added to while what
/// was refused of the other is looked at. Their memory stays in the processor's cache, and no message is kept for longer
/// than that.
struct SentDatagrams {
    struct Entry {
        let transaction: TransactionID?
        /// It may have to be sent again.
        let octets: [UInt8]
        let destination: Flow
    }

    private var present: [Entry] = []
    private var former: [Entry] = []
    private var isOdd = false

    /// Of one turn; nobody asks what became of further ones.
    private static let limit = 4_096
    private static let beyond = UInt32.max

    /// - Returns: the index that the token of its send is to carry.
    mutating func add(_ entry: Entry) -> UInt32 {
        guard present.count < Self.limit else { return Self.beyond }
        present.append(entry)
        return UInt32(2 * (present.count - 1)) | (isOdd ? 1 : 0)
    }

    /// The one whose send carried this index; nil when it was one too many.
    subscript(index: UInt32) -> Entry? {
        let entries = (index & 1 != 0) == isOdd ? present : former
        let place = Int(index >> 1)
        return place < entries.count ? entries[place] : nil
    }

    /// All refusals of what was added before the last call are known.
    mutating func forgetFormer() {
        swap(&present, &former)
        present.removeAll(keepingCapacity: true)
        isOdd.toggle()
    }
}
