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
final class NGCall {
    /// One `m=` line and its session.
    struct Medium: Sendable {
        let kind: String
        let transport: String
        var taken: MediaSessions.Taken
        /// Set once the worker has its sockets.
        var isOpen = false
        var openAttempts: UInt8 = 1
        let callerInterface: Boxed<MediaInterface>
        let calleeInterface: Boxed<MediaInterface>

        func interface(of leg: Leg) -> MediaInterface { leg == .caller ? callerInterface.value : calleeInterface.value }

        func port(of leg: Leg) -> UInt16 { leg == .caller ? taken.callerPort : taken.calleePort }

        /// What a peer on `leg` is told.
        func advertised(to leg: Leg) -> SocketAddress {
            let interface = leg == .caller ? callerInterface : calleeInterface
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
        let source: ExpectedSource
        let hasRTCPMux: Bool
        /// Its description lets it send, and receive.
        let sends: Bool
        let receives: Bool
        /// It offers comfort noise, or a codec that suppresses silence by itself and may.
        let suppressesSilence: Bool
        /// Payload types of telephone-event (RFC 4733) that this side wants to receive it with.
        let telephoneEvents: PayloadTypes
        /// Both this side and relayd said `a=rtcp-mux`; known with the answer, as before until then.
        var isRTCPMuxed = false
    }

    struct Side: Sendable {
        /// The latest tag; a fork's branches are all on one side.
        var tag: String?
        var label: String?
        var since: Instant?
        var history = NGOriginHistory()
        /// Its latest description as it came.
        var described: [UInt8] = []
        /// By place of the `m=` line; nil for one that was declined.
        var announced: [Announced?] = []
        var restrictions: Restrictions = []
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
    var legsByTag = LegsByTag()
    /// The branches of the first offer that a proxy told apart (`via-branch`), until each is deleted; each once.
    var viaBranches: [String] = []
    var media: [Medium?] = []
    /// Those that both sides have ended, as far as there is room.
    var ended: [Ended] = []
    static let endedLimit = 64
    var pending: [Pending] = []
    var recording: Recording?
    /// Recordings so far.
    var recordingCount = 0
    /// `rtcp-mux` options of the last offer, for its answer.
    var offeredMultiplexing: NGMultiplexing = []
    /// The proxy's own address, for the callback.
    var client: NGClient
    var callback: String?
    /// When a deleted call is closed; signalling in between takes it back.
    var deleteAt: Instant?
    /// When it was deleted; nil again once signalling takes it back.
    var deletedAt: Instant?
    var scheduled: Instant?

    init(id: String, shortID: String, client: NGClient, noMedia: Boxed<NoMediaRule>, now: Instant) {
        self.id = id
        self.shortID = shortID
        self.client = client
        createdAt = now
        self.noMedia = noMedia
        lastSignal = now
    }

    /// Read and changed in place.
    subscript(leg: Leg) -> Side {
        _read { if leg == .caller { yield caller } else { yield callee } }
        _modify { if leg == .caller { yield &caller } else { yield &callee } }
    }

    /// No session waits for its sockets.
    var isOpen: Bool { media.allSatisfy { $0?.isOpen ?? true } }

    /// Some medium lets the party on `leg` send: by its own description and, as phones that hold by 0.0.0.0 get answers
    /// that say nothing of hold, by that of the other side.
    func sends(_ leg: Leg) -> Bool {
        let others = self[leg.other].announced
        return self[leg].announced.enumerated().contains { index, announced in
            guard let announced, announced.sends else { return false }
            return index < others.count ? others[index]?.receives ?? false : true
        }
    }
}

extension NGCall {
    /// What a `delete` ends.
    enum Deletion { case call, branch }

    /// Refused and cancelled branches of a fork are deleted one by one, and must not take the call of the one that
    /// answered with them. Nil when the tags are not this call's.
    func deletion(by request: NGRequest) -> Deletion? {
        guard let fromTag = request.fromTag else { return .call }
        if let toTag = request.toTag, let leg = legsByTag[toTag] {
            // BYE ends the call, whatever became of the other branches.
            let isBYE = request.isSIPReply == false
            return !isBYE && legsByTag.entries.contains { $0.tag != toTag && $0.leg == leg } ? .branch : .call
        }
        if let branch = request.viaBranch, viaBranches.contains(branch) { return viaBranches.count > 1 ? .branch : .call }
        guard let leg = legsByTag[fromTag] else { return nil }
        // A tag that never answered means a call that nobody answered, or a branch that another one outran.
        return request.toTag == nil || self[leg.other].tag == nil ? .call : nil
    }

    /// Forgets one branch of a fork.
    ///
    /// - Returns: true when it was the one that answered last, so that nothing is left for the media to go to.
    func removeBranch(_ request: NGRequest) -> Bool {
        if let branch = request.viaBranch { viaBranches.removeAll { $0 == branch } }
        guard let toTag = request.toTag, let leg = legsByTag[toTag] else { return false }
        legsByTag[toTag] = nil
        guard self[leg].tag == toTag else { return false }
        self[leg].tag = legsByTag.tags(of: leg).min()
        return true
    }
}

extension NGCall {
    /// Which side a tag is of: few, mostly two.
    struct LegsByTag: Sendable {
        private(set) var entries: [(tag: String, leg: Leg)] = []

        subscript(tag: String) -> Leg? {
            get { entries.first { $0.tag == tag }?.leg }
            set {
                let index = entries.firstIndex { $0.tag == tag }
                switch (index, newValue) {
                case (let index?, let leg?): entries[index].leg = leg
                case (let index?, nil): entries.remove(at: index)
                case (nil, let leg?):
                    if entries.isEmpty { entries.reserveCapacity(2) }
                    entries.append((tag, leg))
                case (nil, nil): break
                }
            }
        }

        func tags(of leg: Leg) -> [String] { entries.filter { $0.leg == leg }.map(\.tag) }
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
