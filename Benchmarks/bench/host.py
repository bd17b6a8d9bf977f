"""Where and with what a run was made."""

import os
import platform
import shutil
import subprocess


def output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = (done.stdout + done.stderr).strip()
    return text.splitlines()[0] if done.returncode == 0 and text else None


def cpu_model():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def stolen_ticks():
    """Time that the hypervisor gave to others, over all cores, in hundredths of a second."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8])


def describe(root):
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME"),
        "swift": output("swift", "--version"),
        "compiler": output("cc", "--version"),
        "rtpengine": output("rtpengine", "--version") if shutil.which("rtpengine") else None,
        "revision": output("git", "-C", root, "describe", "--always", "--dirty"),
        "loadAverageAtStart": os.getloadavg()[0],
    }
