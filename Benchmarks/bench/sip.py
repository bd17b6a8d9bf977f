"""The signalling servers under test: relayd, and Kamailio as a mere stateful proxy and as a registrar."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

from . import servers

ADDRESS = servers.ADDRESS
#: With one relay worker on the same core there is nothing that another core could take over.
KAMAILIO = shutil.which("kamailio") or "/usr/sbin/kamailio"


def load_command(core, mode, address, *more, pids=()):
    """The generator on a core, towards an address; it reads the CPU of these processes."""
    command = ["taskset", "-c", str(core), os.path.join(servers.build_directory(), "c", "sip-load"), mode, "--server", address, *more]
    for pid in pids:
        command += ["--pid", str(pid)]
    return command


def children(pid):
    """A process and everything below it: Kamailio is several processes."""
    found = [pid]
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            for child in file.read().split():
                found += children(int(child))
    except OSError:
        pass
    return found


def resident_kilobytes(pids):
    """Proportional set size: what processes share counts once."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total


class SIPServer(servers.Server):
    """A server that answers OPTIONS once it is up."""

    def __init__(self, core, directory, callee, users=0):
        super().__init__(core, os.path.join(directory, self.name + ".log"))
        # Of each start: registrations outlive a server, and would be there before the first phone has come.
        self.directory = tempfile.mkdtemp(prefix=self.name + "-", dir=directory)
        self.callee = callee
        self.users = users
        self.sends_keep_alives = True
        self.port = servers.free_udp_port()

    @property
    def address(self):
        return f"{ADDRESS}:{self.port}"

    def command(self):
        raise NotImplementedError

    def start(self):
        self.launch(self.command(), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + servers.START_LIMIT_SECONDS
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((ADDRESS, 0))
            probe.settimeout(0.1)
            own = "%s:%d" % probe.getsockname()
            request = (
                f"OPTIONS sip:{self.address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK%d;rport\r\nMax-Forwards: 70\r\n"
                f"From: <sip:probe@{own}>;tag=1\r\nTo: <sip:{self.address}>\r\nCall-ID: %d@probe\r\nCSeq: 1 OPTIONS\r\n"
                "Content-Length: 0\r\n\r\n")
            attempt = 0
            while time.monotonic() < deadline:
                if self.process.poll() is not None:
                    raise servers.ServerFailed(f"{self.name}: ended during start, see {self.log_path}")
                attempt += 1
                try:
                    probe.sendto((request % (attempt, attempt)).encode(), (ADDRESS, self.port))
                    probe.recv(4096)
                    return
                except OSError:
                    time.sleep(0.02)
        raise servers.ServerFailed(f"{self.name}: no answer after {servers.START_LIMIT_SECONDS} s")

    def pids(self):
        return children(self.pid)

    def memory_bytes(self):
        """What the server's processes have in memory."""
        return resident_kilobytes(self.pids()) * 1024


class Relayd(SIPServer):
    """The whole daemon with its defaults: media allocated, records written. Its worker and its control share the core."""

    name = "relayd"
    #: The program; None: the release build.
    binary = None

    def command(self):
        configuration = os.path.join(self.directory, "relayd.toml")
        with open(configuration, "w") as file:
            file.write(
                f'[sip]\nlisten = "{self.address}"\n'
                f'[media]\nworkers = 1\nports = "{servers.FIRST_PORT}-{servers.LAST_PORT}"\nquarantine = 0\n'
                f'[limits]\n{self.limits()}calls = 4900\ntransactions = 1000000\n[control]\nsocket = "{self.directory}/relayd.sock"\n'
                f'[records]\ndirectory = "{self.directory}"\n[log]\nlevel = "warning"\n')
            file.write(self.more())
        return [self.binary or servers.relayd_binary(), "--config", configuration]

    def limits(self):
        """Further lines of [limits]."""
        return ""

    def more(self):
        caller, callee = self.callee
        return (
            f'[[trunk]]\nname = "load"\naddress = "{caller}"\n'
            f'[[trunk]]\nname = "callee"\naddress = "{callee}"\nprefixes = [""]\n')


def other_relayd(binary):
    """relayd of another build, named after where it lies."""
    path = os.path.abspath(binary)
    return type("OtherRelayd", (Relayd,), {"name": path.strip("/").replace("/", "_"), "binary": path})


class Kamailio(SIPServer):
    """Kamailio with one worker that forwards every request statefully and record-routes: no media, no records."""

    name = "kamailio"

    def command(self):
        script = os.path.join(self.directory, "kamailio.cfg")
        with open(script, "w") as file:
            file.write(self.script())
        return [KAMAILIO, "-f", script, "-DD", "-E", "-m", "1024", "-M", "16", "-Y", self.directory, "-w", self.directory]

    def header(self, modules):
        return (
            "#!KAMAILIO\ndebug=0\nlog_stderror=yes\nfork=yes\nchildren=1\ntcp_children=1\ndisable_tcp=yes\nauto_aliases=no\n"
            f"listen=udp:{self.address}\n" + "".join(f'loadmodule "{name}.so"\n' for name in modules))

    def script(self):
        return self.header(["tm", "sl", "rr", "pv", "maxfwd", "siputils", "textops"]) + f"""
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (loose_route()) t_relay();
        exit;
    }}
    t_check_trans();
    if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
    record_route();
    $du = "sip:{self.callee[1]}";
    t_relay();
}}
"""


class Forwarder(SIPServer):
    """What the kernel takes for these messages: passed on as they are by io_uring in C, four sockets made and closed a call."""

    name = "uring-forward"

    def command(self):
        return [os.path.join(servers.build_directory(), "c", "uring-forward"), self.address, *self.callee, "4"]


class KamailioRegistrar(Kamailio):
    """Kamailio as registrar with digest, bindings in memory alone, and nathelper's keep-alives every 30 s."""

    name = "kamailio-registrar"

    def script(self):
        return self.header(["tm", "sl", "pv", "auth", "usrloc", "registrar", "nathelper", "kex", "siputils", "textops"]) + f"""
modparam("nathelper", "natping_interval", {30 if self.sends_keep_alives else 0})
""" + """
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "hash_size", 14)
modparam("usrloc", "nat_bflag", 6)
modparam("registrar", "max_contacts", 1)
modparam("registrar", "received_avp", "$avp(received)")
modparam("nathelper", "received_avp", "$avp(received)")
modparam("nathelper", "natping_processes", 1)
modparam("nathelper", "ping_nated_only", 1)
modparam("auth", "nonce_expire", 300)
request_route {
    if (is_method("OPTIONS")) { sl_send_reply("200", "OK"); exit; }
    if (!is_method("REGISTER")) { sl_send_reply("405", "Method Not Allowed"); exit; }
    if (!pv_www_authenticate("$td", "secret", "0")) { auth_challenge("$td", "1"); exit; }
    if (nat_uac_test("1")) { setbflag(6); fix_nated_register(); }
    save("location");
}
"""


class RelaydRegistrar(Relayd):
    """relayd as registrar with digest and its default keep-alives; bindings survive a restart."""

    name = "relayd-registrar"

    def memory_bytes(self):
        """What its allocator has given out: the rest of its heap was taken by transactions that are over."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{self.directory}/relayd.sock")
            client.sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "status"}\n')
            with client.makefile("rb") as lines:
                return json.loads(lines.readline())["result"]["memory"]["allocated"]

    def more(self):
        users = os.path.join(self.directory, "users")
        with open(users, "w") as file:
            file.writelines(f"u{number} plain:secret\n" for number in range(self.users))
        os.chmod(users, 0o600)
        # All phones of the generator have one address, and what is measured is a registration, not the shaping of them.
        keep_alive = "" if self.sends_keep_alives else '[keepalive]\nmessage = ""\n'
        return keep_alive + f'[registrar]\nusers_file = "{users}"\n[protection]\nregisters = 0\nregisters_per_source = 0\n'

    def limits(self):
        # Memory is measured by what it grows by.
        ready = "false" if self.sends_keep_alives else "true"
        return f"bindings = {max(self.users, 1)}\nmemory_at_start = {ready}\n"


def find_missing():
    missing = {}
    if not os.access(KAMAILIO, os.X_OK):
        missing["kamailio"] = "Kamailio is not installed (Debian package kamailio)"
    if not os.access(servers.relayd_binary(), os.X_OK):
        missing["relayd"] = "relayd has no release build (`make build` makes one)"
    return missing
