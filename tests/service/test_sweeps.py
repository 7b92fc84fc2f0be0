"""When folders are swept."""

from itertools import pairwise
from pathlib import Path

from daemon.jobs import Hint
from tests.service.service_kit import Kit


def polled(base: Path) -> Kit:
    """A service whose folder is polled."""
    kit = Kit(base)
    kit.service.parts.watch_health.is_polled = lambda folder: True  # type: ignore[method-assign]
    return kit


def test_a_large_share_is_not_swept_all_the_time(tmp_path: Path):
    """Nothing else is done during a sweep, so a folder rests four times as long as that takes.

    A sweep of 20 seconds comes every 100, and not every five. One that was asked for comes at once.
    """
    kit = polled(tmp_path)
    begun: list[float] = []

    def sweep_slowly(*args: object, **kwargs: object) -> None:
        begun.append(kit.time.seconds)
        kit.time.seconds += 20.0

    kit.service.parts.intake.sweep = sweep_slowly  # type: ignore[method-assign]
    kit.service.next_sweep["hot"] = 0.0
    kit.pass_time(300, step_s=1.0)
    pauses = [later - earlier for earlier, later in pairwise(begun)]
    kit.service.next_sweep["hot"] = 0.0
    kit.pass_time(1.0)

    assert len(pauses) >= 2
    assert all(100 <= pause <= 102 for pause in pauses)
    assert begun[-1] >= kit.time.seconds - 25


def test_a_small_share_is_polled_every_five_seconds(tmp_path: Path):
    """As the documents say."""
    kit = polled(tmp_path)
    begun: list[float] = []
    sweep = kit.service.parts.intake.sweep

    def note(*args: object, **kwargs: object) -> None:
        begun.append(kit.time.seconds)
        sweep(*args, **kwargs)  # type: ignore[arg-type]

    kit.service.parts.intake.sweep = note  # type: ignore[method-assign]
    kit.service.next_sweep["hot"] = 0.0
    kit.pass_time(60, step_s=1.0)

    assert 11 <= len(begun) <= 13


def test_other_work_before_a_sweep_is_no_sweep(tmp_path: Path):
    """A recovery of minutes, or the sweep of a larger folder, delays a small one no longer."""
    kit = polled(tmp_path)
    sweeps = kit.service.parts.sweeps
    [folder] = kit.service.parts.folders
    before = kit.time.clocks.monotonic()
    kit.time.seconds += 600.0
    now = kit.time.clocks.monotonic()
    sweeps.sweep(folder, Hint.SWEEP, monotonic=before, now=kit.time.clocks.now())

    assert sweeps.due["hot"] == now + 5.0
