"""A cluster that faults befall: nodes in namespaces with a share, a daemon beside the head."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from skimage import data

from tests.system.daemon_process import ROOT, WEIGHTS, Daemon, command, environment, wait_for
from tests.system.ray_orders import ORDER
from tests.torture.daemons import MODEL
from tests.torture.ray_nodes import PORT, Machine, Machines, machines, run
from tests.torture.tally import Ground

SMALLEST_PX = 200
#: A worker that has not answered for so long is given up.
SILENCE_S = 6
#: Beyond it nothing gets done, also on a machine with much else to do.
PATIENCE_S = 150.0
#: In it is the class of the actor.
NODE_WORKER = "worker/engines/cluster/node_worker.py"
#: The end of that module on a node whose worker obeys.
OBEY = """
import sys
from tests.system import ray_orders
ray_orders.install(sys.modules[__name__])
"""


def program(folder: Path, *, ends: dict[str, str]) -> str:
    """Our program in a folder of its own, as it might be on another machine; what to look in.

    ``ends``: by file of the program, what is added at its end.
    """
    place = folder / "daemon"
    shutil.copytree(
        ROOT / "daemon",
        place,
        copy_function=os.symlink,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name, end in ends.items():
        text = (place / name).read_text()
        (place / name).unlink()  # it is a link to ours
        (place / name).write_text(text + end)
    return f"{folder}:{ROOT}"


@dataclass
class Site:
    """A head, nodes, a share that all mount, and the daemon."""

    base: Path
    cluster: Machines
    daemon: Daemon
    ground: Ground
    dropped: int = 0

    @property
    def share(self) -> Path:
        """Where all machines mount it."""
        return self.base / "share"

    def drop(self, count: int) -> None:
        """Put photos into the hot folder at once, and expect their results."""
        made = self.photos(count)
        for photo in made:
            self.ground.expect(photo)
        self.put(made)

    def photos(self, count: int) -> list[Path]:
        """Make photos outside of the hot folder, each of another size."""
        stock = self.base / "stock"
        stock.mkdir(exist_ok=True)
        photo = Image.fromarray(data.astronaut())
        made = []
        for _ in range(count):
            self.dropped += 1
            made.append(stock / f"{self.dropped}.png")
            photo.resize((SMALLEST_PX, SMALLEST_PX + self.dropped)).save(made[-1])
        return made

    def put(self, photos: list[Path]) -> None:
        """Put files into the hot folder, each whole in one moment."""
        for path in photos:
            hidden = self.ground.hot / f".{path.name}"
            shutil.copyfile(path, hidden)
            hidden.rename(self.ground.hot / path.name)

    def is_through(self) -> bool:
        """All that was dropped has come out."""
        return self.ground.is_through()

    def told(self) -> str:
        """What the daemon has logged."""
        return self.daemon.told()

    def call(self, *arguments: str) -> str:
        """A command of `cvunetd` on the daemon's machine."""
        ended = subprocess.run(
            [*self.cluster.head.wrapper, *command(*arguments, "--config", self.daemon.config)],
            cwd=self.base,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return ended.stdout + ended.stderr

    def node(self, machine: Machine) -> dict[str, Any]:  # Any: JSON of `NodeState`
        """A node as the daemon reports it; empty if it does not know it."""
        report = json.loads(self.call("status", "--json"))["report"]
        found = report["cluster"]["nodes"] if report else []
        return next((one for one in found if one["address"] == machine.address), {})

    def words(self, machine: Machine) -> list[str]:
        """What its workers do."""
        return [worker["word"] for worker in self.node(machine).get("workers", [])]

    def why(self, machine: Machine) -> str:
        """Why it is not used."""
        node = self.node(machine)
        return "; ".join(filter(None, (node.get("why", ""), *(w["why"] for w in node["workers"]))))

    def wait_warm(self, *wanted: Machine) -> None:
        """Workers of all these take pictures."""
        assert wait_for(
            lambda: all(set(self.words(one)) == {"warm"} for one in wanted),
            patience_s=PATIENCE_S,
            pause_s=1.0,
        ), self.told()

    def order(self, machine: Machine, text: str) -> None:
        """Tell the worker of a machine what to do wrong; empty: nothing."""
        Path(machine.extra[ORDER]).write_text(text)

    def order_all(self, text: str) -> None:
        """Tell the workers of all machines the same."""
        for machine in self.cluster.nodes:
            self.order(machine, text)


def obeying(machine: Machine, base: Path) -> None:
    """Give a machine a program that does what it is ordered."""
    machine.code = program(base / f"program-{machine.number}", ends={NODE_WORKER: OBEY})
    machine.extra[ORDER] = str(base / f"order-{machine.number}")


@contextmanager
def site(base: Path, nodes: int, *, obey: bool = False, device: str = "cpu") -> Iterator[Site]:
    """A head, a daemon beside it, and machines that may become nodes."""
    real, share = base / "real", base / "share"
    for folder in (real, share):
        folder.mkdir()
    run("mount", "--bind", str(real), str(share))
    ground = Ground(share / "hot", share / "outputs", share / "failed")
    for folder in (ground.hot, ground.outputs, ground.failed):
        folder.mkdir()
    daemon: Daemon | None = None
    try:
        with machines(base, nodes) as cluster:
            for machine in cluster.nodes if obey else ():
                obeying(machine, base)
            cluster.head.start_head()
            try:
                daemon = Daemon(
                    base, settings(cluster, ground, device), wrapper=cluster.head.wrapper
                )
                yield Site(base, cluster, daemon, ground)
            finally:
                if daemon is not None:
                    daemon.kill()
    finally:
        run("umount", "--lazy", str(share))


def settings(cluster: Machines, ground: Ground, device: str) -> dict[str, object]:
    """The daemon's configuration."""
    reached = {
        "address": f"{cluster.head.address}:{PORT}",
        "token_file": str(cluster.head.token),
        "silence_s": SILENCE_S,
    }
    folder = {"path": str(ground.hot), "name": "hot", "settle_s": 0.5, "defer_s": 2.0}
    model = MODEL["model"] | {"weights": str(WEIGHTS), "device": device}
    return {
        "folders": [folder],
        "output": {"root": str(ground.outputs), "drop_idle_s": 600},
        "quarantine_dir": str(ground.failed),
        "worker": {"engine": "ray", "ray": reached},
        "model": model,
    }
