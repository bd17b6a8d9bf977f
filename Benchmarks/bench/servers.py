"""The servers under test. Each is started for one measurement, set up with N calls, and stopped."""

import ctypes
import json
import os
import resource
import select
import shutil
import socket
import subprocess
import tempfile
import time

from . import ng

ADDRESS = "127.0.0.1"
FIRST_PORT, LAST_PORT = 10000, 32766
START_LIMIT_SECONDS = 30
#: As many as an ordinary limit of 20,000 open files lets relayd have.
MOST_CALLS = 4900


class ServerFailed(Exception):
    """A server did not start, or ended before it was told to."""


def cpu_seconds(pid):
    """CPU time of all threads of a process, user and kernel, in nanosecond resolution."""
    libc = ctypes.CDLL(None, use_errno=True)
    clock = ctypes.c_int()
    if libc.clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        raise ServerFailed(f"no process {pid}")
    return time.clock_gettime(clock.value)


def kernel_kilobytes():
    """What the kernel's own objects take on this host, sockets among them."""
    with open("/proc/meminfo") as memory:
        return next(int(line.split()[1]) for line in memory if line.startswith("Slab:"))


def resident_kilobytes(pid):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


class Server:
    """One process, pinned with all its threads to one core."""

    name = ""
    #: Why this server cannot run here, as a sentence; None when it can.
    missing = None
    #: Its packets never come to it, but turn back inside the kernel. On loopback they would in the middle of the generator's send.
    is_in_kernel = False
    #: The Ethernet address that packets go to, where that is not the address of the server's device.
    mac = None

    def __init__(self, core, log_path, media_address=ADDRESS):
        self.core = core
        self.log_path = log_path
        self.media_address = media_address
        self.process = None
        self.input_path = os.devnull
        #: What set-up cost, for servers whose calls are set up by a protocol.
        self.setup = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def launch(self, command, **options):
        with open(self.log_path, "ab") as log, open(self.input_path, "rb") as source:
            # `taskset` and `prlimit` replace themselves, so the process id is the server's.
            self.process = subprocess.Popen(
                ["prlimit", "--nofile=" + descriptor_limit(), "taskset", "-c", str(self.core), *command],
                stdin=source, stderr=log, **options)

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self.process = None

    def open_calls(self, endpoints):
        """Starts the server and sets up one call per `(caller, callee)`; its ports as `(callerPort, calleePort)`."""
        raise NotImplementedError


class PortPrinter(Server):
    """A server that prints `call callerPort calleePort` for each call and then `ready`."""

    def command(self, endpoints):
        raise NotImplementedError

    def open_calls(self, endpoints):
        self.launch(self.command(endpoints), stdout=subprocess.PIPE)
        ports, deadline, text = {}, time.monotonic() + START_LIMIT_SECONDS, b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise ServerFailed(f"{self.name}: not ready after {START_LIMIT_SECONDS} s")
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                raise ServerFailed(f"{self.name}: ended during set-up, see {self.log_path}")
            *lines, text = (text + chunk).split(b"\n")
            for line in lines:
                if line == b"ready":
                    return [ports[call] for call in range(len(endpoints))]
                call, caller, callee = map(int, line.split())
                ports[call] = (caller, callee)


class Nobody(Server):
    """No server at all: packets arrive at the device, are another host's by their Ethernet address, and are thrown away. What the
    core does then it does beside any server."""

    name = "nobody"
    mac = "02:00:00:00:00:09"

    def open_calls(self, endpoints):
        self.launch(["sleep", "infinity"])
        return [(FIRST_PORT + 4 * call, FIRST_PORT + 4 * call + 2) for call in range(len(endpoints))]


class EpollRelay(PortPrinter):
    """The plain C peer."""

    name = "epoll-relay"

    def command(self, endpoints):
        return [os.path.join(build_directory(), "c", self.name), str(len(endpoints)), str(FIRST_PORT), self.media_address]


class UringRelay(EpollRelay):
    """The C peer with relayd's kernel features."""

    name = "uring-relay"


class UringRelayWithoutWindow(EpollRelay):
    """The same, handling packets as they come: what a relay takes of the kernel that does nothing else."""

    name = "uring-relay-no-window"

    def command(self, endpoints):
        return [os.path.join(build_directory(), "c", "uring-relay"), str(len(endpoints)), str(FIRST_PORT), self.media_address, "0"]


