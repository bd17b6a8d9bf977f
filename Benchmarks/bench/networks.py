"""Where server and generator meet: on loopback, or at the two ends of a pair of veth devices."""

import os
import shutil
import subprocess


class NetworkFailed(Exception):
    """The devices could not be made."""


class Loopback:
    """Each endpoint a socket of its own."""

    name = "loopback"
    #: Where servers open their relay ports.
    address = "127.0.0.1"
    #: What the generator is told, and what it is started by.
    load_options = []
    load_prefix = []
    #: The core whose time is measured as a whole; on loopback the sender's core also receives, so there is none.
    core = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Wire:
    """The generator at the far end of a pair of veth devices, in a network namespace without an address of its own: it writes and
    reads whole frames, at a fraction of what its sockets would cost. The server is a hop away, as on a real network, and the
    network of benchmarks (198.18.0.0/15, RFC 2544) lies behind a gateway that is nobody: the generator takes what is sent there."""

    name = "a pair of veth devices"
    address = "198.18.0.1"
    gateway = "198.18.0.2"
    gateway_mac = "02:00:00:00:00:02"
    server_mac = "02:00:00:00:00:01"

    def __init__(self, core=None, gather=0):
        """`core` receives what comes in at the server's end, as if the interrupts of a network card went there; without
        one, the core that sends it does. The first of several frames waits for up to `gather` microseconds before they are
        sent together, as a card waits before it interrupts."""
        self.core = core
        self.namespace = f"relayd-bench-{os.getpid()}"
        self.near, self.far = (f"rb{os.getpid()}{end}" for end in "sg")
        self.load_options = ["--device", self.far, "--mac", self.server_mac, "--gather", str(gather)]
        self.load_prefix = ["ip", "netns", "exec", self.namespace]

    @staticmethod
    def missing():
        """Why there can be none here, as a sentence; None when there can."""
        if os.geteuid() != 0:
            return "a pair of veth devices needs root"
        if shutil.which("ip") is None:
            return "`ip` is not installed (Debian package iproute2)"
        return None

    def __enter__(self):
        commands = [
            f"netns add {self.namespace}",
            f"link add {self.near} address {self.server_mac} type veth peer name {self.far} netns {self.namespace}",
            f"-n {self.namespace} link set {self.far} up",
            f"link set {self.near} up",
            f"address add {self.address}/24 dev {self.near}",
            f"neighbour add {self.gateway} lladdr {self.gateway_mac} dev {self.near} nud permanent",
            f"route add 198.18.0.0/15 via {self.gateway} dev {self.near}",
        ]
        try:
            for command in commands:
                subprocess.run(["ip", *command.split()], check=True, capture_output=True, text=True)
            if self.core is not None:
                with open(f"/sys/class/net/{self.near}/queues/rx-0/rps_cpus", "w") as mask:
                    mask.write(processor_mask(self.core))
        except OSError as failure:
            self.__exit__()
            raise NetworkFailed(f"{self.near} is not received on core {self.core}: {failure}") from failure
        except subprocess.CalledProcessError as failure:
            self.__exit__()
            raise NetworkFailed(f"ip {' '.join(failure.cmd[1:])}: {failure.stderr.strip()}") from failure
        return self

    def __exit__(self, *_):
        # The devices are of the kernel's; one goes with the other, and both with the namespace.
        subprocess.run(["ip", "link", "delete", self.near], capture_output=True)
        subprocess.run(["ip", "netns", "delete", self.namespace], capture_output=True)


def processor_mask(core):
    """A mask of one CPU as the kernel reads it: groups of 32 bits, the highest first."""
    groups = [f"{1 << core % 32:08x}"] + ["00000000"] * (core // 32)
    return ",".join(groups)


def packets_received():
    """What each core has received for any device: `(packets, packets dropped for want of room)`, by core."""
    found = {}
    with open("/proc/net/softnet_stat") as table:
        for number, line in enumerate(table):
            fields = [int(text, 16) for text in line.split()]
            core = fields[12] if len(fields) > 12 else number
            found[core] = fields[0], fields[1]
    return found
