import Core
import NG
import Testing

@Suite struct NGReplyTests {
    private func bencoded(_ reply: NGReply) -> String { Sample.text(reply.encoded(cookie: "ck".utf8, format: .bencode)) }

    @Test("answers with the exact words and order that rtpengine uses")
    func words() {
        #expect(bencoded(.pong) == "ck d6:result4:ponge")
        #expect(bencoded(.ok()) == "ck d6:result2:oke")
        #expect(bencoded(.ok(sdp: Array("v=0\r\n".utf8))) == "ck d3:sdp5:v=0\r\n6:result2:oke")
        #expect(bencoded(.list(["a", "b"])) == "ck d5:callsl1:a1:be6:result2:oke")
        #expect(bencoded(.error(.unknownCall)) == "ck d6:result5:error12:error-reason15:Unknown call-ide")
        #expect(bencoded(.outOfPorts) == "ck d6:result5:error12:error-reason16:Ran out of portse")
        #expect(bencoded(.nothingToDelete(isFatal: false))
            == "ck d7:warning38:Call-ID not found or tags didn't match6:result2:oke")
        #expect(bencoded(.nothingToDelete(isFatal: true))
            == "ck d6:result5:error12:error-reason38:Call-ID not found or tags didn't matche")
    }

    @Test("the session limit is a load limit for those who know that, else the error Kamailio acts on")
    func sessionLimit() {
        #expect(bencoded(.sessionLimit(supportsLoadLimit: true))
            == "ck d6:result10:load limit7:message30:Parallel session limit reachede")
        #expect(bencoded(.sessionLimit(supportsLoadLimit: false))
            == "ck d6:result5:error12:error-reason30:Parallel session limit reachede")
    }

    @Test("the same in JSON, with warnings")
    func json() {
        let reply = NGReply.ok(sdp: Array("v=0\r\n".utf8), warnings: ["one", "two"])
        #expect(Sample.text(reply.encoded(cookie: "j".utf8, format: .json))
            == #"j {"sdp":"v=0\r\n","warning":"one; two","result":"ok"}"#)
    }

    private func quality(_ mos: Double, average: Bool) -> NGQuality {
        NGQuality(
            mos: mos, jitter: .milliseconds(12), lossRatio: 0.014, roundTrip: .microseconds(23_456),
            sampleCount: average ? 31 : nil, reportedAt: average ? nil : WallTime(milliseconds: 1_795_468_103_429))
    }

    private func report(mediaCount: Int = 1, tagLength: Int = 20) -> NGCallReport {
        let traffic = NGTraffic(packets: 150_000, octets: 25_800_000, errors: 0)
        var tags: [NGCallReport.Tag] = []
        var sources: [NGCallReport.Source] = []
        for (side, letter) in ["a", "b"].enumerated() {
            var media: [NGCallReport.Medium] = []
            for index in 0..<mediaCount {
                let ssrc = UInt32(4_000_000_000 + side * 100 + index)
                sources.append(.init(
                    ssrc: ssrc, average: quality(4.31, average: true), lowest: quality(3.1, average: false),
                    highest: quality(4.4, average: false)))
                let stream = NGCallReport.Stream(
                    local: SocketAddress("203.0.113.5:42012"), advertised: SocketAddress("192.168.100.200:50000"),
                    endpoint: SocketAddress("198.51.100.100:50000"), ssrc: ssrc,
                    lastPacket: WallTime(milliseconds: 1_795_468_103_429), traffic: traffic)
                media.append(.init(kind: "audio", transport: "RTP/AVP", rtp: stream, rtcp: stream))
            }
            tags.append(.init(
                tag: String(repeating: letter, count: tagLength), label: side == 0 ? "caller" : nil,
                created: WallTime(milliseconds: 1_795_468_100_000), media: media, peers: [side == 0 ? "b" : "a"]))
        }
        return NGCallReport(
            created: WallTime(milliseconds: 1_795_468_100_999), lastSignal: WallTime(milliseconds: 1_795_468_101_000),
            rtp: traffic, rtcp: NGTraffic(packets: 1, octets: 2, errors: 3), sources: sources, tags: tags)
    }

    @Test("what Kamailio's pseudo-variables read is where they look for it")
    func paths() throws {
        let body = NGReply.call(report()).body
        #expect(body["result"] == .text("ok"))
        #expect(body["created"] == .integer(1_795_468_100))
        #expect(body["totals"]?.dictionary?["RTP"]
            == .dictionary(["packets": .integer(150_000), "bytes": .integer(25_800_000), "errors": .integer(0)]))
        #expect(body["totals"]?.dictionary?["RTCP"]
            == .dictionary(["packets": .integer(1), "bytes": .integer(2), "errors": .integer(3)]))
        let tag = try #require(body["tags"]?.dictionary?[String(repeating: "a", count: 20)]?.dictionary)
        #expect(tag["label"] == .text("caller"))
        let stream = tag["medias"]?.list?[0].dictionary?["streams"]?.list?[0].dictionary
        #expect(stream?["SSRC"] == .integer(4_000_000_000))
        let source = try #require(body["SSRC"]?.dictionary?["4000000000"]?.dictionary)
        #expect(source["average MOS"] == .dictionary([
            "MOS": .integer(43), "jitter": .integer(12), "packet loss": .integer(1), "round-trip time": .integer(23_456),
            "samples": .integer(31),
        ]))
        #expect(source["lowest MOS"]?.dictionary?["MOS"] == .integer(31))
        #expect(source["lowest MOS"]?.dictionary?["reported at"] == .integer(1_795_468_103))
        #expect(source["highest MOS"]?.dictionary?["MOS"] == .integer(44))
    }

    @Test("a normal call fits a datagram of 1,200 octets in full; a long one is shortened and says so", arguments: [
        (1, 20, nil as String?), (1, 36, nil), (2, 20, "average MOS"), (4, 128, "totals"), (8, 20, "totals"),
    ])
    func size(mediaCount: Int, tagLength: Int, left: String?) throws {
        let report = report(mediaCount: mediaCount, tagLength: tagLength)
        let octets = NGReply.call(report).encoded(cookie: String(repeating: "c", count: 16).utf8, format: .bencode)
        #expect(octets.count <= 1200)
        let body = try NGEnvelope(parsing: octets).dictionary
        #expect((body["left out"] != nil) == (left != nil))
        #expect((body["SSRC"] != nil) == (left != "totals"))
        let source = body["SSRC"]?.dictionary?.entries.first?.value.dictionary
        #expect((source?["lowest MOS"] != nil) == (left == nil))
        #expect((source?["average MOS"] != nil) == (left != "totals"))
    }

    @Test("on request everything is said")
    func full() throws {
        let octets = NGReply.call(report(mediaCount: 4), detail: .full).encoded(cookie: "j".utf8, format: .json)
        let body = try NGEnvelope(parsing: octets).dictionary
        #expect(body["left out"] == nil)
        let tag = try #require(body["tags"]?.dictionary?.entries.first?.value.dictionary)
        #expect(tag["subscriptions"] == .list([.dictionary(["tag": .text("b"), "type": .text("offer/answer")])]))
        let medium = try #require(tag["medias"]?.list?[3].dictionary)
        #expect(medium["index"] == .integer(4))
        #expect(medium["protocol"] == .text("RTP/AVP"))
        #expect(medium["streams"]?.list?.count == 2)
        #expect(medium["streams"]?.list?[1].dictionary?["endpoint"] == .dictionary([
            "family": .text("IPv4"), "address": .text("198.51.100.100"), "port": .integer(50_000),
        ]))
    }

    @Test("figures beyond an integer's range do not stop the answer")
    func extremes() {
        var report = report()
        report.rtp = NGTraffic(packets: .max, octets: .max, errors: .max)
        report.sources[0].average = NGQuality(mos: .nan, jitter: .seconds(-1), lossRatio: .infinity)
        let body = NGReply.call(report).body
        #expect(body["totals"]?.dictionary?["RTP"]?.dictionary?["packets"] == .integer(.max))
        #expect(body["SSRC"]?.dictionary?["4000000000"]?.dictionary?["average MOS"]?.dictionary?["MOS"] == .integer(0))
    }

    @Test("two streams of one SSRC are named once, with the figures of the last")
    func sameSSRC() {
        var report = report()
        report.sources[1].ssrc = report.sources[0].ssrc
        report.sources[1].average = quality(2.5, average: true)
        let sources = NGReply.call(report).body["SSRC"]?.dictionary
        #expect(sources?.entries.count == 1)
        #expect(sources?["4000000000"]?.dictionary?["average MOS"]?.dictionary?["MOS"] == .integer(25))
        // Read as written: of equal keys a reader takes the last.
        let text = Sample.text(NGReply.call(report).encoded(cookie: "c".utf8, format: .bencode))
        #expect(text.ranges(of: "10:4000000000").count == 1)
    }

    @Test("statistics have rtpengine's names")
    func statistics() {
        var report = NGServerReport()
        report.sessions = 7
        report.rejectedSessions = 3
        report.uptime = .seconds(61)
        report.averageCallDuration = .milliseconds(12_345)
        let statistics = NGReply.statistics(report).body["statistics"]?.dictionary
        #expect(statistics?["currentstatistics"]?.dictionary?["sessionsown"] == .integer(7))
        let total = statistics?["totalstatistics"]?.dictionary
        #expect(total?["rejectedsessions"] == .integer(3))
        #expect(total?["uptime"] == .text("61"))
        #expect(total?["avgcallduration"] == .text("12.345000"))
    }
}
