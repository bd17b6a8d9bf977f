import Core

extension Configuration {
    /// docs/vos3000.md: the vendor's names beside ours.
    package static func vosMarkdown() -> String {
        [vosIntroduction, vosSettingRows, vosCausesIntroduction, vosCauseRows, vosRest].joined(separator: "\n\n") + "\n"
    }

    private static var vosSettingRows: String {
        let defaults = Configuration(host: HostFacts(processorCount: 2, environment: [:], userID: 0))
        let trunk = Trunk(name: "", address: SocketAddress(ip: .ipv4Loopback, port: 5060))
        let own = keys.compactMap { key in row(key, name: key.name, defaultLiteral: key.literal(defaults)) }
        let trunks = Trunk.keys.compactMap { key in row(key, name: "trunk.\(key.name)", defaultLiteral: key.literal(trunk)) }
        return (["| VOS3000 | relayd | Default | Meaning |", "|---|---|---|---|"] + own + trunks).joined(separator: "\n")
    }

    private static func row<Root>(_ key: ConfigurationKey<Root>, name: String, defaultLiteral: String) -> String? {
        guard let vosName = key.vosName else { return nil }
        let value = key.example?.defaultNote ?? "`\(defaultLiteral)`"
        return "| `\(vosName)` | `\(name)` | \(value) | \(key.explanation.replacing("|", with: "\\|")) |"
    }

    private static var vosCauseRows: String {
        let rows = ReleaseCause.allCases.compactMap { cause in
            cause.vosName.map { "| \($0) | `\(cause.rawValue)` | \(cause.sentence) |" }
        }
        return (["| VOS3000 shows | relayd's `cause` | Meaning |", "|---|---|---|"] + rows).joined(separator: "\n")
    }

    private static let vosIntroduction = #"""
        # relayd for people who know VOS3000

        This page is made by `relayd reference --vos`; do not edit it.

        relayd takes the place of the edge: calls between gateways, their media, ghost calls. It has no billing.

        ## Settings

        A VOS3000 name is accepted at the top of the file in place of the key, so settings can be taken over as they are.
        `relayctl config show` prints both names. Names that are not in this table are refused with a suggestion.
        """#

    private static let vosCausesIntroduction = #"""
        ## Release causes
        """#

    private static let vosRest = #"""
        The other causes have no counterpart: they say more than the vendor's words do. `relayctl records --csv` has both in the columns
        `cause` and `vos_cause`. `relayctl records --cause NoAvailableRouter` takes these words as well, in any case: one that
        stands for several causes finds them all.

        ## Where things are

        | In VOS3000 | Here |
        |---|---|
        | Mapping gateway (customer side) | a `[[trunk]]` without `prefixes`: calls come from it |
        | Routing gateway (vendor side) | a `[[trunk]]` with `prefixes`: calls go to it |
        | Gateway prefix, line limit | `prefixes`, `capacity` of the trunk |
        | Media proxy Auto, On, Off, Must On | `media_proxy` of a trunk: `auto`, `on`, `off`, `must`; `media.proxy` for all |
        | Current calls, disconnect | `relayctl top`, `relayctl calls`, `relayctl hangup ID` |
        | CDR | `relayctl records`, or `records.sqlite` with any SQLite tool |
        | ASR, ACD analysis | `relayctl report --by trunk`, `--by hour`, metrics `relayd_trunk_*` |
        | No-media hangup check list of ten steps | `relayctl doctor` |
        | Finding ghost calls in CDRs by hand | `relayctl audit` |
        | Alarms | metrics, see [operations.md](operations.md#metrics-and-the-page) |

        ## No-media hangup

        `SS_NOMEDIAHANGUPTIME` is `media.no_media_timeout`, and per trunk `no_media_timeout`. What differs:

        - The clock is the last valid RTP packet from the locked source. RTCP, STUN and strangers do not feed it.
        - A changed value applies to new calls; each call shows the value it began with (`relayctl calls`).
        - `no_media_mode = "any"` ends a call when either direction dies; `"both"`, the default, when neither is heard.
        - Both legs get BYE with `Reason: Q.850;cause=102`, and there is one record with cause `no_media`.
        """#
}
