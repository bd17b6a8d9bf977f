import Configuration
package import Core
import NG
import Relay
import SIP

/// One call that a SIP proxy drives: its sides by tag, and a relay session for each of its media.
///
/// The side whose offer made the call is the caller's leg of every session, whoever offers later. An object, so that a command
/// that changes this and that of it looks it up once; it belongs to the control thread, and after its end to what is kept of
/// it, unchanged.
///
/// A proxy may keep thousands of calls here: what few of them have is in `uncommon`, and what belongs to one line lies together.
final class NGCall {
    /// One `m=` line: its session, and what each side said last of it. All are nil of one that was declined.
    struct Line: Sendable {
        var medium: Medium?
        private var byCaller: Announced?
        private var byCallee: Announced?

        /// Read and changed in place.
        subscript(leg: Leg) -> Announced? {
            @inline(__always) _read { if leg == .caller { yield byCaller } else { yield byCallee } }
            @inline(__always) _modify { if leg == .caller { yield &byCaller } else { yield &byCallee } }
        }
    }

    /// What media that are alike have in common; one for all of them.
    struct Traits: Sendable {
        let kind: String
        let transport: String
        let callerInterface: Boxed<MediaInterface>
        let calleeInterface: Boxed<MediaInterface>
    }

    /// What an `m=` line is of, and its session.
    struct Medium: Sendable {
        let traits: Boxed<Traits>
        var taken: MediaSessions.Taken
        /// Set once the worker has its sockets.
        var isOpen = false
        var openAttempts: UInt8 = 1

        var kind: String { traits.value.kind }
        var transport: String { traits.value.transport }

        func interface(of leg: Leg) -> MediaInterface {
            leg == .caller ? traits.value.callerInterface.value : traits.value.calleeInterface.value
        }

        func port(of leg: Leg) -> UInt16 { leg == .caller ? taken.callerPort : taken.calleePort }

        /// What a peer on `leg` is told.
        func advertised(to leg: Leg) -> SocketAddress {
            let interface = leg == .caller ? traits.value.callerInterface : traits.value.calleeInterface
            return SocketAddress(ip: interface.value.advertised, port: port(of: leg))
        }
    }

    /// What came from each side of a medium that has ended, for the call's totals.
    struct Ended: Sendable {
        let fromCaller: LegStatistics
        let fromCallee: LegStatistics

        subscript(leg: Leg) -> LegStatistics { leg == .caller ? fromCaller : fromCallee }
    }

    /// What one side said last of one medium.
    struct Announced: Sendable {
        /// Payload types of telephone-event (RFC 4733) that this side wants to receive it with.
        let telephoneEvents: PayloadTypes
        /// RTCP shares the RTP port once both this side and relayd said `a=rtcp-mux`; until the answer as it was before.
        var source: ExpectedSource
        let hasRTCPMux: Bool
        /// Its description lets it send, and receive.
        let sends: Bool
        let receives: Bool
        /// It offers comfort noise, or a codec that suppresses silence by itself and may.
        let suppressesSilence: Bool
    }

    struct Side: Sendable {
        /// The latest tag; a fork's branches are all on one side.
        var tag: String?
        var since: Instant?
        /// Its latest description as it came.
        var described: [UInt8] = []
        /// How many `m=` lines that has.
        var describedLines: UInt8 = 0
        var restrictions: Restrictions = []
    }

    /// What few calls have.
    final class Uncommon {
        struct Side {
            /// Of other branches of a fork, and of a party that has not said a word yet.
            var furtherTags: [String] = []
            var label: String?
            /// Of its descriptions, once there was more than one.
            var history: Boxed<NGOriginHistory>?
        }

        private var caller = Side()
        private var callee = Side()
        /// Those media that both sides have ended, as far as there is room.
        var ended: [Ended] = []
        static let endedLimit = 64
        var recording: Recording?
        /// Recordings so far.
        var recordingCount = 0
        /// Where the proxy wants to be called instead of at its own address.
        var callback: String?

        /// Read and changed in place.
        subscript(leg: Leg) -> Side {
            @inline(__always) _read { if leg == .caller { yield caller } else { yield callee } }
            @inline(__always) _modify { if leg == .caller { yield &caller } else { yield &callee } }
        }
    }

    /// A file that the call's media are written to.
    struct Recording: Sendable {
        let key: String
        let fileName: String
        let comments: [String]
    }

    /// What a proxy had done to the media that a side sends.
    struct Restrictions: OptionSet, Sendable {
        let rawValue: UInt8

        static let blocked = Restrictions(rawValue: 1)
        static let silenced = Restrictions(rawValue: 2)
        static let withoutDTMF = Restrictions(rawValue: 4)
    }

    /// An offer or answer whose reply waits for sockets.
    struct Pending: Sendable {
        let exchange: NGExchange
        let request: NGRequest
        let description: SessionDescription
        let leg: Leg
        let warnings: [String]
    }

    let id: String
    /// For `relayctl`.
    let shortID: String
    let createdAt: Instant
    /// Which silence closes it: as configured when it began, and the same for all that began then.
    let noMedia: Boxed<NoMediaRule>
    var lastSignal: Instant
    var answeredAt: Instant?
    var caller = Side()
    var callee = Side()
    /// By place of the `m=` line.
    var lines: [Line] = []
    var pending: [Pending] = []
    /// The branches of the first offer that a proxy told apart (`via-branch`), until each is deleted; each once.
    var viaBranches: [String] = []
    /// The proxy's own address, for the callback; nil when it is not known.
    let proxy: IPAddress?
    /// `rtcp-mux` options of the last offer, for its answer.
    var offeredMultiplexing: NGMultiplexing = []
    /// When a deleted call is closed; signalling in between takes it back.
    var deleteAt: Instant?
    /// When it was deleted; nil again once signalling takes it back.
    var deletedAt: Instant?
    var scheduled: Instant?
    private(set) var uncommon: Uncommon?

