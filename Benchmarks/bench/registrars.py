"""Registrations and keep-alives: CPU each, memory per binding, how evenly keep-alives are sent."""

import json
import subprocess
import time

from . import report, servers, sip

#: Until the last request's transaction is over (timer J, RFC 3261 §17.2.2): 64 times T1, and some.
TRANSACTION_SECONDS = 34
#: Memory is at rest when it changes by no more than this in a second; it is waited for so long.
SETTLED_BYTES = 1 << 16
SETTLING_SECONDS = 30
#: A second, while CPU is not looked at.
BULK_RATE = 4000
#: Of the users, the last ones are measured: among all the others.
MEASURED_SECONDS = 12
#: Both send to each phone behind NAT once in this time.
KEEP_ALIVE_SECONDS = 30
LISTENING_SECONDS = 20

AIMS = {"cpuMicrosecondsEach": 0.5, "keepAliveMicroseconds": 0.35}


class BareSender:
    """No registrar: what the same keep-alives cost a loop of sendto in C, in place of a server."""

    name = "bare-sendto"
    arguments = ()


class BareBatches(BareSender):
    """The same as relayd sends them: 64 with one sendmmsg, four times a millisecond apart, then a rest."""

    name = "bare-sendmmsg"
    arguments = ("--batch", "64")


def measure(options, kind, directory, drive, isFirst):
    """Two servers, anew: one without keep-alives for the CPU of registrations, one with them for memory and their own CPU."""
    if issubclass(kind, BareSender):
        return send_bare(options, kind)
    result = measure_registrations(options, kind, directory, drive)
    result.update(measure_bindings(options, kind, directory, drive, result.pop("unregistered"), isFirst))
    return result


def register(options, server, drive, phone, first, count, rate, seconds=None):
    """How many of `count` users, from number `first` on, did not get registered; and what the generator says."""
    seconds = seconds or count / rate
    result = drive(
        options, server, "registers", rate, seconds, "--users", str(count), "--first-user", str(first), "--domain",
        "load.example.net", "--caller", phone, "--nat")
    return result["started"] - result["completed"], result


def measure_registrations(options, kind, directory, drive):
    users, rate = options.users, options.registration_rate
    phone = f"{servers.ADDRESS}:{servers.free_udp_port()}"
    measured = min(users, int(rate * MEASURED_SECONDS))
    with kind(options.server_core, directory, (phone, phone), users=users) as server:
        server.sends_keep_alives = False
        server.start()
        failed = 0
        if measured < users:
            failed, _ = register(options, server, drive, phone, 0, users - measured, BULK_RATE)
        more, result = register(options, server, drive, phone, users - measured, measured, rate)
        result["unregistered"] = failed + more
        return result


