"""Figures from rounds: medians, spreads, ratios, and the table that people read."""

from statistics import median


#: The server that is none: what its core does anyway.
NOBODY = "nobody"


def spread(values):
    return {"median": median(values), "min": min(values), "max": max(values), "rounds": values}


def spreads(rounds):
    """`spread` of each figure of the rounds."""
    return {key: spread([one[key] for one in rounds]) for key in rounds[0]}


def ratio(ours, theirs):
    """Ratio of what was measured next to each other in the same round."""
    return spread([a / b for a, b in zip(ours, theirs)])


def summarize(rounds):
    """One server's rounds at one load, as printed by `load`."""
    steady = [one["steady"] for one in rounds]
    summary = {
        "cpuMicrosecondsPerPacket": spread([one["cpuMicrosecondsPerPacket"] for one in steady]),
        "serverCoreShare": spread([one["serverCoreShare"] for one in steady]),
        **_core_figures(rounds),
        "loss": spread([one["loss"] for one in steady]),
        "late": spread([one["late"] for one in steady]),
        "worstStreamLoss": max(one["worstStreamLoss"] for one in steady),
        "latencyMicroseconds": {
            name: spread([one["latencyMicroseconds"][name] for one in steady]) for name in steady[0]["latencyMicroseconds"]
        },
        "faults": {name: sum(one["faults"][name] for one in rounds) for name in rounds[0]["faults"]},
        "generatorLimited": any(one["generatorLimited"] for one in steady),
        "rounds": rounds,
    }
    ladders = [one["ladder"] for one in rounds if "ladder" in one]
    if ladders:
        summary["highestPerSecond"] = spread([one["highestPerSecond"] for one in ladders]) | {
            "isLowerBound": any(one["isLowerBound"] for one in ladders)
        }
    for name in ("systemCallsPerPacket", "shareInKernel"):
        for one in rounds:
            if name in one:
                summary[name] = one[name]
    receiving = [one["receiving"] for one in rounds if "receiving" in one]
    if receiving:
        summary["shareReceivedOnServerCore"] = min(one["shareOnServerCore"] for one in receiving)
        summary["droppedBeforeServer"] = sum(one["dropped"] for one in receiving)
    return summary


def _core_figures(rounds):
    """What a packet takes of the server's core, whoever does it there: by the time that the core was not idle, and by what
    a bystander in a window of its own was kept from it. Empty where the core was not looked at. Where nothing comes back,
    by packets sent."""
    found = {}
    for name, window, seconds in (
        ("coreMicrosecondsPerPacket", "steady", "coreBusySeconds"),
        ("takenMicrosecondsPerPacket", "beside", "coreTakenSeconds"),
    ):
        windows = [one[window] for one in rounds if window in one]
        if windows and any(one[seconds] > 0 for one in windows):
            found[name] = spread([one[seconds] * 1e6 / (one["received"] or one["sent"]) for one in windows])
    beside = [one["beside"] for one in rounds if "beside" in one]
    if beside:
        found["takenIsComparable"] = not any(
            one["generatorLimited"] or one["loss"] + one["late"] >= 0.001 for one in beside)
    return found


def is_overloaded(summary):
    """Beyond its limit a server's cost per packet says nothing."""
    return summary["loss"]["median"] + summary["late"]["median"] >= 0.001


def is_comparable(summary):
    return not is_overloaded(summary) and not summary["generatorLimited"]


def compare(servers):
    """Ratios of relayd, in each of its variants, to each peer: `{"relayd": {"rtpengine": {…}}}`."""
    ours = {name: one for name, one in servers.items() if name.startswith("relay")}
    peers = {name: one for name, one in servers.items() if name not in ours and name != NOBODY}
    return {
        name: {peer: _ratios(one, other) for peer, other in peers.items()} for name, one in ours.items()
    }


def _ratios(ours, theirs):
    found = {}
    if is_comparable(ours) and is_comparable(theirs):
        for name, figure in (("cpu", "cpuMicrosecondsPerPacket"), ("core", "coreMicrosecondsPerPacket")):
            if figure in ours and figure in theirs:
                found[name] = ratio(ours[figure]["rounds"], theirs[figure]["rounds"])
        for percentile in ("p50", "p99"):
            found["latency_" + percentile] = ratio(
                ours["latencyMicroseconds"][percentile]["rounds"], theirs["latencyMicroseconds"][percentile]["rounds"])
    if ours.get("takenIsComparable") and theirs.get("takenIsComparable"):
        found["taken"] = ratio(ours["takenMicrosecondsPerPacket"]["rounds"], theirs["takenMicrosecondsPerPacket"]["rounds"])
    if all("highestPerSecond" in one and one["highestPerSecond"]["min"] > 0 for one in (ours, theirs)):
        found["highest"] = ratio(ours["highestPerSecond"]["rounds"], theirs["highestPerSecond"]["rounds"])
        found["highest"]["isLowerBound"] = ours["highestPerSecond"]["isLowerBound"]
        found["highest"]["isUpperBound"] = theirs["highestPerSecond"]["isLowerBound"]
    return found


