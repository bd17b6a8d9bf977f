extension SessionDescription {
    /// What becomes of the formats of one RTP medium on its way from one leg to the other; see `rewritten`.
    package struct FormatEdit: Equatable, Sendable {
        /// Payload types that stay, in the order in which they are to stand. What belongs to the others (`a=rtpmap`, `a=fmtp`,
        /// `a=rtcp-fb`) goes with them.
        package var kept: [UInt8]
        /// Formats that the writer did not name, behind the others.
        package var added: [Payload] = []

        package init(kept: [UInt8], added: [Payload] = []) {
            self.kept = kept
            self.added = added
        }
    }

    /// A codec as a filter names it: `PCMA`, or with a clock rate `L16/16000`. Names compare without case (RFC 4855 §3).
    package struct CodecName: Hashable, Sendable {
        private let name: String
        private let clockRate: Int?

        /// - Parameter text: what `a=rtpmap` says, channels left out.
        package init(_ text: String) {
            let parts = text.split(separator: "/", maxSplits: 1)
            name = parts.first?.lowercased() ?? ""
            clockRate = parts.count > 1 ? Int(parts[1]) : nil
        }

        func names(_ payload: Payload) -> Bool {
            payload.encodingName?.lowercased() == name && (clockRate == nil || clockRate == payload.clockRate)
        }
    }

    /// Which formats one side has, and in which order it likes them.
    package struct CodecFilter: Equatable, Sendable {
        /// Best first; empty: all, in the order of the other side. Telephone-event and comfort noise are no codecs: they stay
        /// unless they are stripped by name.
        package var allowed: [CodecName]
        package var stripped: [CodecName]

        package init(allowed: [CodecName] = [], stripped: [CodecName] = []) {
            self.allowed = allowed
            self.stripped = stripped
        }

        package var isEmpty: Bool { allowed.isEmpty && stripped.isEmpty }

        /// Of these formats, those that pass, in their order here.
        func passing(_ payloads: [Payload]) -> [Payload] {
            payloads.filter { payload in
                if stripped.contains(where: { $0.names(payload) }) { return false }
                return allowed.isEmpty || payload.isAccompaniment || allowed.contains { $0.names(payload) }
            }
        }

        /// The same formats in the order of `allowed`; what it does not name keeps its place behind.
        func sorted(_ payloads: [Payload]) -> [Payload] {
            guard !allowed.isEmpty else { return payloads }
            let ranked = payloads.enumerated().map { index, payload in
                (rank: allowed.firstIndex { $0.names(payload) } ?? allowed.count, index: index, payload: payload)
            }
            return ranked.sorted { ($0.rank, $0.index) < ($1.rank, $1.index) }.map(\.payload)
        }
    }

    /// What happens to telephone-event (RFC 4733) in a description.
    package enum TelephoneEventEdit: Equatable, Sendable {
        case keep, remove
        /// Where there is none: as these formats say. Their numbers are used as they are.
        case add([Payload])
        /// Where there is none: one of 8000 Hz, with a number that is free.
        case addAny
    }
}

extension SessionDescription.Payload {
    /// A telephone-event of 8000 Hz for the sixteen keys (RFC 4733 §2.4.1).
    package static func telephoneEvent(_ number: UInt8) -> Self {
        Self(number: number, encodingName: "telephone-event", clockRate: 8000, channelCount: 1, fmtp: "0-15")
    }

    /// It goes with a codec and is none itself.
    var isAccompaniment: Bool {
        isTelephoneEvent || isComfortNoise || encodingName?.lowercased() == "red"
    }

    /// The value of `a=rtpmap`.
    var mapText: String {
        "\(number) \(encodingName ?? "")/\(clockRate ?? 8000)\(channelCount > 1 ? "/\(channelCount)" : "")"
    }
}

extension SessionDescription.Media {
    /// What two sides' filters and the handling of digits make of this medium's formats; nil when nothing changes.
    ///
    /// - Parameters:
    ///   - filters: of every side that has one; a format has to pass all of them.
    ///   - order: the filter by which they are sorted: that of the side that is to read this.
    package func formatEdit(
        _ filters: [SessionDescription.CodecFilter], sortedBy order: SessionDescription.CodecFilter? = nil,
        telephoneEvent: SessionDescription.TelephoneEventEdit = .keep
    ) -> SessionDescription.FormatEdit? {
        guard isRTP, kind.lowercased() == "audio", !payloads.isEmpty else { return nil }
        var kept = filters.reduce(payloads) { $1.passing($0) }
        if let order { kept = order.sorted(kept) }
        if telephoneEvent == .remove { kept.removeAll(where: \.isTelephoneEvent) }
        var added: [SessionDescription.Payload] = []
        let taken = Set(payloads.map(\.number))
        if !kept.contains(where: \.isTelephoneEvent) {
            switch telephoneEvent {
            case .keep, .remove: break
            case .add(let events): added = events.filter { event in !kept.contains { $0.number == event.number } }
            case .addAny:
                let free = ([101] + Array(96...127)).first { !taken.contains($0) }
                if let free { added = [.telephoneEvent(free)] }
            }
        }
        guard kept.map(\.number) != payloads.map(\.number) || !added.isEmpty else { return nil }
        return SessionDescription.FormatEdit(kept: kept.map(\.number), added: added)
    }

    /// False when filters leave no codec of a medium that is wanted.
    package func hasCodec(passing filters: [SessionDescription.CodecFilter]) -> Bool {
        guard !filters.isEmpty, isRTP, kind.lowercased() == "audio", port != 0 else { return true }
        return filters.reduce(payloads) { $1.passing($0) }.contains { !$0.isAccompaniment }
    }

    /// The telephone-events that this side wants to receive.
    package var telephoneEvents: [SessionDescription.Payload] { payloads.filter(\.isTelephoneEvent) }
}
