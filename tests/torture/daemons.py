"""Daemons to be tortured: the real one, and one whose engine copies instead of computing."""

import argparse
import logging
import os
import shutil
import signal
import sys
from pathlib import Path

from daemon.config.schema import load
from daemon.disk import files
from daemon.jobs import Done, Outcome, Task
from daemon.messages import Stop
from daemon.service.assembly import assemble
from daemon.service.owned_folders import locked, owned_folders
from daemon.service.service import Clocks, Inbox
from daemon.worker.engines.direct import DirectEngine
from tests.system.daemon_process import SETTINGS, Daemon
from tests.torture.tally import Ground

MODEL = {"model": SETTINGS["model"] | {"input_size": 64}}  # type: ignore[operator]  # a mapping


def folder_settings(name: str, **changes: object) -> dict[str, object]:
    """A hot folder with an output of its own."""
    settings: dict[str, object] = {
        "path": f"hot/{name}",
        "name": name,
        "settle_s": 1.0,
        "defer_s": 60.0,
        "output": {"root": f"outputs/{name}"},
    }
    return settings | changes


def grounds(base: Path, folders: list[dict[str, object]]) -> dict[str, Ground]:
    """The folders on disk, by name."""
    made = {}
    for folder in folders:
        name = str(folder["name"])
        ground = Ground(base / "hot" / name, base / "outputs" / name, base / "failed" / name)
        ground.originals = folder.get("originals", "archive")  # type: ignore[assignment]
        ground.hot.mkdir(parents=True, exist_ok=True)
        made[name] = ground
    return made


def real_daemon(base: Path, folders: list[dict[str, object]], **changes: object) -> Daemon:
    """`cvunetd run` with the real weights and a small input."""
    return Daemon(base, {"folders": folders} | MODEL | changes)


class CopyingDaemon(Daemon):
    """The same service in a process of its own, but a result is a copy of its original."""

    def __init__(self, base: Path, settings: dict[str, object]) -> None:
        super().__init__(base, settings, arguments=[sys.executable, "-m", __name__, str(base)])


def copy_out(task: Task) -> Outcome:
    """The whole work of the copying engine; durable, as the real one's."""
    identity = files.identity(task.source)
    assert identity is not None
    with task.source.open("rb") as reader, task.part.open("wb") as writer:
        shutil.copyfileobj(reader, writer)
        writer.flush()
        os.fsync(writer.fileno())
    return Done(identity, 0, 0, {}, ())


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    base = parser.parse_args().base
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("daemon.service.service").setLevel(logging.INFO)
    config, base = load(base / "config.yaml")
    place = owned_folders(config, base)
    inbox = Inbox()
    signal.signal(signal.SIGTERM, lambda number, frame: inbox.put(Stop(number)))
    with locked(place) as place:
        engine = DirectEngine(copy_out)
        service = assemble(config, place, engine, inbox=inbox, clocks=Clocks(), is_watching=True)
        service.run()


if __name__ == "__main__":
    main()
