"""One worker with several models of values, in this process or in an actor of Ray's."""

import threading
from pathlib import Path
from typing import Any

from PIL import Image

from daemon.worker.engines.cluster.access import Access
from daemon.worker.engines.cluster.driver import RayProcess
from daemon.worker.engines.cluster.engine import LOOKERS, ClusterEngine
from daemon.worker.engines.cluster.node_checks import NodeRequest
from daemon.worker.engines.cluster.node_worker import Setup
from daemon.worker.engines.local import EngineSettings
from daemon.worker.gauges import Limits
from daemon.worker.lanes import ServedModel
from daemon.worker.worker import Worker
from tests.worker.cluster_kit import SETTINGS
from tests.worker.test_bad_input import Whole
from tests.worker.test_lanes import Broken, Everything, Nothing
from tests.worker.test_second_opinions import Seen, hash_of

LIMITS = Limits(max_batch=8, max_wait_s=0.05, decoders=2, finishers=2, memory_bytes=10**8)


class Corner(Whole):
    """The same, on a device without memory of its own."""

    def memory(self) -> None:
        """Not told."""


def models() -> dict[str, Any]:
    """Stand for predictors, by name; the first is the default."""
    return {
        "whole": Corner(),
        "choosy": Everything(),
        "nothing": Nothing(),
        "broken": Broken(),
        "unsure": Seen(0.6),
        "large": Seen(1),
    }


def open_worker(settings: EngineSettings) -> Worker:
    """A real worker around them; an actor calls it by its name."""
    served = {
        name: ServedModel([one], sha256=hash_of(name), settings={"name": name})
        for name, one in models().items()
    }
    return Worker(served, LIMITS)


def open_on_ray() -> ClusterEngine:
    """The same worker in the actor of a cluster of one node, which is started for it."""
    setup = Setup(SETTINGS, NodeRequest(read=(), written=()), "", "", open_engine=open_worker)
    engine = ClusterEngine(Access("local"), setup, RayProcess)
    engine.wait_until_warm(lambda step: None)
    assert engine.depth, engine.cluster.trouble
    # All its threads now, or a test would seem to leave one behind.
    barrier = threading.Barrier(LOOKERS)
    for looked in [engine.lookers.submit(barrier.wait) for _ in range(LOOKERS)]:
        looked.result(30)
    return engine


def opacity(part: Path) -> int:
    """The alpha of a result's middle."""
    with Image.open(part) as image:
        image.load()
        found = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(found, tuple)
    return int(found[3])
