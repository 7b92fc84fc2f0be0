"""`kill -9` of the real daemon at work on clips: each result is that of an undisturbed run."""

import importlib.util
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

from tests.system.daemon_process import Daemon, wait_for
from tests.torture.daemons import folder_settings, grounds, real_daemon
from tests.torture.tally import Ground, Row, digest
from tests.worker import clips_kit

#: Three segments each, and a little more.
FRAMES = 300
SPREAD = 7
OUTPUT = {"video": {"format": "mov-qtrle"}}
#: A life lasts so long after the daemon is ready, in times of what one clip takes.
LIFE = (0.1, 1.0)


def clip_kills(base: Path, *, kills: int, clips: int, seed: int) -> list[Row]:
    """Kill at random moments, let the last life finish; one row, and how much was kept."""
    if importlib.util.find_spec("av") is None:
        return [Row("kill -9 during clips: left out, PyAV is not installed")]
    chance = random.Random(seed)
    sources = make_sources(base / "stock", clips)
    expected, clip_s = undisturbed(base / "calm", sources)
    (base / "rough").mkdir()
    folders = [settings()]
    [ground] = grounds(base / "rough", folders).values()
    ground.key_of = digest
    ground.good = expected
    for source in sources:
        shutil.copyfile(source, ground.hot / source.name)
    for _ in range(kills):
        live_and_die(base / "rough", folders, life_s=clip_s * chance.uniform(*LIFE))
    finish(real_daemon(base / "rough", folders), ground)
    row = ground.row(f"kill -9 during clips ({kills} times, seed {seed})")
    return [replace(row, torn=row.torn + len(leftovers(ground)))]


def settings() -> dict[str, object]:
    """One folder of clips, whose results are without loss."""
    folder = folder_settings("clips", video="cut", settle_s=0.5)
    folder["output"] = {"root": "outputs/clips", **OUTPUT}
    return folder


def make_sources(stock: Path, count: int) -> list[Path]:
    """Clips of different lengths, so that each result is known by its content."""
    stock.mkdir()
    return [
        clips_kit.write_clip(stock / f"clip{number}.mp4", frames=FRAMES + SPREAD * number)
        for number in range(count)
    ]


def undisturbed(base: Path, sources: list[Path]) -> tuple[dict[str, str], float]:
    """From the digest of each clip to that of its result in a life without death.

    And how many seconds each one took.
    """
    base.mkdir()
    folders = [settings()]
    [ground] = grounds(base, folders).values()
    for source in sources:
        shutil.copyfile(source, ground.hot / source.name)
        ground.good[digest(source)] = ""
    daemon = real_daemon(base, folders)
    daemon.wait_ready()
    began = time.monotonic()
    finish(daemon, ground)
    clip_s = (time.monotonic() - began) / len(sources)
    [drop] = ground.drops()
    names = {source: drop / source.with_suffix(".mov").name for source in sources}
    return {digest(source): digest(name) for source, name in names.items()}, clip_s


def live_and_die(base: Path, folders: list[dict[str, object]], *, life_s: float) -> None:
    """One life, until some time after it is ready."""
    daemon = real_daemon(base, folders)
    daemon.wait_ready()
    time.sleep(life_s)
    assert not daemon.has_ended(), daemon.told()
    daemon.kill()


def finish(daemon: Daemon, ground: Ground) -> None:
    """A last life that is left in peace."""
    try:
        daemon.wait_ready()
        wait_for(ground.is_through, patience_s=300)
        daemon.terminate()
    finally:
        daemon.kill()


def leftovers(ground: Ground) -> list[Path]:
    """Segments and notes that nobody needs any more."""
    return [
        path
        for drop in ground.drops()
        for pattern in (".*.segment", ".*.clip")
        for path in drop.rglob(pattern)
    ]
