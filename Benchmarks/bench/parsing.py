"""What reading a SIP message costs: an INVITE of 860 octets, read into a layout that is reused, and read to be kept."""

import json
import os
import re
import shutil
import subprocess
import tempfile

from . import servers

#: Microseconds of CPU, and calls of the allocator: what reading may cost at the most.
AIM_MICROSECONDS = 1
AIM_ALLOCATIONS = 0
ALLOCATORS = {"malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"}


def product():
    return os.path.join(os.path.dirname(servers.relayd_binary()), "relayd-parse-cost")


def profile(executable, directory, arguments):
    """Instructions of a whole run and how often memory was taken in it, as callgrind counts both."""
    path = os.path.join(directory, "profile")
    subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={path}", executable, *arguments], check=True, capture_output=True)
    names, instructions, allocations, called = {}, 0, 0, None
    with open(path, errors="replace") as file:
        for line in file:
            if found := re.match(r"c?fn=\((\d+)\)(?: (.*))?", line):
                name = names.setdefault(found[1], found[2])
                called = name if line.startswith("c") else None
            elif line.startswith("calls=") and called and called.split("'")[0] in ALLOCATORS:
                allocations += int(line[6:].split()[0])
            elif line.startswith("totals:"):
                instructions = int(line.split()[1])
    return instructions, allocations


def count(quick, *more):
    """Instructions and allocations a message: what a second lot of messages adds to the first."""
    lot = 50 if quick else 2000
    with tempfile.TemporaryDirectory(prefix="relayd-callgrind-") as directory:
        executable = os.path.join(directory, "relayd-parse-cost")
        subprocess.run(["strip", "--strip-debug", "-o", executable, product()], check=True)
        once, twice = (profile(executable, directory, [str(number), *more]) for number in (lot, 2 * lot))
    return {"instructions": (twice[0] - once[0]) / lot, "allocations": (twice[1] - once[1]) / lot}


def measure(core, quick):
    """None where relayd-parse-cost was not built."""
    if not os.access(product(), os.X_OK):
        return None
    command = ["taskset", "-c", str(core), product(), "--json", *(["--quick"] if quick else [])]
    timed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    measured = {
        "octets": timed["octets"], "read": {"nanoseconds": timed["nanoseconds"]}, "kept": {"nanoseconds": timed["keptNanoseconds"]},
        "aim": {"microseconds": AIM_MICROSECONDS, "allocations": AIM_ALLOCATIONS},
    }
    if shutil.which("valgrind") and shutil.which("strip"):
        measured["read"] |= count(quick)
        measured["kept"] |= count(quick, "--kept")
    return measured


def table(measured):
    lines = [f"parse of an {measured['octets']}-byte INVITE"]
    for name, what in ("read", "read into a layout that is reused"), ("kept", "as a message to keep"):
        one, time = measured[name], measured[name]["nanoseconds"]
        line = f"  {what}: {time['median'] / 1e3:.2f} µs ({time['min'] / 1e3:.2f}–{time['max'] / 1e3:.2f})"
        if "allocations" in one:
            line += f", {one['allocations']:g} allocations, {one['instructions']:,.0f} instructions"
        lines.append(line)
    read = measured["read"]
    met = read["nanoseconds"]["median"] / 1e3 < AIM_MICROSECONDS and read.get("allocations", 0) <= AIM_ALLOCATIONS
    lines.append(f"  {'met   ' if met else 'MISSED'}  aim < {AIM_MICROSECONDS} µs and {AIM_ALLOCATIONS} allocations")
    return "\n".join(lines)