def _range(value, digits):
    return f"{value['median']:.{digits}f} ({value['min']:.{digits}f}–{value['max']:.{digits}f})"


def capitalized(text):
    return text[0].upper() + text[1:]


def table(cell):
    """The figures of one load, for people."""
    total = cell["calls"] * 2 * cell["packetsPerSecondPerDirection"]
    lines = [
        "",
        f"{capitalized(cell['network'])}: {cell['calls']:,} calls × 2 directions × {cell['packetsPerSecondPerDirection']:g} packets/s = {total:,.0f} packets/s;"
        " median (lowest–highest) of the rounds",
    ]
    has_core = any("coreMicrosecondsPerPacket" in one for one in cell["servers"].values())
    header = ["server", "CPU µs/packet", *(["core µs/packet", "taken µs/packet"] if has_core else []),
        "loss %", "late %", "p50 µs", "p99 µs", "syscalls/packet", "highest packets/s"]
    rows = [header]
    for name, one in cell["servers"].items():
        core = [
            _range(one[figure], 2) if figure in one else "–"
            for figure in ("coreMicrosecondsPerPacket", "takenMicrosecondsPerPacket")
        ]
        if name == NOBODY:
            rows.append([name, "–", *core] + ["–"] * 6)
            continue
        highest = one.get("highestPerSecond")
        cpu = _range(one["cpuMicrosecondsPerPacket"], 2) + (" overloaded" if is_overloaded(one) else "")
        rows.append([
            name,
            cpu,
            *(core if has_core else []),
            f"{one['loss']['median'] * 100:.3f}",
            f"{one['late']['median'] * 100:.3f}",
            _range(one["latencyMicroseconds"]["p50"], 0),
            _range(one["latencyMicroseconds"]["p99"], 0),
            f"{one['systemCallsPerPacket']:.3f}" if "systemCallsPerPacket" in one else "–",
            ("≥ " if highest["isLowerBound"] else "") + _range(highest, 0) if highest else "–",
        ])
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines += ["  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
    for ours, peers in cell["ratios"].items():
        lines += [f"  {ours} / {peer}: {_ratio_line(found)}" for peer, found in peers.items()]
    for name, one in cell["servers"].items():
        if "shareInKernel" in one:
            lines.append(f"  {one['shareInKernel'] * 100:.2f} % of the packets of {name} passed inside the kernel.")
        if one.get("shareReceivedOnServerCore", 1) < 0.99:
            lines.append(
                f"  Beside {name} only {one['shareReceivedOnServerCore'] * 100:.1f} % of the packets were received on the server's"
                " core: what a packet takes of it is not all that it takes.")
        if one.get("droppedBeforeServer"):
            lines.append(f"  {one['droppedBeforeServer']:,} packets found no room in the queue of {name}'s core.")
        found = {fault: count for fault, count in one["faults"].items() if count}
        if found:
            lines.append(f"  FAULTS of {name}: " + ", ".join(f"{count} {fault}" for fault, count in found.items()))
        if one["generatorLimited"]:
            lines.append(f"  The generator could not keep the rate beside {name}: its figures do not count.")
    return "\n".join(lines)


def _ratio_line(found):
    parts = []
    if "cpu" in found:
        texts = {"cpu": "CPU", "core": "core", "taken": "taken", "latency_p50": "p50", "latency_p99": "p99"}
        parts += [f"{text} {_range(found[name], 2)}" for name, text in texts.items() if name in found]
    else:
        parts.append("CPU not compared, one of the two or the generator was overloaded")
    if "highest" in found:
        highest = found["highest"]
        if highest["isLowerBound"] and highest["isUpperBound"]:
            parts.append("highest rate not compared, both carry all that the generator can send")
        else:
            bound = "≥ " if highest["isLowerBound"] else "≤ " if highest["isUpperBound"] else ""
            parts.append(f"highest rate {bound}{_range(highest, 2)}")
    return ", ".join(parts)


def smoke(cell):
    """One phrase for each server: that it relayed, and no figure that somebody could take for a measurement."""
    for name, one in cell["servers"].items():
        steady = one["rounds"][0]["steady"]
        yield f"{name} relayed {steady['received']} of {steady['sent']} packets over {cell['network']}"


def setup_table(cell):
    """What calls cost to set up, to have, and to end."""
    lines = ["", f"Offer, answer and delete of a call over NG, {cell['calls']:,} calls at a time; median (lowest–highest) of the rounds"]
    for name, one in cell["servers"].items():
        leak = one["left"]
        lines.append(
            f"  {name}: {_range(one['cpuMicrosecondsPerCall'], 0)} µs CPU a call"
            f" ({one['cpuMicrosecondsPerCallOfferAnswer']['median']:.0f} offer and answer,"
            f" {one['cpuMicrosecondsPerCallDelete']['median']:.0f} delete);"
            f" {_range(one['residentKilobytesPerCall'], 1)} kB of its own memory,"
            f" {_range(one['kernelKilobytesPerCall'], 1)} kB of the kernel's")
        again = one["again"]
        lines.append(
            f"    the same again: {_range(again['cpuMicrosecondsPerCall'], 0)} µs CPU a call"
            f" ({again['cpuMicrosecondsPerCallOfferAnswer']['median']:.0f} offer and answer,"
            f" {again['cpuMicrosecondsPerCallDelete']['median']:.0f} delete)")
        lines.append(
            f"    after {leak['calls']:,} calls: {leak['boundSockets']:,} sockets bound, {leak['boundSocketsTooMany']} more than it"
            f" may keep, and {leak['boundSocketsAfterStop']} once it was stopped; {leak['descriptors']} descriptors more than before"
            f" the first, {leak['residentKilobytes']:+,} kB against the end of the calls that came again")
    return "\n".join(lines)


def routes_line(cell):
    """What a route that changed did to streams inside the kernel."""
    step, faults = cell["step"], {name: count for name, count in cell["faults"].items() if count}
    return (
        f"\n{cell['calls']:,} calls, {step['offeredPerSecond']:,.0f} packets/s, a route is added in the middle: {cell['server']} lost"
        f" {step['loss'] * 100:.4f} %, {step['late'] * 100:.4f} % came late, "
        + (", ".join(f"{count} {name}" for name, count in faults.items()) or "no fault")
        + f"; {cell['shareInKernel'] * 100:.2f} % passed inside the kernel"
    )


def workers_table(cell):
    """What a second worker costs the first."""
    one, two = cell["servers"].values()
    packets = cell["calls"] * 2 * cell["packetsPerSecondPerDirection"]
    lines = ["", "One worker, and two on two cores with twice the packets; median (lowest–highest) of the rounds"]
    for name, summary, times in (("one", one, 1), ("two", two, 2)):
        lost = (summary["loss"]["median"] + summary["late"]["median"]) * 100
        lines.append(
            f"  {name}: {_range(summary['cpuMicrosecondsPerPacket'], 2)} µs CPU a packet at {packets * times:,.0f} packets/s,"
            f" {lost:.3f} % lost or late")
    lines.append(f"  two / one: {_range(_scaling(cell), 2)}")
    return "\n".join(lines)


def _scaling(cell):
    one, two = cell["servers"].values()
    return ratio(two["cpuMicrosecondsPerPacket"]["rounds"], one["cpuMicrosecondsPerPacket"]["rounds"])


def overload_table(cell):
    lines = ["", f"One and a half times of what it carries, {cell['calls']:,} calls, a core shared with {cell['hogs']} busy loops"]
    for name, one in cell["servers"].items():
        lines.append(
            f"  {name}: offered {one['offeredPerSecond']:,.0f}/s, {one['loss'] * 100:.1f} % lost; of one stream"
            f" {one['bestStreamLoss'] * 100:.1f} % at the least, {one['medianStreamLoss'] * 100:.1f} % in the middle,"
            f" {one['worstStreamLoss'] * 100:.1f} % at the most; {one['starvedStreams']} streams starved")
    return "\n".join(lines)


#: The ways a packet can go through relayd, and what each may cost of what it costs rtpengine. Inside the kernel nothing waits for
#: company, so that figure answers for both of the others.
MODES = [
    ("relayd-kernel", "inside the kernel", 0.45),
    ("relayd", "by sockets with the waiting window", 0.45),
    ("relayd-no-window", "by sockets without it", 0.55),
]


def aims(result):
    """What was aimed at beside what was measured: `(figure, aim, measured or None, isMet)`."""
    rows = []

    def add(figure, aim, measured, digits=2, unit=""):
        sign, limit = aim
        if measured is None:
            return
        value = measured["median"] if isinstance(measured, dict) else measured
        text = _range(measured, digits) if isinstance(measured, dict) else f"{value:.{digits}f}"
        is_met = value <= limit if sign == "≤" else value >= limit
        rows.append({
            "figure": figure, "aim": f"{sign} {limit:g}{unit}", "measured": text + unit, "isMet": is_met,
            "isLowerBound": isinstance(measured, dict) and measured.get("isLowerBound", False)})

    for cell in result["loads"]:
        load = f"{capitalized(cell['network'])}, {cell['calls'] * 2 * cell['packetsPerSecondPerDirection']:,.0f} packets/s"
        ratios, on_wire = cell["ratios"], cell["network"] != "loopback"

        def against(mode, peer, figure):
            return ratios.get(mode, {}).get(peer, {}).get(figure)

        # Where the core was looked at as a whole, its time is what counts: in whose name softirqs run is chance. What is
        # taken from others is told and not aimed at: on a virtual machine most of it is the host's.
        time, cost = ("core", "time of the core") if on_wire else ("cpu", "CPU")
        for mode, name, limit in MODES:
            add(f"{load}, {name}: {cost} per packet against rtpengine", ("≤", limit), against(mode, "rtpengine", time),
                unit=" ×")
            peer = "uring-relay-no-window" if mode == "relayd-no-window" else "uring-relay"
            add(f"{load}, {name}: {cost} per packet against io_uring in C", ("≤", 1.05), against(mode, peer, time),
                unit=" ×")
            # With the window the typical packet waits, without it the core is fuller: each is held to what it is for.
            if mode != "relayd":
                add(f"{load}, {name}: p50 against rtpengine", ("≤", 1), against(mode, "rtpengine", "latency_p50"),
                    unit=" ×")
            if mode != "relayd-no-window":
                add(f"{load}, {name}: p99 against rtpengine", ("≤", 1), against(mode, "rtpengine", "latency_p99"),
                    3, unit=" ×")
            if mode != "relayd-no-window":
                add(f"{load}, {name}: system calls per packet", ("≤", 0.05),
                    cell["servers"].get(mode, {}).get("systemCallsPerPacket"), 3)
                add(f"{load}, {name}: highest rate against rtpengine", ("≥", 2.5), against(mode, "rtpengine", "highest"),
                    unit=" ×")
    faults = sum(sum(one["faults"].values()) for cell in result["loads"] for name, one in cell["servers"].items() if name.startswith("relay"))
    if result["loads"]:
        add("duplicates, reorders, misdeliveries", ("≤", 0), faults, 0)
    if "workers" in result:
        add("CPU per packet of two workers with twice the packets, against one", ("≤", 1.1), _scaling(result["workers"]), unit=" ×")
    setup = (result.get("setup") or {}).get("servers", {})
    if "relayd" in setup:
        ours, theirs = setup["relayd"], setup.get("rtpengine")
        if theirs:
            add("CPU to set up and end a call over NG against rtpengine, the first calls", ("≤", 0.5),
                ratio(ours["cpuMicrosecondsPerCall"]["rounds"], theirs["cpuMicrosecondsPerCall"]["rounds"]), unit=" ×")
            add("the same once as many calls have come and gone", ("≤", 0.5),
                ratio(ours["again"]["cpuMicrosecondsPerCall"]["rounds"], theirs["again"]["cpuMicrosecondsPerCall"]["rounds"]),
                unit=" ×")
        add("own memory per call", ("≤", 2), ours["residentKilobytesPerCall"], 1, " kB")
        left = ours["left"]
        add("sockets and descriptors left behind", ("≤", 0),
            left["boundSocketsTooMany"] + left["boundSocketsAfterStop"] + left["descriptors"], 0)
    overload = (result.get("overload") or {}).get("servers", {})
    if "relayd" in overload:
        add("streams starved under overload", ("≤", 0), overload["relayd"]["starvedStreams"], 0)
    return rows


def aims_table(rows):
    lines = ["", "Aims"]
    for row in rows:
        bound = "≥ " if row["isLowerBound"] else ""
        lines.append(f"  {'met   ' if row['isMet'] else 'MISSED'}  {row['figure']}: {bound}{row['measured']} (aim {row['aim']})")
    return "\n".join(lines)