    init(id: String, shortID: String, proxy: IPAddress?, noMedia: Boxed<NoMediaRule>, now: Instant) {
        self.id = id
        self.shortID = shortID
        self.proxy = proxy
        createdAt = now
        self.noMedia = noMedia
        lastSignal = now
    }

    /// Read and changed in place.
    subscript(leg: Leg) -> Side {
        @inline(__always) _read { if leg == .caller { yield caller } else { yield callee } }
        @inline(__always) _modify { if leg == .caller { yield &caller } else { yield &callee } }
    }

    /// To change something in `uncommon`, which the call has from then on.
    func makeUncommon() -> Uncommon {
        if let uncommon { return uncommon }
        let new = Uncommon()
        uncommon = new
        return new
    }

    var firstMedium: Medium? {
        for index in lines.indices { if let medium = lines[index].medium { return medium } }
        return nil
    }

    /// No session waits for its sockets.
    var isOpen: Bool {
        for index in lines.indices where lines[index].medium?.isOpen == false { return false }
        return true
    }

    /// Where the first medium of `leg` that was not declined comes from.
    func source(of leg: Leg) -> ExpectedSource? {
        for index in lines.indices { if let announced = lines[index][leg] { return announced.source } }
        return nil
    }

    /// Some medium lets the party on `leg` send: by its own description and, as phones that hold by 0.0.0.0 get answers
    /// that say nothing of hold, by that of the other side.
    func sends(_ leg: Leg) -> Bool {
        let known = self[leg.other].describedLines
        return lines.indices.contains { index in
            guard lines[index][leg]?.sends == true else { return false }
            return index < known ? lines[index][leg.other]?.receives ?? false : true
        }
    }
}

extension NGCall {
    /// Whose tag it is.
    func leg(of tag: String) -> Leg? {
        if caller.tag == tag { return .caller }
        if callee.tag == tag { return .callee }
        guard let uncommon else { return nil }
        return Leg.allCases.first { uncommon[$0].furtherTags.contains(tag) }
    }

    /// All tags of both sides, in no order.
    var tags: [(tag: String, leg: Leg)] {
        var tags: [(tag: String, leg: Leg)] = []
        tags.reserveCapacity(2)
        for leg in Leg.allCases {
            if let tag = self[leg].tag { tags.append((tag, leg)) }
            for tag in uncommon?[leg].furtherTags ?? [] { tags.append((tag, leg)) }
        }
        return tags
    }

    /// The party on `leg` has spoken, with this tag, which is not the other side's.
    func heard(_ tag: String, on leg: Leg) {
        guard self[leg].tag != tag else { return }
        uncommon?[leg].furtherTags.removeAll { $0 == tag }
        if let former = self[leg].tag { makeUncommon()[leg].furtherTags.append(former) }
        self[leg].tag = tag
    }

    /// Forgets a tag of the side.
    ///
    /// - Returns: true when it was the latest one; another one of those that are left takes its place.
    private func remove(_ tag: String, of leg: Leg) -> Bool {
        guard self[leg].tag == tag else {
            uncommon?[leg].furtherTags.removeAll { $0 == tag }
            return false
        }
        self[leg].tag = uncommon?[leg].furtherTags.min()
        if let next = self[leg].tag { uncommon?[leg].furtherTags.removeAll { $0 == next } }
        return true
    }
}

extension NGCall {
    /// What a `delete` ends.
    enum Deletion { case call, branch }

    /// Refused and cancelled branches of a fork are deleted one by one, and must not take the call of the one that
    /// answered with them. Nil when the tags are not this call's.
    func deletion(by request: NGRequest) -> Deletion? {
        guard let fromTag = request.fromTag else { return .call }
        if let toTag = request.toTag, let leg = leg(of: toTag) {
            // BYE ends the call, whatever became of the other branches.
            let isBYE = request.isSIPReply == false
            return !isBYE && tags.contains { $0.leg == leg && $0.tag != toTag } ? .branch : .call
        }
        if let branch = request.viaBranch, viaBranches.contains(branch) { return viaBranches.count > 1 ? .branch : .call }
        guard let leg = leg(of: fromTag) else { return nil }
        // A tag that never answered means a call that nobody answered, or a branch that another one outran.
        return request.toTag == nil || self[leg.other].tag == nil ? .call : nil
    }

    /// Forgets one branch of a fork.
    ///
    /// - Returns: true when it was the one that answered last, so that nothing is left for the media to go to.
    func removeBranch(_ request: NGRequest) -> Bool {
        if let branch = request.viaBranch { viaBranches.removeAll { $0 == branch } }
        guard let toTag = request.toTag, let leg = leg(of: toTag) else { return false }
        return remove(toTag, of: leg)
    }
}

/// Who asked: an address on the NG socket, or a connection.
package enum NGClient: Hashable, Sendable {
    case datagram(SocketAddress)
    case stream(UInt32, from: IPAddress? = nil)

    /// The proxy's address; nil when it is not known.
    var ip: IPAddress? {
        switch self {
        case .datagram(let address): address.ip
        case .stream(_, let ip): ip
        }
    }
}

/// One request on its way to its answer.
struct NGExchange: Sendable {
    let client: NGClient
    /// The cookie in it begins the answer.
    let key: NGReplyCache.Key
    let format: NGFormat
}
