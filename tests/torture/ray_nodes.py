"""Machines for a cluster of Ray's: network namespaces on one bridge, a share, a token."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.daemon_process import ROOT, wait_for

PORT = 6379
NET = "10.77.16"
OBJECTS_BYTES = 80_000_000
TRIES = 8
OURS = " -m daemon"
ONE_SHARE = '--resources={"cvunetd": 1}'
ACTOR = "ray::NodeWorker"
#: Ray's own patience, made short: a node that is silent for so long is given up by its head, and
#: ends itself when it has not heard its head for so long.
QUICK = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "15",
    # A machine that runs tests is slow.
    "RAY_raylet_start_wait_time_s": "90",
    # As in our units: a machine that runs tests may be short of memory.
    "RAY_memory_monitor_refresh_ms": "0",
}


def run(*command: str) -> None:
    """A command that must not fail."""
    subprocess.run(command, check=True, capture_output=True)


@dataclass
class Machine:
    """A network namespace in which a part of the cluster runs."""

    base: Path
    name: str
    number: int
    token: Path
    place: Path
    """A folder with a short path: Ray's sockets lie far below it."""
    processor: int | None = None
    """The only one that it may use; None: all."""
    python: str = sys.executable
    code: str = str(ROOT)
    """Where its Python looks for programs first: folders, with a colon between them."""
    extra: dict[str, str] = field(default_factory=dict)
    """More of its environment."""
    before: str = ":"
    """What its shell does before Ray is started, with mounts of its own."""
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def address(self) -> str:
        """On the bridge."""
        return f"{NET}.{self.number}"

    @property
    def wrapper(self) -> tuple[str, ...]:
        """Runs a command there, in its own place."""
        pinned = () if self.processor is None else ("taskset", "-c", str(self.processor))
        return ("ip", "netns", "exec", self.name, *pinned)

    @property
    def environment(self) -> dict[str, str]:
        """What Ray reads."""
        ours = {
            "PYTHONPATH": self.code,
            "PATH": os.environ["PATH"],
            "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        return QUICK | ours | self.extra

    def start(self, *arguments: str) -> None:
        """`ray start`, which ends with what it has started."""
        self.starts += 1
        if self.process is not None:  # an earlier one, which was killed
            self.process.wait(30)
        command = [
            *(*self.wrapper, "sh", "-c", f'{self.before} && exec "$@"', "sh"),
            *(self.python, "-m", "ray.scripts.scripts", "start", "--block"),
            f"--node-ip-address={self.address}",
            f"--object-store-memory={OBJECTS_BYTES}",
            "--disable-usage-stats",
            *arguments,
        ]
        if "--head" in arguments:  # the others get its folder's name from it
            command.append(f"--temp-dir={self.place / str(self.starts)}")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def start_head(self) -> None:
        """The head, without workers; returns when it has started."""
        self.start_well("--head", f"--port={PORT}", "--include-dashboard=false", "--num-cpus=0")

    def start_node(self, head: "Machine", *, offers: tuple[str, ...] = (ONE_SHARE,)) -> None:
        """A node that ``offers`` one worker, or something else; returns when it has joined."""
        self.start_well(f"--address={head.address}:{PORT}", "--num-cpus=1", *offers)

    def start_well(self, *arguments: str) -> None:
        """Start Ray until it has started; on a busy machine it gives up its own processes."""
        for _ in range(TRIES):
            self.log.unlink(missing_ok=True)
            self.start(*arguments)
            if wait_for(lambda: self.has_joined() or self.has_ended()) and self.has_joined():
                return
            self.kill()
        raise AssertionError(self.told())

    def has_joined(self) -> bool:
        """Its raylet is there, and stays; one that has given up is started again, as by systemd."""
        return not self.has_ended() and "Ray runtime started" in self.told()

    def told(self) -> str:
        """What Ray has written."""
        return self.log.read_text(errors="replace")[-3000:]

    @property
    def log(self) -> Path:
        """Where `ray start` writes."""
        return self.base / f"{self.name}.log"

    def pids(self) -> list[int]:
        """All processes of this machine."""
        found = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True
        )
        return [int(line) for line in found.stdout.split()]

    def actors(self) -> list[int]:
        """The processes of its workers."""
        return [pid for pid in self.pids() if ACTOR in command_of(pid)]

    def on_mounts(self, *command: str) -> None:
        """Run a command that mounts something for this machine alone, whose Ray runs already.

        `ip netns exec` has given it mounts of its own, which follow ours and not the other way.
        """
        run(*self.with_mounts(*command))

    def with_mounts(self, *command: str) -> list[str]:
        """Return a command that sees what this machine has mounted."""
        [raylet, *_] = [pid for pid in self.pids() if "raylet/raylet" in command_of(pid)]
        return ["nsenter", "--target", str(raylet), "--mount", *command]

    def kill(self, word: str = "") -> None:
        """`kill -9` of all of Ray's, or of those with a word in their command."""
        for pid in self.pids():
            command = command_of(pid)
            if word in command and OURS not in command:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """`ray start` has given up."""
        return self.process is None or self.process.poll() is not None

    def set_link(self, state: str) -> None:
        """Pull the cable, or plug it in."""
        run("ip", "link", "set", f"{self.name}-b", state)


def command_of(pid: int) -> str:
    """A process's command line."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode("utf-8", "replace")
        )
    except OSError:
        return ""


@dataclass
class Machines:
    """The head, where the daemon runs, and nodes."""

    head: Machine
    nodes: list[Machine] = field(default_factory=list)

    def end(self) -> None:
        """Kill what is left, and wait for it."""
        for machine in (*self.nodes, self.head):
            machine.kill()
            if machine.process is not None:
                machine.process.wait(30)


@contextmanager
def machines(base: Path, nodes: int, *, are_pinned: bool = False) -> Iterator[Machines]:
    """A head and some nodes with links between them; needs root. All ends with the block."""
    token = base / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    place = Path(tempfile.mkdtemp(prefix="cvr-"))
    tag = f"cv{os.getpid() % 10_000}"
    processors = sorted(os.sched_getaffinity(0))
    made = [
        Machine(
            base,
            f"{tag}{'h' if number == 0 else number}",
            number + 1,
            token,
            place,
            processors[(number - 1) % len(processors)] if are_pinned and number else None,
        )
        for number in range(nodes + 1)
    ]
    head = made[0]
    cluster = Machines(head, made[1:])
    try:
        for machine in made:
            run("ip", "netns", "add", machine.name)
            run("ip", "-n", machine.name, "link", "set", "lo", "up")
        bridge = f"{tag}br"
        run("ip", "link", "add", bridge, "type", "bridge")
        run("ip", "link", "set", bridge, "up")
        for machine in made:
            plug_in(machine, bridge)
        yield cluster
    finally:
        cluster.end()
        for machine in made:
            subprocess.run(["ip", "netns", "del", machine.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", f"{tag}br"], check=False, capture_output=True)
        shutil.rmtree(place, ignore_errors=True)


def plug_in(machine: Machine, bridge: str) -> None:
    """A cable from a machine to the bridge."""
    outer, inner = f"{machine.name}-b", f"{machine.name}-m"
    run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
    run("ip", "link", "set", inner, "netns", machine.name)
    run("ip", "link", "set", outer, "master", bridge)
    run("ip", "link", "set", outer, "up")
    run("ip", "-n", machine.name, "addr", "add", f"{machine.address}/24", "dev", inner)
    run("ip", "-n", machine.name, "link", "set", inner, "up")
    run("ip", "-n", machine.name, "route", "add", "default", "dev", inner)
