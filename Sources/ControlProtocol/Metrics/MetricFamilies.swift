import Core

extension MetricFamily {
    /// Every metric of relayd, in the order of the exposition: state first, then calls, trunks and threads, then all counters.
    package static let all: [MetricFamily] = state + callFamilies + phoneFamilies + trunkFamilies + workerFamilies + counterFamilies

    private static let state: [MetricFamily] = [
        .gauges("relayd_info", "Always 1; the label says which version runs.", by: "version") {
            [([$0.status.version], 1)]
        },
        .gauge("relayd_start_time_seconds", "When the process started, in seconds since 1970.") {
            Double($0.status.startedAt.milliseconds) / 1_000
        },
        .gauge("relayd_draining", "1 while no new calls are taken, else 0.") { $0.status.draining ? 1 : 0 },
        .gauge("relayd_warnings", "Sentences that `relayctl status` shows as warnings.") { Double($0.status.warnings.count) },
        .gauges(
            "relayd_media_ports", "Relay ports by state: in use, resting after a call (quarantine), or free.", by: "state"
        ) {
            let media = $0.status.media
            return [
                (["in_use"], Double(media.portsInUse)), (["quarantine"], Double(media.portsInQuarantine)),
                (["free"], Double(media.portsFree)),
            ]
        },
        .gauge("relayd_media_sessions_kept", "Sessions that have ended and whose four sockets are kept for the next ones.") {
            Double($0.status.media.sessionsKept ?? 0)
        },
        .gauge("relayd_records_pending", "Call records that wait in memory because the journal does not take them.") {
            Double($0.status.records.pending)
        },
        .gauge("relayd_memory_resident_bytes", "What the kernel keeps in memory for relayd.") {
            Double($0.status.memory?.resident ?? 0)
        },
        .gauge("relayd_memory_allocated_bytes", "Heap in use; what is held ready for calls to come is resident, not here.") {
            Double($0.status.memory?.allocated ?? 0)
        },
    ]

    private static let callFamilies: [MetricFamily] = [
        .gauges("relayd_calls", "Present calls by state.", by: "state") { snapshot in
            CallSummary.State.allCases.map { ([$0.rawValue], Double(snapshot.callStates[$0.rawValue] ?? 0)) }
        },
        .gauge("relayd_calls_limit", "Concurrent calls that are allowed (limits.calls).") { Double($0.status.calls.limit) },
        .counters("relayd_call_releases_total", "Call attempts that ended, by release cause.", by: "cause") { snapshot in
            ReleaseCause.allCases.map { ([$0.rawValue], snapshot.releases[$0.rawValue] ?? 0) }
        },
        .histograms("relayd_call_ring_delay_seconds", "From INVITE to the first 18x: the post-dial delay.") {
            [([], $0.distributions.ringDelay)]
        },
        .histograms("relayd_call_setup_seconds", "From INVITE to the answer.") { [([], $0.distributions.setup)] },
        .histograms("relayd_call_duration_seconds", "From the answer to the release.") { [([], $0.distributions.duration)] },
        .histograms(
            "relayd_call_loss_ratio", "Part of an answered call's RTP packets that never came, by the side they came from.",
            by: "from"
        ) { quality($0, \.loss) },
        .histograms(
            "relayd_call_jitter_seconds", "Mean jitter of an answered call's RTP (RFC 3550), by the side it came from.", by: "from"
        ) { quality($0, \.jitter) },
        .histograms(
            "relayd_call_mos", "Mean opinion score of an answered call's RTP (ITU-T G.107, 1 to 4.5), by the side it came from.",
            by: "from"
        ) { quality($0, \.mos) },
    ]

    private static func quality(
        _ snapshot: MetricsSnapshot, _ figure: (CallDistributions.Quality) -> Histogram
    ) -> [([String], Histogram)] {
        [
            (["caller"], figure(snapshot.distributions.fromCaller)),
            (["callee"], figure(snapshot.distributions.fromCallee)),
        ]
    }

