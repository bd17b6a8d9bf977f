"""Ten times what a server can carry, from addresses that are not meant to call: do those that are get through?"""

import json
import subprocess

from . import report, servers, sip

FLOODING_NETWORK = "127.9.9.0/24"
SOURCES = 20
#: Of the good caller, far below what is carried without a flood.
GOOD_RATE = 50
#: The flood begins before the calls and ends after them.
MARGIN_SECONDS = 2


class RelaydWithFloodingTrunk(sip.Relayd):
    """It comes from a customer's network, and calls numbers that lead nowhere. Of `limits.calls_per_second` there is enough for each
    of its addresses and the good caller to have the same."""

    name = "relayd-trunk"

    def more(self):
        trunks = super().more().replace('prefixes = [""]', 'prefixes = ["49"]')
        return trunks + f'[[trunk]]\nname = "flooder"\naddress = "127.9.9.1"\nsources = ["{FLOODING_NETWORK}"]\n'

    def limits(self):
        return f"calls_per_second = {(SOURCES + 5) * GOOD_RATE}\n"


class FloodedKamailio(sip.Kamailio):
    """It drops without an answer what is neither the caller's nor the callee's."""

    def script(self):
        addresses = " || ".join(f"src_ip == {host}" for host in sorted({endpoint.split(":")[0] for endpoint in self.callee}))
        return super().script().replace("request_route {\n", f"request_route {{\n    if (!({addresses})) {{ exit; }}\n", 1)


KINDS = (sip.Relayd, RelaydWithFloodingTrunk, FloodedKamailio)


def measure(options, kind, directory, drive):
    endpoints = tuple(f"{servers.ADDRESS}:{servers.free_udp_port()}" for _ in range(2))
    with kind(options.server_core, directory, endpoints) as server:
        server.start()
        command = sip.load_command(
            options.load_core, "floods", server.address, "--rate", str(options.flood_rate), "--seconds",
            str(options.seconds + 2 * MARGIN_SECONDS), "--sources", str(SOURCES), pids=server.pids())
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flood:
            calls = ["--warm-up", str(MARGIN_SECONDS), "--caller", endpoints[0], "--callee", endpoints[1]]
            result = drive(options, server, "calls", min(GOOD_RATE, options.rate), options.seconds, *calls)
            result["flood"] = json.loads(flood.communicate()[0])
        if flood.returncode != 0:
            raise servers.ServerFailed(f"the flood beside {server.name} failed")
        return result


def summarize(rounds):
    return {
        "started": sum(one["started"] for one in rounds),
        "notCompleted": sum(one["started"] - one["completed"] for one in rounds),
        "toRingingP99": report.spread([one["toRingingMicroseconds"]["p99"] for one in rounds]),
        "floodPerSecond": report.spread([one["flood"]["perSecond"] for one in rounds]),
        "cpuMicrosecondsEach": report.spread([one["flood"]["serverMicrosecondsEach"] for one in rounds]),
        "rounds": rounds,
    }


def table(options, measured):
    lines = [
        f"{options.flood_rate:,.0f} INVITEs/s of {SOURCES} addresses that are not meant to call, beside {GOOD_RATE} calls/s of one that is; "
        f"median (lowest–highest) of {options.rounds} rounds (aim: no call fails)"]
    for name, one in measured.items():
        lines.append(
            f"  {name:13} {one['notCompleted']} of {one['started']} calls FAILED," if one["notCompleted"]
            else f"  {name:13} all {one['started']} calls completed,")
        lines[-1] += (
            f" INVITE→180 p99 {report._range(one['toRingingP99'], 0)} µs, {report._range(one['floodPerSecond'], 0)}/s came at"
            f" {report._range(one['cpuMicrosecondsEach'], 2)} µs CPU each")
    return "\n".join(lines)