class NGServer(Server):
    """A server whose calls are set up and ended over the NG protocol."""

    ng_port = 0
    #: Sockets it may keep on purpose when all calls have ended.
    kept_sockets = 0

    def command(self):
        raise NotImplementedError

    def start(self):
        self.ng_port = free_udp_port()
        self.launch(self.command(), stdout=subprocess.DEVNULL)
        self.client = ng.NGClient(ADDRESS, self.ng_port)
        self.wait_until_it_answers()

    def open_calls(self, endpoints):
        self.start()
        return self.add_calls(endpoints)

    def add_calls(self, endpoints):
        cpu, memory, kernel = cpu_seconds(self.pid), resident_kilobytes(self.pid), kernel_kilobytes()
        ports = [self.client.open_call(call, *pair) for call, pair in enumerate(endpoints)]
        self.setup = {
            "cpuMicrosecondsPerCallOfferAnswer": (cpu_seconds(self.pid) - cpu) * 1e6 / len(endpoints),
            "residentKilobytesPerCall": (resident_kilobytes(self.pid) - memory) / len(endpoints),
            "kernelKilobytesPerCall": (kernel_kilobytes() - kernel) / len(endpoints),
        }
        self.calls = len(endpoints)
        return ports

    def close_calls(self):
        cpu = cpu_seconds(self.pid)
        for call in range(self.calls):
            self.client.close_call(call)
        self.setup["cpuMicrosecondsPerCallDelete"] = (cpu_seconds(self.pid) - cpu) * 1e6 / self.calls
        self.setup["cpuMicrosecondsPerCall"] = (
            self.setup["cpuMicrosecondsPerCallOfferAnswer"] + self.setup["cpuMicrosecondsPerCallDelete"])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def bound_sockets(self):
        """How many sockets are bound to relay ports on the address of the media."""
        wanted = "".join(f"{int(part):02X}" for part in reversed(self.media_address.split(".")))
        with open("/proc/net/udp") as table:
            next(table)
            locals_ = (line.split()[1].split(":") for line in table)
            return sum(address == wanted and FIRST_PORT <= int(port, 16) <= LAST_PORT for address, port in locals_)

    def wait_until_it_answers(self):
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerFailed(f"{self.name}: ended during start, see {self.log_path}")
            try:
                self.client.request("ping", timeout=0.2, attempts=1)
                return
            except ng.NGError:
                time.sleep(0.02)
        raise ServerFailed(f"{self.name}: no answer to ping after {START_LIMIT_SECONDS} s")

    def stop(self):
        if getattr(self, "client", None):
            self.client.close()
            self.client = None
        super().stop()


class RTPEngine(NGServer):
    """Debian's rtpengine in userspace, with the one worker thread that costs it least."""

    name = "rtpengine"

    def command(self):
        return [
            "rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1", "--num-threads=1",
            "--media-num-threads=1", f"--interface={self.media_address}", f"--listen-ng={ADDRESS}:{self.ng_port}",
            f"--port-min={FIRST_PORT}", f"--port-max={LAST_PORT}", "--timeout=3600", "--delete-delay=0",
        ]


class RelayHost(PortPrinter):
    """relayd's relay without its signalling: the `Relay` module with one worker."""

    name = "relay-host"
    more = []

    def __init__(self, core, log_path, media_address=ADDRESS):
        super().__init__(core, log_path, media_address)
        self.input_path = log_path + ".endpoints"

    def command(self, endpoints):
        with open(self.input_path, "w") as file:
            for call, (caller, callee) in enumerate(endpoints):
                file.write(f"{call} {caller[0]}:{caller[1]} {callee[0]}:{callee[1]}\n")
        return [
            os.path.join(build_directory(), "release", "relay-host"), "--address", self.media_address,
            "--first-port", str(FIRST_PORT), "--cpu", str(self.core), *self.more,
        ]


class RelayHostWithoutWindow(RelayHost):
    """The same, handling packets as they come instead of gathering them for up to a millisecond."""

    name = "relay-host-no-window"
    more = ["--window-microseconds", "0"]


class RelayHostInKernel(RelayHost):
    """The same, with streams that pass inside the kernel."""

    name = "relay-host-kernel"
    is_in_kernel = True
    more = ["--kernel", "yes"]

    @classmethod
    def find_missing(cls):
        """It ends at once with a sentence where it cannot have this."""
        with tempfile.TemporaryDirectory(prefix="relayd-bench-") as directory:
            log = os.path.join(directory, "log")
            try:
                with cls(min(os.sched_getaffinity(0)), log) as server:
                    server.open_calls([((ADDRESS, FIRST_PORT), (ADDRESS, FIRST_PORT + 2))])
            except ServerFailed as failure:
                with open(log, errors="replace") as file:
                    cls.missing = (file.read().strip().splitlines() or [str(failure)])[-1].rstrip(".")


