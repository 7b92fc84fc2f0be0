"""A cluster of two nodes whose parts are killed and cut off while it works: needs root and ray."""

import importlib.util
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image

from tests.system.daemon_process import Daemon, wait_for
from tests.torture.daemons import MODEL, folder_settings, grounds
from tests.torture.photos import Stock
from tests.torture.ray_nodes import ACTOR, PORT, Machines, machines
from tests.torture.tally import Ground, Row

PATIENCE_S = 400.0
CUT_OFF_S = 20.0
#: So much is done when something happens.
EARLY = 0.15
#: Parts of a worker that is cut off appear for a while.
STRAY_S = 40.0
RATES = ALONE, TOGETHER = "one node alone", "two nodes together"
WHOLE = 100
SHORT = ("kill -9 of a worker", "kill -9 of a node")
WARM = "is warm on"
LARGE_PX = 1200
SMALL_TO_LARGE = 5
LEAST_LARGE = 16


def ray_cluster(base: Path, *, photos: int) -> list[Row]:
    """One row for each thing that happens; one daemon lives through all of it.

    With few photos only what takes no minutes: the share for CI.
    """
    if os.geteuid() != 0 or importlib.util.find_spec("ray") is None or not shutil.which("ip"):
        return [Row("Ray: skipped, needs root, ip and the extra ray")]
    is_whole = photos >= WHOLE
    events = EVENTS if is_whole else {name: EVENTS[name] for name in SHORT}
    folders = [folder_settings(name) for name in (*events, *(RATES if is_whole else ()))]
    places = grounds(base, folders)
    titles: dict[str, str] = {}
    with machines(base, 2, are_pinned=True) as cluster:
        cluster.head.start_head()
        cluster.nodes[0].start_node(cluster.head)
        settings: dict[str, object] = {"folders": folders, "worker": worker_settings(cluster)}
        daemon = Daemon(base, settings | MODEL, wrapper=cluster.head.wrapper)
        try:
            daemon.wait_ready()
            alone = rate_of(base, places[ALONE], photos=photos) if is_whole else 1.0
            cluster.nodes[1].start_node(cluster.head)
            assert wait_for(lambda: daemon.told().count(WARM) >= 2), daemon.told()
            if is_whole:
                times = rate_of(base, places[TOGETHER], photos=photos) / alone
                titles[TOGETHER] = f"two nodes do {times:.2f} times the work of one (asked: 1.7)"
            for name, happen in events.items():
                one_event(base, places[name], name, photos, partial(happen, cluster))
                assert not daemon.has_ended(), daemon.told()
            time.sleep(STRAY_S if is_whole else 0.0)
            daemon.terminate()
        finally:
            daemon.kill()
    return [place.row(f"Ray: {titles.get(name, name)}") for name, place in places.items()]


def rate_of(base: Path, ground: Ground, *, photos: int) -> float:
    """Large photos a second, from the first to the last that is published.

    Most of their time is the workers'. Small ones would measure the service.
    """
    count = max(photos // SMALL_TO_LARGE, LEAST_LARGE)
    folder = base / f"stock-{ground.hot.name.replace(' ', '-')}"
    folder.mkdir()
    large = Image.effect_noise((LARGE_PX, LARGE_PX + count), 60.0).convert("RGB")
    photos_made = [folder / f"{number}.jpg" for number in range(count)]
    for number, photo in enumerate(photos_made):
        large.crop((0, 0, LARGE_PX, LARGE_PX + number)).save(photo)
        ground.expect(photo)
    for photo in photos_made:
        photo.rename(ground.hot / photo.name)
    assert wait_for(lambda: ground.arrived() >= 1, patience_s=PATIENCE_S)
    first, began = ground.arrived(), time.monotonic()
    assert wait_for(ground.is_through, patience_s=PATIENCE_S)
    return (count - first) / (time.monotonic() - began)


def worker_settings(cluster: Machines) -> dict[str, object]:
    """The section `worker:` of the daemon."""
    ray = {
        "address": f"{cluster.head.address}:{PORT}",
        "token_file": str(cluster.head.token),
        "silence_s": 15,
    }
    return {"engine": "ray", "ray": ray}


def one_event(
    base: Path, ground: Ground, name: str, photos: int, happen: Callable[[], object]
) -> None:
    """Drop photos, let something happen while they are cut out, wait until all are through."""
    stock = Stock(base / f"stock-{name.replace(' ', '-')}")
    for number, photo in enumerate(stock.photos(photos)):
        ground.expect(photo)
        shutil.copyfile(photo, ground.hot / f"{number}.png")
    assert wait_for(lambda: ground.arrived() >= photos * EARLY, patience_s=PATIENCE_S), name
    happen()
    wait_for(ground.is_through, patience_s=PATIENCE_S)


# --- what happens ----------------------------------------------------------------------------


def kill_worker(cluster: Machines) -> None:
    """The actor of the first node."""
    cluster.nodes[0].kill(ACTOR)


def cut_off_and_heal(cluster: Machines) -> None:
    """The cable of the first node is out for a while."""
    cluster.nodes[0].set_link("down")
    time.sleep(CUT_OFF_S)
    cluster.nodes[0].set_link("up")


def kill_node(cluster: Machines) -> None:
    """All of the first node, which comes back."""
    cluster.nodes[0].kill()
    cluster.nodes[0].start_node(cluster.head)


def kill_head(cluster: Machines) -> None:
    """The head's processes, beside the daemon; its nodes end, and systemd starts all anew."""
    cluster.head.kill()
    time.sleep(2.0)
    cluster.head.start_head()
    for node in cluster.nodes:
        wait_for(node.has_ended, patience_s=120.0)
        node.kill()
        node.start_node(cluster.head)


def cut_off(cluster: Machines) -> None:
    """The cable of the second node is pulled for ever."""
    cluster.nodes[1].set_link("down")


EVENTS: dict[str, Callable[[Machines], None]] = {
    "kill -9 of a worker": kill_worker,
    "a node cut off for 20 s": cut_off_and_heal,
    "kill -9 of a node": kill_node,
    "kill -9 of the head": kill_head,
    "a node cut off for ever": cut_off,
}
