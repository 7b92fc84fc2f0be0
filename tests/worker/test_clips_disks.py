"""Clips and disks that are really full: small file systems in memory. These tests need root."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.disk import segments
from daemon.errors import Blame
from daemon.jobs import Done
from tests.torture.mounts import fill, mounted_tmpfs
from tests.worker import clips_kit as kit
from tests.worker.test_clips import LENGTH, WAIT_S, failure, stopping_at

pytestmark = [pytest.mark.video, pytest.mark.root]


@pytest.fixture
def drop(tmp_path: Path) -> Iterator[Path]:
    """The folder of results, on a disk of 16 MB."""
    place = tmp_path / "drop"
    place.mkdir()
    with mounted_tmpfs(place, "16M"):
        yield place


@pytest.mark.parametrize(
    ("at_frame", "left_bytes"),
    [(kit.SEGMENT + 6, 0), (kit.SEGMENT + 6, 4096), (LENGTH - 1, 40_000)],
    ids=["in a segment", "in the note", "while it is joined"],
)
def test_full_disk_in_the_middle(tmp_path: Path, drop: Path, at_frame: int, left_bytes: int):
    """The reason names the folder, nothing is torn, and the clip goes on when there is room."""
    source = kit.write_clip(tmp_path / "a.mp4", frames=LENGTH)
    whole = kit.make_task(source)
    with kit.worker() as worker:
        assert isinstance(worker.submit(whole).result(WAIT_S), Done)
    task = replace(kit.make_task(source), part=drop / f".{'a' * 22}-1.part")
    filled: list[Path] = []

    def take_room() -> None:
        filled.append(fill(drop, left_bytes=left_bytes))

    with stopping_at(at_frame, take_room) as predictor, kit.worker(predictor) as worker:
        failed = failure(worker.submit(task).result(WAIT_S))
    note = segments.read_note(task.part)
    assert note is not None
    kept = len(note.frames)
    assert kept >= 1
    filled[0].unlink()
    with kit.worker() as worker:
        outcome = worker.submit(replace(task, part=drop / f".{'a' * 22}-2.part")).result(WAIT_S)

    assert failed.blame is Blame.MACHINE
    assert f"{drop} cannot be written: OSError: [Errno 28] No space left" in failed.reason
    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert outcome.clip.kept_segments == kept
    assert (drop / f".{'a' * 22}-2.part").read_bytes() == whole.part.read_bytes()
