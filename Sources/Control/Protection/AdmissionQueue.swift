import Core
import SIP

/// New requests between the network and call control: those of trunks first, then those of registered phones, then those of
/// sources that may still prove to be phones. Within a rank each source has its turn.
///
/// Under load each rank keeps a share, so that a trunk that floods does not silence the phones.
struct AdmissionQueue {
    enum Rank: Int, CaseIterable { case trunk, phone, other }

    struct Entry {
        let request: SIPMessage
        let key: TransactionKey
        let source: Flow
    }

    /// Whose turn it is, in turn; when nothing of that rank waits, the first rank with something has it.
    private static let shares: [Rank] = [.trunk, .trunk, .phone, .trunk, .trunk, .phone, .trunk, .other]
    /// Requests waiting in each rank. What waits longer than these take has been sent again by then anyway.
    private static let limit = 4_096
    private static let octetLimit = 16 << 20

    private var queues = Rank.allCases.map { _ in FairQueue<Entry>(limit: Self.limit, octetLimit: Self.octetLimit) }
    private var turn = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// - Returns: false when there is no room for it.
    mutating func add(_ entry: Entry, rank: Rank) -> Bool {
        let hasRoom = queues[rank.rawValue].add(
            entry, octets: entry.request.octets.count, from: StrangerTable.source(of: entry.source.ip))
        if hasRoom { count += 1 }
        return hasRoom
    }

    mutating func takeAll(of source: Flow) -> [Entry] {
        let taken = queues.indices.flatMap { queues[$0].takeAll(of: StrangerTable.source(of: source.ip)) }
        count -= taken.count
        return taken
    }

    mutating func takeNext() -> Entry? {
        let preferred = Self.shares[turn].rawValue
        turn = (turn + 1) % Self.shares.count
        guard count > 0 else { return nil }
        count -= 1
        if let entry = queues[preferred].takeNext() { return entry }
        for index in queues.indices where index != preferred {
            if let entry = queues[index].takeNext() { return entry }
        }
        return nil
    }
}
