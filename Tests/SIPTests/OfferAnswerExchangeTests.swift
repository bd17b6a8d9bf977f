import Core
import SIP
import Testing

/// A re-INVITE or UPDATE on its way through, event by event.
@Suite struct OfferAnswerExchangeTests {
    typealias Exchange = OfferAnswerExchange
    typealias Effect = OfferAnswerExchange.Effect

    private static func feed(_ exchange: inout Exchange, _ event: Exchange.Event) -> [Effect] {
        var effects: [Effect] = []
        exchange.handle(event, effects: &effects)
        return effects
    }

    private static func reinvite(hasOffer: Bool = true) -> Exchange {
        Exchange(initiator: .caller, carrier: .invite, passedAs: .invite, hasOffer: hasOffer)
    }

    @Test("an offer in the re-INVITE, its answer in the 200: ACK to the responder at once")
    func offerInRequest() {
        var exchange = Self.reinvite()
        #expect(Self.feed(&exchange, .succeeded(isUsable: true)) == [.acknowledge(withAnswer: false), .agreed, .answer])
        #expect(Self.feed(&exchange, .acknowledged(isUsable: false)) == [])
        #expect(exchange.stage == .finished)
    }

    @Test("an offer in the 200, its answer in the ACK: the responder's ACK waits for the initiator's")
    func offerInAnswer() {
        var exchange = Self.reinvite(hasOffer: false)
        #expect(exchange.offerer == .callee)
        #expect(Self.feed(&exchange, .succeeded(isUsable: true)) == [.answer])
        #expect(Self.feed(&exchange, .acknowledged(isUsable: true)) == [.acknowledge(withAnswer: true), .agreed])
    }

    @Test("an ACK without the answer it owes: the offer is declined, the call ends")
    func noAnswer() {
        var exchange = Self.reinvite(hasOffer: false)
        _ = Self.feed(&exchange, .succeeded(isUsable: true))
        #expect(
            Self.feed(&exchange, .acknowledged(isUsable: false))
                == [.acknowledge(withAnswer: false), .unchanged, .release(.mediaNotAcceptable, party: .relayd)])
    }

    @Test("a refusal goes back and the session stays", arguments: [(488, false), (491, false), (500, false), (408, true), (481, true)])
    func refused(status: Int, endsCall: Bool) {
        var exchange = Self.reinvite()
        #expect(
            Self.feed(&exchange, .failed(status: status))
                == [.unchanged, .refuse(status: status)] + (endsCall ? [.release(.peerLost, party: .callee)] : []))
    }

    @Test("nothing comes back: the initiator gets 408, the call ends")
    func unreachable() {
        var exchange = Self.reinvite()
        #expect(
            Self.feed(&exchange, .unreachable) == [.unchanged, .refuse(status: 408), .release(.peerLost, party: .callee)])
    }

    @Test("CANCEL is passed on, and the responder's last word passed back")
    func cancelled() {
        var exchange = Self.reinvite()
        #expect(Self.feed(&exchange, .cancelled) == [.cancelRequest])
        #expect(Self.feed(&exchange, .failed(status: 487)) == [.unchanged, .refuse(status: 487)])
        var crossed = Self.reinvite()
        _ = Self.feed(&crossed, .cancelled)
        #expect(Self.feed(&crossed, .succeeded(isUsable: true)) == [.acknowledge(withAnswer: false), .agreed, .answer])
    }

    @Test("an UPDATE needs no ACK, but the re-INVITE it may become does")
    func update() {
        var plain = Exchange(initiator: .callee, carrier: .update, passedAs: .update, hasOffer: true)
        #expect(Self.feed(&plain, .succeeded(isUsable: true)) == [.agreed, .answer])
        #expect(plain.stage == .finished)
        var converted = Exchange(initiator: .callee, carrier: .update, passedAs: .invite, hasOffer: true)
        #expect(Self.feed(&converted, .succeeded(isUsable: true)) == [.acknowledge(withAnswer: false), .agreed, .answer])
        #expect(converted.stage == .finished)
    }

    @Test("a missing ACK ends the call; an offer that waits for its answer is declined")
    func ackMissing() {
        var early = Self.reinvite()
        _ = Self.feed(&early, .succeeded(isUsable: true))
        #expect(Self.feed(&early, .acknowledgementMissing) == [.release(.ackMissing, party: .relayd)])
        var late = Self.reinvite(hasOffer: false)
        _ = Self.feed(&late, .succeeded(isUsable: true))
        #expect(
            Self.feed(&late, .acknowledgementMissing)
                == [.acknowledge(withAnswer: false), .unchanged, .release(.ackMissing, party: .relayd)])
    }

    @Test("491 is tried again after 2.1 to 4 s by the owner of the Call-ID, after 0 to 2 s by the other")
    func retryDelay() {
        var random = SeededRandom(seed: 14)
        let own = (0..<1_000).map { _ in Exchange.retryDelay(ownsCallID: true, random: &random) }
        let others = (0..<1_000).map { _ in Exchange.retryDelay(ownsCallID: false, random: &random) }
        #expect(own.min()! >= .milliseconds(2_100) && own.max()! <= .seconds(4))
        #expect(others.min()! < .milliseconds(50) && others.max()! <= .seconds(2))
        #expect((own + others).allSatisfy { $0.components.attoseconds % 10_000_000_000_000_000 == 0 })
    }

    @Test("whatever happens in whatever order: one final response, one ACK for a 2xx, agreed or unchanged but once")
    func anyOrder() {
        for seed in 1...3_000 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            let carrier: Exchange.Carrier = Bool.random(using: &random) ? .invite : .update
            let passedAs: Exchange.Carrier = carrier == .invite || Bool.random(using: &random) ? .invite : .update
            var exchange = Exchange(
                initiator: Bool.random(using: &random) ? .caller : .callee, carrier: carrier, passedAs: passedAs,
                hasOffer: carrier == .update || Bool.random(using: &random))
            var all: [Effect] = []
            var isAccepted = false
            for _ in 0..<6 {
                let event: Exchange.Event = [
                    .succeeded(isUsable: true), .succeeded(isUsable: false), .failed(status: 488), .failed(status: 481),
                    .unreachable, .cancelled, .acknowledged(isUsable: Bool.random(using: &random)), .acknowledgementMissing,
                ].randomElement(using: &random)!
                if exchange.stage == .requested, case .succeeded = event { isAccepted = true }
                all += Self.feed(&exchange, event)
            }
            all += Self.feed(&exchange, .callEnded)
            let finals = all.filter { if case .refuse = $0 { true } else { $0 == .answer } }
            #expect(finals.count == 1, "seed \(seed)")
            let acknowledgements = all.filter { if case .acknowledge = $0 { true } else { false } }
            #expect(acknowledgements.count == (isAccepted && passedAs == .invite ? 1 : 0), "seed \(seed)")
            #expect(all.filter { $0 == .agreed || $0 == .unchanged }.count <= 1, "seed \(seed)")
            #expect(exchange.stage == .finished)
        }
    }
}
