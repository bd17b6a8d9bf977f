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

    def __init__(self):
        self.namespace = f"relayd-bench-{os.getpid()}"
        self.near, self.far = (f"rb{os.getpid()}{end}" for end in "sg")
        self.load_options = ["--device", self.far, "--mac", self.server_mac]
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
        except subprocess.CalledProcessError as failure:
            self.__exit__()
            raise NetworkFailed(f"ip {' '.join(failure.cmd[1:])}: {failure.stderr.strip()}") from failure
        return self

    def __exit__(self, *_):
        # The devices are of the kernel's; one goes with the other, and both with the namespace.
        subprocess.run(["ip", "link", "delete", self.near], capture_output=True)
        subprocess.run(["ip", "netns", "delete", self.namespace], capture_output=True)
