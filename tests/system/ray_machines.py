"""Machines with a systemd each, on one cable, with one share: set up as docs/cluster.md says.

The first is the head and has the daemon, the other is a node. Each runs the project's units as
they are; a drop-in of the laboratory says only where the libraries lie.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.system import systemd_machine
from tests.system.systemd_machine import LIBRARIES, PYTHON, SOURCE, WHEELS, Machine, wait_for

HEAD, NODE, DAEMON = "cvunetd-ray-head", "cvunetd-ray-node", "cvunetd"
NET = "10.77.40"
#: What the units let in: the addresses of the machines, and not the stranger's on the same cable.
ALLOWED, STRANGER = f"{NET}.0/28", f"{NET}.99"
PORT = 6379
PLACE, CONFIG, UNITS = "/srv/cvunetd", "/etc/cvunetd/config.yaml", "/etc/systemd/system"
OWNER, TOKEN = 850, "/etc/cvunetd/ray-token"
#: Without it systemd in the machine cannot make the firewall of a unit, and does not complain.
FIREWALL = "--system-call-filter=bpf"
LABORATORY = f"""[Service]
Environment=PYTHONPATH={LIBRARIES} LD_LIBRARY_PATH={PYTHON}/lib OMP_NUM_THREADS=1
"""
#: What pip writes for ray's entry point, where ray is not found on a path of the laboratory.
RAY_PROGRAM = "#!/opt/cvunetd/bin/python\nfrom ray.scripts.scripts import main\nmain()\n"
#: Whether a port takes a connection: a firewall of systemd's drops what it does not let through.
ASK_S = 3.0
#: Each on a busy machine.
INSTALL_S, START_S = 600.0, 240.0


def run(*command: str) -> str:
    """A command that must not fail."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True, slots=True)
class Member:
    """One machine of the cluster."""

    machine: Machine
    number: int
    unit: str
    """Ray's unit there."""

    @property
    def address(self) -> str:
        """On the cable."""
        return f"{NET}.{self.number}"

    def systemctl(self, *arguments: str) -> str:
        """Ask or tell its systemd; whatever it answers."""
        return self.machine.run("systemctl", *arguments, check=False).strip()

    def property(self, name: str, unit: str = "") -> str:
        """What systemd says of Ray's unit, or of another."""
        return self.systemctl("show", "--value", "--property", name, unit or self.unit)

    def log(self, unit: str = "") -> str:
        """The last lines of its journal."""
        lines = ("--no-pager", "--lines=60", "--unit", unit or self.unit)
        return self.machine.run("journalctl", *lines, check=False)

    def cvunetd(self, *arguments: str) -> str:
        """What the program says, asked by root, who may read the token."""
        return self.machine.run(
            *("/opt/cvunetd/bin/cvunetd", *arguments, "--config", CONFIG),
            check=False,
            patience_s=START_S,
            PYTHONPATH=str(LIBRARIES),
            RAY_AUTH_TOKEN_PATH=TOKEN,
        )

    def commands(self) -> list[str]:
        """Command lines of the user's processes."""
        told = self.machine.run("ps", "-u", "cvunetd", "-o", "args=", check=False)
        return told.splitlines()

    def prepare(self, folder: Path) -> None:
        """The same user on each machine, and what is to be installed there."""
        ids = ("--gid", str(OWNER))
        home = ("--home-dir", "/var/lib/cvunetd", "--shell", "/usr/sbin/nologin")
        self.machine.run("groupadd", *ids, "cvunetd")
        self.machine.run("useradd", "--uid", str(OWNER), *ids, *home, "cvunetd")
        self.machine.path(SOURCE).parent.mkdir(parents=True, exist_ok=True)
        run("cp", "-r", str(folder / "source"), str(self.machine.path(SOURCE)))
        run("cp", "-r", str(folder / "wheels"), str(self.machine.path(WHEELS)))
        # There is no server for names on the cable, and each question would take seconds.
        self.machine.path("/etc/resolv.conf").unlink(missing_ok=True)
        self.machine.write("/etc/hosts", "127.0.0.1 localhost\n")

    def upgrade(self) -> None:
        """Install the wheel that lies there; also for the first time."""
        [wheel] = self.machine.path(WHEELS).glob("*.whl")
        self.machine.run(
            *("bash", f"{SOURCE}/packaging/install.sh", "--no-start"),
            *("--python", f"{PYTHON}/bin/python3", "--from", f"{WHEELS}/{wheel.name}"),
            patience_s=INSTALL_S,
            PYTHONPATH=str(LIBRARIES),
            PIP_NO_INDEX="1",
        )

    def drop_in(self, unit: str, name: str, text: str) -> None:
        """Another setting, from the unit's next start on."""
        self.machine.write(f"{UNITS}/{unit}.service.d/{name}.conf", text)
        self.systemctl("daemon-reload")


@dataclass(frozen=True, slots=True)
class Site:
    """The machines and what they share."""

    head: Member
    node: Member
    share: Path
    """`/srv/cvunetd` of all machines, as it is reached from here."""
    stranger: str
    """A network namespace on the same cable, with an address that nobody lets in."""

    def answers(self, address: str, port: int, *, asked_by: Member | None = None) -> bool:
        """Whether a port takes a connection of the stranger, or of a machine."""
        ask = ("timeout", str(ASK_S), "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}")
        if asked_by is not None:
            return asked_by.machine.process(*ask).returncode == 0
        command = ["ip", "netns", "exec", self.stranger, *ask]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def start(self) -> None:
        """The head, the node, the daemon; returns when all are ready."""
        self.head.systemctl("restart", HEAD)
        assert wait_for(
            lambda: self.answers(self.head.address, PORT, asked_by=self.head), patience_s=START_S
        ), self.head.log()
        self.node.systemctl("restart", NODE)
        self.head.machine.run("systemctl", "restart", DAEMON, patience_s=START_S)


