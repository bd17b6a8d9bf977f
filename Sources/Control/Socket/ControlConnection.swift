package import ControlProtocol
package import Core

/// One client of the control socket, without its socket: octets in, requests out; replies and events in, octets out.
///
/// The owner of the socket calls `receive` with what it read, carries out the requests and answers each once with
/// `reply`, sends `nextOutput` and reports with `didSend`. After every call it looks at `disposition`.
package struct ControlConnection {
    package struct Limits: Sendable {
        /// Unsent octets beyond which events are dropped.
        package var eventOctets = 262_144
        /// Unsent octets beyond which a further reply closes the connection. A single reply may be of any size.
        package var replyOctets = 4_194_304
        /// A client that has taken nothing for so long, although something was there, is closed.
        package var stall = Duration.seconds(30)

        package init() {}
    }

    package enum Disposition: Equatable, Sendable {
        case open
        /// Close the socket now; what is unsent is lost.
        case close
    }

    private let limits: Limits
    private var framer = LineFramer()
    private var output = OutgoingLines()
    /// Requests handed out and not answered yet.
    private var unanswered = 0
    package private(set) var hasInputEnded = false
    private var overflowed = false
    /// Events dropped since the client was last told, and when the last of them happened.
    private var untold: (count: UInt64, at: WallTime)?
    private var lastProgress = Instant(nanoseconds: 0)
    package private(set) var isSubscribed = false

    package init(limits: Limits = Limits()) { self.limits = limits }

    /// Takes octets from the socket. Errors and subscriptions are answered here; they have only to be sent.
    ///
    /// - Returns: what is to be carried out, in order.
    package mutating func receive(
        _ octets: some Collection<UInt8>, now: Instant, counters: CounterBlock
    ) -> [ControlRequest] {
        var requests: [ControlRequest] = []
        for line in framer.append(octets) {
            counters.add(to: .controlRequests)
            switch line {
            case .tooLong:
                let sentence = "A request must fit in one line of \(LineFramer.requestLimit) octets."
                refuse(ControlError(.parseError, sentence), to: .null, now: now, counters: counters)
            case .line(let octets):
                if let request = read(octets, now: now, counters: counters) { requests.append(request) }
            }
        }
        return requests
    }

    /// The client has said all it will say. It still gets the answers it waits for, but no further events.
    package mutating func endInput() {
        hasInputEnded = true
        isSubscribed = false
    }

    /// Answers a request that `receive` returned; each is answered exactly once, a notification too.
    package mutating func reply(
        to request: ControlRequest, _ result: Result<ControlReply, ControlError>, now: Instant, counters: CounterBlock
    ) {
        unanswered -= 1
        switch result {
        case .success(let reply):
            if let id = request.id { enqueue(reply.line(to: id), now: now) }
        case .failure(let error):
            refuse(error, to: request.id, now: now, counters: counters)
        }
    }

    /// Passes an event on to a subscriber; nothing happens for others. A client that reads too slowly loses it, and is
    /// told how many it lost once there is room again.
    package mutating func send(_ event: EncodedEvent, now: Instant, counters: CounterBlock) {
        guard isSubscribed else { return }
        if untold == nil, output.isEmpty || output.count + event.line.count <= limits.eventOctets {
            enqueue(event.line, now: now)
        } else {
            counters.add(to: .controlEventsDropped)
            untold = ((untold?.count ?? 0) + 1, event.at)
        }
    }

    /// A notification of which none may be missing: a client that takes them too slowly is closed, as for replies.
    package mutating func notify(_ line: [UInt8], now: Instant) { enqueue(line, now: now) }

    /// What to send next, as a copy that stays as it is; empty when there is nothing. Until `didSend` it comes again.
    package func nextOutput(atMost limit: Int = 65_536) -> [UInt8] { output.next(atMost: limit) }

    package var hasOutput: Bool { !output.isEmpty }

    /// The kernel took the first `count` octets of `nextOutput`.
    package mutating func didSend(_ count: Int, now: Instant) {
        output.drop(count)
        if count > 0 { lastProgress = now }
        // Half, so that a slow client gets runs of events with few gaps, not an event and a gap in turns.
        if let untold, output.count <= limits.eventOctets / 2 {
            self.untold = nil
            let event = Event(at: untold.at, name: .eventsDropped, fields: ["count": String(untold.count)])
            enqueue(EncodedEvent(event).line, now: now)
        }
    }

    package func disposition(at now: Instant) -> Disposition {
        if overflowed { return .close }
        if hasInputEnded, unanswered == 0, output.isEmpty { return .close }
        if hasOutput, now - lastProgress >= limits.stall { return .close }
        return .open
    }
}

extension ControlConnection {
    private mutating func read(_ line: [UInt8], now: Instant, counters: CounterBlock) -> ControlRequest? {
        let envelope: RequestEnvelope
        do {
            envelope = try RequestEnvelope(line: line)
        } catch {
            refuse(error.error, to: error.id, now: now, counters: counters)
            return nil
        }
        do {
            if let command = try ControlCommand(envelope) {
                unanswered += 1
                return ControlRequest(id: envelope.id, command: command)
            }
            isSubscribed = !hasInputEnded
            if let id = envelope.id { enqueue(ControlReply.done.line(to: id), now: now) }
        } catch {
            refuse(error, to: envelope.id, now: now, counters: counters)
        }
        return nil
    }

    private mutating func refuse(_ error: ControlError, to id: RequestID?, now: Instant, counters: CounterBlock) {
        counters.add(to: .controlErrors)
        if let id { enqueue(ControlLine.error(error, to: id), now: now) }
    }

    /// Called for replies and for events that fit.
    private mutating func enqueue(_ line: [UInt8], now: Instant) {
        guard !overflowed, output.count <= limits.replyOctets else {
            overflowed = true
            return
        }
        if output.isEmpty { lastProgress = now }
        output.append(line)
    }
}

/// An event as every subscriber gets it, rendered once.
package struct EncodedEvent: Sendable {
    package let at: WallTime
    let line: [UInt8]

    package init(_ event: Event) {
        at = event.at
        do {
            line = try ControlLine.notification(ControlMethod.eventNotification, params: event)
        } catch {
            preconditionFailure("an event holds strings and a time, which always encode: \(error)")
        }
    }
}
