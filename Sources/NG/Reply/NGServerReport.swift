import Core

/// The figures of the whole relay, for `statistics`.
package struct NGServerReport: Equatable, Sendable {
    package var sessions = 0
    /// Per second, over the last full second.
    package var packetRate = 0
    package var octetRate = 0
    package var errorRate = 0
    /// Since the start.
    package var uptime = Duration.zero
    package var managedSessions: UInt64 = 0
    package var rejectedSessions: UInt64 = 0
    package var timedOutSessions: UInt64 = 0
    package var silentTimedOutSessions: UInt64 = 0
    package var finalTimedOutSessions: UInt64 = 0
    package var offerTimedOutSessions: UInt64 = 0
    package var regularlyEndedSessions: UInt64 = 0
    package var forcedEndedSessions: UInt64 = 0
    package var traffic = NGTraffic()
    /// Streams without media in either direction, and in one.
    package var zeroWayStreams: UInt64 = 0
    package var oneWayStreams: UInt64 = 0
    package var averageCallDuration = Duration.zero
    package var totalCallDuration = Duration.zero

    package init() {}
}

extension NGReply {
    /// For `statistics`: rtpengine's names for what relayd counts too. Left out are figures per command, per client and
    /// per interface, which the metrics page has.
    package static func statistics(_ report: NGServerReport) -> NGReply {
        let current: NGDictionary = [
            "sessionsown": .count(report.sessions), "sessionsforeign": .integer(0),
            "sessionstotal": .count(report.sessions), "transcodedmedia": .integer(0),
            "packetrate": .count(report.packetRate), "byterate": .count(report.octetRate),
            "errorrate": .count(report.errorRate),
        ]
        let total: NGDictionary = [
            "uptime": .text(String(report.uptime.components.seconds)),
            "managedsessions": .count(report.managedSessions),
            "rejectedsessions": .count(report.rejectedSessions),
            "timeoutsessions": .count(report.timedOutSessions),
            "silenttimeoutsessions": .count(report.silentTimedOutSessions),
            "finaltimeoutsessions": .count(report.finalTimedOutSessions),
            "offertimeoutsessions": .count(report.offerTimedOutSessions),
            "regularterminatedsessions": .count(report.regularlyEndedSessions),
            "forcedterminatedsessions": .count(report.forcedEndedSessions),
            "relayedpackets": .count(report.traffic.packets),
            "relayedpacketerrors": .count(report.traffic.errors),
            "relayedbytes": .count(report.traffic.octets),
            "zerowaystreams": .count(report.zeroWayStreams),
            "onewaystreams": .count(report.oneWayStreams),
            "avgcallduration": .text(seconds(report.averageCallDuration)),
            "totalcallsduration": .text(seconds(report.totalCallDuration)),
        ]
        return ok([
            "statistics": .dictionary([
                "currentstatistics": .dictionary(current), "totalstatistics": .dictionary(total),
            ])
        ])
    }

    /// Seconds with six digits after the point.
    private static func seconds(_ duration: Duration) -> String {
        let microseconds = max(0, duration.nanoseconds / 1000)
        let fraction = String(microseconds % 1_000_000)
        return "\(microseconds / 1_000_000).\(String(repeating: "0", count: 6 - fraction.count))\(fraction)"
    }
}