@contextmanager
def site() -> Iterator[Site]:
    """A head and a node, installed and not started; all of it is gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cvunetd-share-")))
        share, source = folder / "share", folder / "source"
        share.mkdir()
        source.mkdir()
        systemd_machine.copy_source(source)
        systemd_machine.build_wheel(source, folder / "wheels")
        wires = stack.enter_context(cable())

        def boot(number: int, unit: str) -> Member:
            options = (f"--bind={share}:{PLACE}", FIREWALL)
            member = Member(stack.enter_context(systemd_machine.booted(*options)), number, unit)
            wires.plug_in(member.machine.leader, member.address)
            member.prepare(folder)
            return member

        head, node = boot(1, HEAD), boot(2, NODE)
        head.upgrade()
        copy_program(head, node)
        token = secrets.token_hex(32)
        for member in (head, node):
            set_up(member, token)
        configure_daemon(head)
        yield Site(head, node, share, wires.stranger)


@dataclass(frozen=True, slots=True)
class Cable:
    """A bridge on this machine, with a stranger on it."""

    tag: str

    @property
    def stranger(self) -> str:
        """Its network namespace."""
        return f"{self.tag}s"

    def plug_in(self, target: int | str, address: str) -> None:
        """Give a network namespace (a process's, or a named one) an address on the cable."""
        name = f"{self.tag}{address.rpartition('.')[2]}"
        where = str(target)
        run("ip", "link", "add", f"{name}b", "type", "veth", "peer", "name", f"{name}m")
        run("ip", "link", "set", f"{name}m", "netns", where, "name", "cable0")
        run("ip", "link", "set", f"{name}b", "master", f"{self.tag}br", "up")
        inside = (
            ("nsenter", "--target", where, "--net")
            if isinstance(target, int)
            else ("ip", "netns", "exec", where)
        )
        run(*inside, "ip", "addr", "add", f"{address}/24", "dev", "cable0")
        run(*inside, "ip", "link", "set", "cable0", "up")
        run(*inside, "ip", "link", "set", "lo", "up")
        run(*inside, "ip", "route", "add", "default", "dev", "cable0")


@contextmanager
def cable() -> Iterator[Cable]:
    """A bridge with a stranger; gone afterwards."""
    made = Cable(f"cvu{os.getpid() % 10_000}")
    try:
        run("ip", "link", "add", f"{made.tag}br", "type", "bridge")
        run("ip", "link", "set", f"{made.tag}br", "up")
        run("ip", "netns", "add", made.stranger)
        made.plug_in(made.stranger, STRANGER)
        yield made
    finally:
        for what in (("netns", "del", made.stranger), ("link", "del", f"{made.tag}br")):
            subprocess.run(["ip", *what], check=False, capture_output=True)


# --- steps of docs/cluster.md --------------------------------------------------------------------


def copy_program(source: Member, target: Member) -> None:
    """What `install.sh` has made on one machine: it takes half a minute on each."""
    for place in ("/opt/cvunetd", "/etc/cvunetd"):
        run("cp", "-a", str(source.machine.path(place)), str(target.machine.path(place)))


def set_up(member: Member, token: str) -> None:
    """Ray's unit, its addresses, and the token."""
    machine = member.machine
    program = machine.path("/opt/cvunetd/bin/ray")
    program.write_text(RAY_PROGRAM, encoding="utf-8")
    program.chmod(0o755)
    machine.write(TOKEN, token)
    machine.path(TOKEN).chmod(0o600)
    unit = f"{SOURCE}/packaging/ray/{member.unit}.service"
    machine.run("install", "-m", "0644", unit, f"{UNITS}/")
    text = (machine.path(SOURCE) / "packaging/ray/ray.env").read_text(encoding="utf-8")
    text = text.replace("CVUNETD_RAY_IP=10.0.0.5", f"CVUNETD_RAY_IP={member.address}")
    machine.write("/etc/cvunetd/ray.env", text.replace("10.0.0.5:6379", f"{NET}.1:{PORT}"))
    member.drop_in(member.unit, "laboratory", LABORATORY)
    member.drop_in(member.unit, "network", f"[Service]\nIPAddressAllow={ALLOWED}\n")


def configure_daemon(head: Member) -> None:
    """The daemon beside the head, which speaks to the cluster."""
    machine = head.machine
    settings = yaml.safe_load(machine.path(CONFIG).read_text(encoding="utf-8"))
    settings["folders"][0]["settle_s"] = 0.5
    settings["model"] |= {"input_size": 64, "device": "cpu"}
    settings["retention"]["min_free_mb"] = 1
    settings["worker"] |= {"engine": "ray", "queue_size": 256}
    settings["worker"]["ray"] = {"address": f"{head.address}:{PORT}"}
    machine.write(CONFIG, yaml.safe_dump(settings))
    drop_in = f"{SOURCE}/packaging/ray/ray.conf"
    machine.run("install", "-D", "-m", "0644", drop_in, f"{UNITS}/cvunetd.service.d/ray.conf")
    head.drop_in(DAEMON, "laboratory", LABORATORY)
    head.drop_in(DAEMON, "network", f"[Service]\nIPAddressAllow={ALLOWED}\n")


if __name__ == "__main__":  # a site to look into, until Enter is pressed
    with site() as found:
        found.start()
        leaders = [member.machine.leader for member in (found.head, found.node)]
        sys.stdout.write(f"nsenter --all --target {leaders}; {found.share}; {found.stranger}\n")
        sys.stdout.flush()
        sys.stdin.read(1)
