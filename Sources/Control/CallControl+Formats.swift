import Configuration
import Core
import SIP

/// Which formats a description has on its way to a leg: what both trunks' filters and their ways with digits make of it.
extension CallControl {
    /// A description as `leg` gets it: with the relay's addresses towards `leg`, and the formats it may have.
    ///
    /// - Parameters:
    ///   - index: the m= line of the main medium.
    ///   - leg: who is to read it.
    ///   - calleeTrunk: of the branch concerned; nil for a phone.
    ///   - offer: what `leg` itself had offered when this answers it; nil when this is an offer.
    mutating func rewritten(
        _ description: SessionDescription, _ index: Int?, to leg: Leg, calleeTrunk: SharedTrunk?,
        answering offer: SessionDescription?, _ call: Call
    ) -> [UInt8] {
        let edits = formatEdits(of: description, index, to: leg, calleeTrunk: calleeTrunk, answering: offer, call)
        var rewrites = rewrites(of: description, index, to: leg, call)
        // A further medium of which nothing is left; without one for the main medium there is no call.
        for (place, edit) in edits where place != index && edit.kept.isEmpty { rewrites[place] = .decline }
        return description.rewritten(rewrites, formats: edits)
    }

    /// What becomes of the formats of each audio medium. Digits are converted in the main one only.
    private mutating func formatEdits(
        of description: SessionDescription, _ index: Int?, to leg: Leg, calleeTrunk: SharedTrunk?,
        answering offer: SessionDescription?, _ call: Call
    ) -> [Int: SessionDescription.FormatEdit] {
        guard let index, description.media.indices.contains(index) else { return [:] }
        let (target, source) = leg == .caller ? (call.callerTrunk, calleeTrunk) : (calleeTrunk, call.callerTrunk)
        guard source?.changesFormats == true || target?.changesFormats == true else { return [:] }
        let filters = Self.filters(of: source, target)
        let events = Self.telephoneEventEdit(
            from: source?.dtmf ?? .passthrough, to: target?.dtmf ?? .passthrough, isAnswer: offer != nil,
            offered: offer.map { $0.media.indices.contains(index) ? $0.media[index].telephoneEvents : [] } ?? [])
        guard !filters.isEmpty || events != .keep else { return [:] }
        var edits: [Int: SessionDescription.FormatEdit] = [:]
        for (place, medium) in description.media.enumerated() {
            edits[place] = medium.formatEdit(
                filters, sortedBy: target?.codecFilter, telephoneEvent: place == index ? events : .keep)
        }
        return edits
    }

    /// Whether filters leave a codec of the caller's offer for this trunk.
    func hasCodec(of call: Call, for trunk: SharedTrunk?) -> Bool {
        guard let offer = call.offer else { return true }
        return offer.media[call.main.place].hasCodec(passing: Self.filters(of: call.callerTrunk, trunk))
    }

    /// Of the trunks that have one.
    static func filters(of first: SharedTrunk?, _ second: SharedTrunk?) -> [SessionDescription.CodecFilter] {
        var filters: [SessionDescription.CodecFilter] = []
        if let first, first.filtersCodecs, let filter = first.value.codecFilter { filters.append(filter) }
        if let second, second.filtersCodecs, let filter = second.value.codecFilter { filters.append(filter) }
        return filters
    }

    /// Why a call or a change is refused with 488 (RFC 3261 §20.43).
    func noCodecWarning(_ call: Call) -> (HeaderName, String) {
        (.warning, "305 \(endpoint(for: call.source).address) \"No codec of the offer is allowed on this route\"")
    }

    /// Telephone-event stands in a description where its reader may send it, or be sent it, whether or not the other side
    /// knows it: relayd converts.
    ///
    /// - Parameter offered: the telephone-events that the reader of an answer had offered.
    static func telephoneEventEdit(
        from source: DTMFMode, to target: DTMFMode, isAnswer: Bool,
        offered: @autoclosure () -> [SessionDescription.Payload]
    ) -> SessionDescription.TelephoneEventEdit {
        if source == .passthrough, target == .passthrough { return .keep }
        if target == .info { return .remove }
        let isWanted = target == .telephoneEvent || source == .info
        if !isAnswer { return isWanted ? .addAny : .keep }
        // An answer has no format that was not offered (RFC 3264 §6.1).
        let offered = offered()
        if offered.isEmpty { return .remove }
        return isWanted ? .add(offered) : .keep
    }
}

extension Trunk {
    /// Nil when all codecs may pass.
    var codecFilter: SessionDescription.CodecFilter? {
        guard !codecs.isEmpty || !codecsStripped.isEmpty else { return nil }
        return SessionDescription.CodecFilter(
            allowed: codecs.map { SessionDescription.CodecName($0) },
            stripped: codecsStripped.map { SessionDescription.CodecName($0) })
    }
}

extension SharedTrunk {
    /// There is a `codecFilter`.
    fileprivate var filtersCodecs: Bool { !value.codecs.isEmpty || !value.codecsStripped.isEmpty }

    /// Descriptions may have other formats on their way to it or from it.
    fileprivate var changesFormats: Bool { filtersCodecs || value.dtmf != .passthrough }
}