class Relayd(NGServer):
    """The whole daemon with one worker, driven as Kamailio drives it; all its threads share the core."""

    name = "relayd"
    window = "1ms"
    kernel_path = False
    workers = 1
    kept_sockets = 4 * MOST_CALLS

    def command(self):
        directory = self.log_path + ".d"
        os.makedirs(directory, exist_ok=True)
        configuration = os.path.join(directory, "relayd.toml")
        with open(configuration, "w") as file:
            file.write(
                f'[sip]\nlisten = "{ADDRESS}:{free_udp_port()}"\n'
                f'[ng]\nlisten = "{ADDRESS}:{self.ng_port}"\ntimeout = 3600\ndelete_delay = 0\n'
                f'[media]\naddress = "{self.media_address}"\nworkers = {self.workers}\nports = "{FIRST_PORT}-{LAST_PORT}"\nquarantine = 0\n'
                f'wait_window = "{self.window}"\nkernel_path = {str(self.kernel_path).lower()}\n'
                # As little as rtpengine logs at the level it is given above.
                f'[log]\nlevel = "error"\n[limits]\ncalls = {MOST_CALLS}\nconnections = 10\nmemory_at_start = false\n'
                f'[control]\nsocket = "{directory}/relayd.sock"\n[records]\ndirectory = "{directory}"\n')
        return [relayd_binary(), "--config", configuration]

    def status(self):
        """What `relayctl status` shows, as fields."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{self.log_path}.d/relayd.sock")
            client.sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "status"}\n')
            with client.makefile("rb") as lines:
                return json.loads(lines.readline())["result"]

    def share_in_kernel(self):
        """The fraction of the RTP packets so far that never came to a socket."""
        counters = self.status()["counters"]
        return counters["rtp_packets_in_kernel"] / max(1, counters["rtp_packets_received"])


class RelaydWithoutWindow(Relayd):
    """The same, handling packets as they come instead of gathering them for up to a millisecond."""

    name = "relayd-no-window"
    window = "0s"


class RelaydInKernel(Relayd):
    """The same, with streams that pass inside the kernel: no window, since nothing is gathered there."""

    name = "relayd-kernel"
    is_in_kernel = True
    kernel_path = True

    @classmethod
    def find_missing(cls):
        """Whether this kernel and this user can have it is what the daemon itself says, at the loopback device."""
        with tempfile.TemporaryDirectory(prefix="relayd-bench-") as directory:
            with cls(min(os.sched_getaffinity(0)), os.path.join(directory, "log")) as server:
                server.start()
                status = server.status()
        if not status["media"].get("kernelDevices"):
            refusals = [warning for warning in status["warnings"] if "inside the kernel" in warning]
            cls.missing = (refusals or ["RTP does not pass inside the kernel."])[0].rstrip(".")


class RelaydWithTwoWorkers(Relayd):
    """The same with a second worker, for a core of its own."""

    name = "relayd-two-workers"
    workers = 2


#: "debug" for a smoke test, whose figures nobody sees.
relayd_build = "release"


def relayd_binary():
    return os.path.join(os.path.dirname(os.path.dirname(build_directory())), ".build", relayd_build, "relayd")


DEFAULT = [Relayd, RelaydInKernel, RelaydWithoutWindow, UringRelay, UringRelayWithoutWindow, RTPEngine]
ALL = [
    Relayd, RelaydInKernel, RelaydWithoutWindow, RelayHost, RelayHostWithoutWindow, RelayHostInKernel, EpollRelay, UringRelay,
    UringRelayWithoutWindow, RTPEngine,
]


def find_missing():
    if shutil.which("rtpengine") is None:
        RTPEngine.missing = "rtpengine is not installed (Debian package rtpengine-daemon)"
    if not os.access(os.path.join(build_directory(), "release", "relay-host"), os.X_OK):
        RelayHost.missing = "relay-host was not built"  # and with it the classes below it
    elif os.geteuid() == 0:
        RelayHostInKernel.find_missing()
    if not os.access(relayd_binary(), os.X_OK):
        Relayd.missing = "relayd has no release build (`make build` makes one)"
    elif os.geteuid() == 0:
        RelaydInKernel.find_missing()
    # On a pair of devices only, which need root anyway; `networks.Wire.missing` says so.


def build_directory():
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".build")


def descriptor_limit():
    """As many descriptors as this user may have: 4 per call and some more are needed."""
    return str(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]
