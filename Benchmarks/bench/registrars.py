"""Registrations and keep-alives: CPU each, memory per binding, how evenly keep-alives are sent."""

import json
import os
import subprocess
import time

from . import report, servers, sip

LOAD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".build", "c", "sip-load")

#: Of the users, those that register again and again at first, until trace, buffers and allocator have the size they keep. What
#: grows from then on are bindings.
FIRST_USERS = 1000
SETTLING_SECONDS = 9
#: A second, while nothing but memory is looked at.
BULK_RATE = 4000
#: Of the users, the last ones are measured: among all the others.
MEASURED_SECONDS = 15
#: Both send to each phone behind NAT once in this time.
KEEP_ALIVE_SECONDS = 30

AIMS = {"cpuMicrosecondsEach": 0.5, "keepAliveMicroseconds": 0.35}


class BareSender:
    """No registrar: what the same keep-alives cost a loop of sendto in C, in place of a server."""

    name = "bare-sendto"


def measure(options, kind, directory, drive):
    """One server, anew: `--users` registrations with digest, then one cycle of keep-alives."""
    if kind is BareSender:
        return send_bare(options)
    users = options.users
    rate = options.registration_rate
    phone = f"{servers.ADDRESS}:{servers.free_udp_port()}"
    with kind(options.server_core, directory, (phone, phone), users=users) as server:
        server.start()

        def register(first, count, seconds, rate):
            return drive(
                options, server, "registers", rate, seconds, "--users", str(count), "--first-user", str(first), "--domain",
                "load.example.net", "--caller", phone, "--nat")

        bulk_rate = rate if options.quick else BULK_RATE
        first = min(FIRST_USERS, users)
        measured = min(users - first, int(rate * MEASURED_SECONDS)) if users > first else users
        bulk = users - first - measured
        register(0, first, 1 if options.quick else SETTLING_SECONDS, bulk_rate)
        before = sip.resident_kilobytes(server.pids())
        failed = 0
        if bulk > 0:
            filled = register(first, bulk, bulk / bulk_rate, bulk_rate)
            failed = filled["started"] - filled["completed"]
        result = register(users - measured, measured, measured / rate, rate)
        result["residentBytesPerBinding"] = (sip.resident_kilobytes(server.pids()) - before) * 1024 / max(1, users - first)
        result["notCompleted"] = failed + result["started"] - result["completed"]
        if not options.quick:
            time.sleep(2)
            result["keepAlive"] = drive(options, server, "listens", rate, KEEP_ALIVE_SECONDS, "--caller", phone)
        return result


def send_bare(options):
    """As many messages to one listening socket as the users would get, from the core the servers run on."""
    phone = f"{servers.ADDRESS}:{servers.free_udp_port()}"
    seconds = 0.2 if options.quick else KEEP_ALIVE_SECONDS / 3

    def command(core, mode, seconds, *more):
        return ["taskset", "-c", str(core), LOAD, mode, "--server", phone, "--seconds", str(seconds), *more]

    listener = subprocess.Popen(
        command(options.load_core, "listens", seconds + 1, "--caller", phone), stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    rate = max(1, options.users / KEEP_ALIVE_SECONDS)
    sent = subprocess.run(
        command(options.server_core, "sends", seconds, "--rate", str(rate)), capture_output=True, text=True, check=True)
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
    summary["bytesPerBinding"] = report.spread([one["residentBytesPerBinding"] for one in rounds])
    cycles = [one["keepAlive"] for one in rounds if one.get("keepAlive", {}).get("messages")]
    if cycles:
        summary["keepAliveMicroseconds"] = report.spread([one["serverMicroseconds"] / one["messages"] for one in cycles])
        summary["mostInOneMillisecond"] = report.spread([one["mostInOneMillisecond"] for one in cycles])
        summary["keepAlives"] = report.spread([one["messages"] for one in cycles])
    return summary


def table(options, measured):
    lines = [
        f"{options.users:,} users register with digest, {options.registration_rate:g} a second, then {KEEP_ALIVE_SECONDS} s of"
        f" keep-alives; median (lowest–highest) of {len(next(iter(measured.values()))['rounds'])} rounds"
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
    floor = measured.get(BareSender.name)
    if floor:
        for peer in (ours, theirs):
            if peer and "keepAliveMicroseconds" in peer:
                ratio = report.ratio(peer["keepAliveMicroseconds"]["rounds"], floor["keepAliveMicroseconds"]["rounds"])
                lines.append(f"  keep-alives, {'relayd' if peer is ours else 'kamailio'} / {BareSender.name}: {report._range(ratio, 2)}")
    return "\n".join(lines)
