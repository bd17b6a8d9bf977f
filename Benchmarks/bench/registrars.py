"""Registrations and keep-alives: CPU each, memory per binding, how evenly keep-alives are sent."""

import time

from . import report, servers, sip

#: Both registrars keep a transaction for 32 s; after so long at a steady rate there are no more of them, and what grows
#: from then on are bindings.
SETTLING_SECONDS = 34
#: Of the users, those that register again and again until then.
FIRST_USERS = 1000
#: Both send to each phone behind NAT once in this time.
KEEP_ALIVE_SECONDS = 30

AIMS = {"cpuMicrosecondsEach": 0.5, "keepAliveMicroseconds": 0.35}


def measure(options, kind, directory, drive):
    """One server, anew: `--users` registrations with digest, then one cycle of keep-alives."""
    users = options.users
    rate = options.registration_rate
    phone = f"{servers.ADDRESS}:{servers.free_udp_port()}"
    with kind(options.server_core, directory, (phone, phone), users=users) as server:
        server.start()

        def register(count, seconds):
            return drive(
                options, server, "registers", rate, seconds, "--users", str(count), "--domain", "load.example.net", "--caller", phone,
                "--nat")

        settling = 1 if options.quick else SETTLING_SECONDS
        register(min(FIRST_USERS, users), settling)
        before = sip.resident_kilobytes(server.pids())
        result = register(users, users / rate)
        result["residentBytesPerBinding"] = (sip.resident_kilobytes(server.pids()) - before) * 1024 / max(1, users - FIRST_USERS)
        if not options.quick:
            # The transactions of the last registrations have to end: only keep-alives are to be in the window.
            time.sleep(SETTLING_SECONDS)
            result["keepAlive"] = drive(options, server, "listens", rate, KEEP_ALIVE_SECONDS, "--caller", phone)
        return result


def summarize(rounds):
    summary = {
        "cpuMicrosecondsEach": report.spread([one["serverMicrosecondsPerCall"] for one in rounds]),
        "bytesPerBinding": report.spread([one["residentBytesPerBinding"] for one in rounds]),
        "notCompleted": sum(one["started"] - one["completed"] for one in rounds),
        "rounds": rounds,
    }
    cycles = [one["keepAlive"] for one in rounds if one.get("keepAlive", {}).get("messages")]
    if cycles:
        summary["keepAliveMicroseconds"] = report.spread([one["serverMicroseconds"] / one["messages"] for one in cycles])
        summary["mostInOneMillisecond"] = report.spread([one["mostInOneMillisecond"] for one in cycles])
        summary["keepAlives"] = report.spread([one["messages"] for one in cycles])
    return summary


def table(options, measured):
    lines = [
        f"{options.users:,} users register with digest, {options.registration_rate:g} a second, then {KEEP_ALIVE_SECONDS} s of"
        f" keep-alives; {len(next(iter(measured.values()))['rounds'])} rounds"
    ]
    for name, one in measured.items():
        line = (
            f"  {name:18} {report._range(one['cpuMicrosecondsEach'], 1)} µs CPU per registration (two requests),"
            f" {report._range(one['bytesPerBinding'], 0)} B per binding")
        if "keepAlives" in one:
            line += (
                f"; {report._range(one['keepAlives'], 0)} keep-alives, {report._range(one['keepAliveMicroseconds'], 2)} µs each,"
                f" at most {report._range(one['mostInOneMillisecond'], 0)} in a millisecond")
        if one["notCompleted"]:
            line += f"; {one['notCompleted']} registrations FAILED"
        lines.append(line)
    ours, theirs = measured.get(sip.RelaydRegistrar.name), measured.get(sip.KamailioRegistrar.name)
    if ours and theirs:
        parts = [
            f"{name} {report._range(report.ratio(ours[name]['rounds'], theirs[name]['rounds']), 2)} (aim ≤ {aim})"
            for name, aim in AIMS.items()
            if name in ours and name in theirs
        ]
        lines.append("  relayd / kamailio: " + ", ".join(parts))
    return "\n".join(lines)