    /// Without labels: phones are many. Left out where there are no users.
    private static let phoneFamilies: [MetricFamily] = [
        .gauges("relayd_registrations", "Registered contacts of all users.") { phones($0) { Double($0.registered) } },
        .gauges("relayd_registrations_limit", "Registered contacts that are allowed (limits.bindings).") {
            phones($0) { Double($0.limit) }
        },
        .gauges("relayd_keepalive_bindings", "Registered contacts behind NAT that keep-alives go to.") {
            phones($0) { Double($0.keptAlive) }
        },
        .gauges(
            "relayd_keepalive_coverage_ratio",
            "Part of the keep-alives that were due in the last complete cycle and went out, 0 to 1; left out before there is one."
        ) { phones($0) { $0.coverage } },
        .gauges(
            "relayd_keepalive_unreachable",
            "Registered contacts that have left their last three keep-alives unanswered; left out unless keepalive.message asks "
                + "for answers."
        ) { phones($0) { $0.unreachable.map(Double.init) } },
    ]

    private static func phones(_ snapshot: MetricsSnapshot, _ figure: (PhoneFigures) -> Double?) -> [([String], Double)] {
        snapshot.status.phones.flatMap(figure).map { [([], $0)] } ?? []
    }

    private static let trunkFamilies: [MetricFamily] = [
        .gauges("relayd_trunk_up", "1 while calls are sent to the trunk, 0 while it is out after failures or asked for a rest.", by: "trunk") {
            $0.trunks.map { ([$0.name], $0.state == .up ? 1 : 0) }
        },
        .gauges("relayd_trunk_calls", "Present calls to and from the trunk.", by: "trunk") {
            $0.trunks.map { ([$0.name], Double($0.calls)) }
        },
        .gauges("relayd_trunk_capacity", "Concurrent calls the trunk may have; trunks without a limit are left out.", by: "trunk") {
            $0.trunks.filter { $0.capacity > 0 }.map { ([$0.name], Double($0.capacity)) }
        },
        .counters(
            "relayd_trunk_attempts_total",
            "Ended call attempts from (direction incoming) and to (outgoing) the trunk. The ASR is answered / attempts.",
            by: "trunk", "direction"
        ) { sides($0) { $0.attempts } },
        .counters(
            "relayd_trunk_answered_total", "Those of the attempts that were answered.", by: "trunk", "direction"
        ) { sides($0) { $0.answered } },
        .sums(
            "relayd_trunk_connected_seconds_total",
            "Duration of the trunk's ended calls. The ACD is this / answered.", by: "trunk", "direction"
        ) { sides($0) { $0.connectedSeconds } },
        .counters(
            "relayd_trunk_releases_total", "Ended call attempts of the trunk by release cause; what never happened is left out.",
            by: "trunk", "direction", "cause"
        ) { snapshot in
            sides(snapshot) { $0.releases }.flatMap { labels, releases in
                releases.sorted { $0.key < $1.key }.map { (labels + [$0.key], $0.value) }
            }
        },
    ]

    private static func sides<Value>(
        _ snapshot: MetricsSnapshot, _ figure: (TrunkFigures.Side) -> Value
    ) -> [([String], Value)] {
        snapshot.trunks.flatMap { trunk in
            [([trunk.name, "incoming"], figure(trunk.incoming)), ([trunk.name, "outgoing"], figure(trunk.outgoing))]
        }
    }

    private static let workerFamilies: [MetricFamily] = [
        .gauges("relayd_worker_sessions", "Media sessions of each relay thread.", by: "worker") { workers($0) { Double($0.sessions) } },
        .counters("relayd_worker_packets_received_total", "RTP and RTCP packets each relay thread received.", by: "worker") {
            workers($0) { $0.packetsReceived }
        },
        .counters("relayd_worker_packets_sent_total", "RTP and RTCP packets each relay thread sent.", by: "worker") {
            workers($0) { $0.packetsSent }
        },
        .counters("relayd_worker_packets_dropped_total", "Datagrams each relay thread dropped, for whatever reason.", by: "worker") {
            workers($0) { $0.packetsDropped }
        },
    ]

    private static func workers<Value>(
        _ snapshot: MetricsSnapshot, _ figure: (StatusReport.Worker) -> Value
    ) -> [([String], Value)] {
        snapshot.status.workers.map { (["\($0.index)"], figure($0)) }
    }

    /// Summed over all threads.
    private static let counterFamilies: [MetricFamily] = Counter.allCases.map { counter in
        .counter(counter.metricName, counter.help) { $0.status.counters[counter.name] ?? 0 }
    }
}
