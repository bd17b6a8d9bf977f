"""What seeing everything costs: the trace beside the CPU of a call, and a scrape of the metrics with many calls present."""

import json
import os
import subprocess
import time
import urllib.request

from . import servers

#: Of a call's CPU time, at the most.
TRACE_AIM = 0.05
#: Of control's core, at one scrape every ten seconds.
SCRAPE_AIM = 0.01
SCRAPE_INTERVAL_SECONDS = 10


def product(name):
    return os.path.join(os.path.dirname(servers.relayd_binary()), name)


def ask(server, *arguments):
    done = subprocess.run(
        [product("relayctl"), *arguments, "--json", "--socket", f"{server.directory}/relayd.sock"], capture_output=True, text=True)
    if done.returncode != 0:
        raise servers.ServerFailed(f"relayctl {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def messages_per_call(server):
    """SIP messages of a call, both legs and both directions, and their mean length, as the trace has them."""
    counters = json.loads(ask(server, "status"))["counters"]
    count = (counters["sip_datagrams_received"] + counters["sip_datagrams_sent"]) / counters["calls_attempted"]
    lengths = [len(json.loads(line)["text"].encode()) for line in ask(server, "trace", "--last", "2000").splitlines() if line]
    return count, sum(lengths) / len(lengths)


def record_nanoseconds(core, octets, *more):
    """CPU time to keep one message of that length: `relayd-trace-cost`, which keeps nothing else busy."""
    command = ["taskset", "-c", str(core), product("relayd-trace-cost"), str(round(octets)), "--json", *more]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["nanoseconds"]


def tone_nanoseconds(core, *more):
    """CPU time to search a packet of 20 ms for DTMF, where a trunk is listened to."""
    command = ["taskset", "-c", str(core), product("relayd-trace-cost"), "--tones", *more]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["nanosecondsPerPacket"]


def scrape(address):
    start = time.monotonic()
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        octets = len(answer.read())
    return time.monotonic() - start, octets


def thread_seconds(pid):
    """CPU time of each thread, by name, in the scheduler's nanoseconds."""
    found = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/comm") as name, open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
                key = "control" if thread == str(pid) else name.read().strip()
                found[key] = found.get(key, 0) + int(stat.read().split()[0]) / 1e9
        except OSError:
            pass
    return found


def scrapes(server, http, count, idle_seconds):
    """CPU of a scrape: what the server uses while it is scraped less what it uses anyway, by thread."""
    def window(body):
        before, start = thread_seconds(server.pid), time.monotonic()
        body()
        length = time.monotonic() - start
        after = thread_seconds(server.pid)
        return {name: after[name] - before.get(name, 0) for name in after}, length

    scrape(http)  # the first one makes what later ones find
    answers = []
    idle, idle_length = window(lambda: time.sleep(idle_seconds))
    busy, busy_length = window(lambda: answers.extend(scrape(http) for _ in range(count)))
    cost = {name: (busy[name] - idle.get(name, 0) / idle_length * busy_length) / count * 1e6 for name in busy}
    return {
        "microseconds": {name: value for name, value in cost.items() if value > 0.5},
        "totalMicroseconds": sum(cost.values()), "octets": answers[-1][1],
        "milliseconds": sorted(seconds * 1e3 for seconds, _ in answers),
    }