def measure_bindings(options, kind, directory, drive, unregistered, isFirst):
    """All users register, and get their keep-alives. In the first round memory is measured: what twice as many bindings take
    more, each time on a server made for so many, which begins and ends at rest."""
    users = options.users
    grown, result = register_all(options, kind, directory, drive, users, isMeasured=isFirst)
    result["notCompleted"] += unregistered
    if isFirst:
        half, other = register_all(options, kind, directory, drive, users // 2, isMeasured=True, listens=False)
        result["notCompleted"] += other["notCompleted"]
        result["memoryBytes"] = [half, grown]
        result["bytesPerBinding"] = (grown - half) / (users - users // 2)
    return result


def register_all(options, kind, directory, drive, users, isMeasured, listens=True):
    """What memory grows by, if it is measured; and what came of it."""
    phone = f"{servers.ADDRESS}:{servers.free_udp_port()}"
    # So slow that the tables of transactions, which are there from the start, need not grow.
    rate = options.registration_rate if options.quick else BULK_RATE / 2
    with kind(options.server_core, directory, (phone, phone), users=users) as server:
        server.start()
        before = settled_memory(options, server) if isMeasured else 0
        failed, _ = register(options, server, drive, phone, 0, users, rate)
        if not options.quick:
            time.sleep(TRANSACTION_SECONDS)
        grown = settled_memory(options, server) - before if isMeasured else 0
        result = {"notCompleted": failed}
        if not options.quick and listens:
            result["keepAlive"] = drive(options, server, "listens", rate, LISTENING_SECONDS, "--caller", phone)
        return grown, result


def settled_memory(options, server):
    """What is in memory once that does not change any more."""
    if options.quick:
        return server.memory_bytes()
    before, deadline = server.memory_bytes(), time.monotonic() + SETTLING_SECONDS
    while time.monotonic() < deadline:
        time.sleep(1)
        now = server.memory_bytes()
        if abs(now - before) <= SETTLED_BYTES:
            return now
        before = now
    raise servers.ServerFailed(f"{server.name}: its memory does not come to rest")


def send_bare(options, kind):
    """As many messages to one listening socket as the users would get, from the core the servers run on."""
    phone = f"{servers.ADDRESS}:{servers.free_udp_port()}"
    seconds = 0.2 if options.quick else LISTENING_SECONDS / 2

    def command(core, mode, seconds, *more):
        return sip.load_command(core, mode, phone, "--seconds", str(seconds), *more)

    listener = subprocess.Popen(
        command(options.load_core, "listens", seconds + 1, "--caller", phone), stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    rate = max(1, options.users / KEEP_ALIVE_SECONDS)
    sent = subprocess.run(
        command(options.server_core, "sends", seconds, "--rate", str(rate), *kind.arguments), capture_output=True, text=True, check=True)
    heard = json.loads(listener.communicate()[0])
    result = json.loads(sent.stdout)
    result["notCompleted"] = result["messages"] - heard["messages"]
    return result


def summarize(rounds):
    summary = {"notCompleted": sum(one["notCompleted"] for one in rounds), "rounds": rounds}
    if "microsecondsEach" in rounds[0]:
        summary["keepAliveMicroseconds"] = report.spread([one["microsecondsEach"] for one in rounds])
        summary["keepAlives"] = report.spread([one["messages"] for one in rounds])
        return summary
    summary["cpuMicrosecondsEach"] = report.spread([one["serverMicrosecondsPerCall"] for one in rounds])
    summary["bytesPerBinding"] = report.spread([one["bytesPerBinding"] for one in rounds if "bytesPerBinding" in one])
    cycles = [one["keepAlive"] for one in rounds if one.get("keepAlive", {}).get("messages")]
    if cycles:
        summary["keepAliveMicroseconds"] = report.spread([one["serverMicroseconds"] / one["messages"] for one in cycles])
        summary["mostInOneMillisecond"] = report.spread([one["mostInOneMillisecond"] for one in cycles])
        summary["keepAlives"] = report.spread([one["messages"] for one in cycles])
    return summary


def table(options, measured):
    lines = [
        f"{options.users:,} users register with digest, {options.registration_rate:g} a second; keep-alives every {KEEP_ALIVE_SECONDS} s,"
        f" for {LISTENING_SECONDS} s; median (lowest–highest) of {len(next(iter(measured.values()))['rounds'])} rounds"
    ]
    for name, one in measured.items():
        parts = []
        if "cpuMicrosecondsEach" in one:
            parts.append(f"{report._range(one['cpuMicrosecondsEach'], 1)} µs CPU per registration (two requests)")
            parts.append(f"{report._range(one['bytesPerBinding'], 0)} B per binding")
        if "keepAlives" in one:
            parts.append(f"{report._range(one['keepAlives'], 0)} keep-alives, {report._range(one['keepAliveMicroseconds'], 2)} µs each")
        if "mostInOneMillisecond" in one:
            parts.append(f"at most {report._range(one['mostInOneMillisecond'], 0)} in a millisecond")
        line = f"  {name:18} " + ", ".join(parts)
        if one["notCompleted"]:
            line += f"; {one['notCompleted']} FAILED"
        lines.append(line)
    ours, theirs = measured.get(sip.RelaydRegistrar.name), measured.get(sip.KamailioRegistrar.name)
    if ours and theirs:
        parts = [
            f"{name} {report._range(report.ratio(ours[name]['rounds'], theirs[name]['rounds']), 2)} (aim ≤ {aim})"
            for name, aim in AIMS.items()
            if name in ours and name in theirs
        ]
        lines.append("  relayd / kamailio: " + ", ".join(parts))
    for kind in (BareSender, BareBatches):
        floor = measured.get(kind.name)
        for peer in (ours, theirs):
            if floor and peer and "keepAliveMicroseconds" in peer:
                ratio = report.ratio(peer["keepAliveMicroseconds"]["rounds"], floor["keepAliveMicroseconds"]["rounds"])
                lines.append(f"  keep-alives, {'relayd' if peer is ours else 'kamailio'} / {kind.name}: {report._range(ratio, 2)}")
    return "\n".join(lines)
