"""Clips that are put on another clip, which plays behind them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from daemon.errors import Blame
from daemon.jobs import Cancelled, Done, Task
from daemon.worker.finishing import Backgrounds, Finishing
from daemon.worker.worker import Worker
from tests.samples import RENDERING
from tests.worker import clips_kit as kit
from tests.worker.test_clips import LENGTH, WAIT_S, failure, stopping_at

pytestmark = pytest.mark.video


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short one."""
    return kit.write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=LENGTH)


@contextmanager
def on_clip(background: Path, predictor: Any = None, **changes: Any) -> Iterator[Worker]:
    """A worker whose results may be put on another clip."""
    finishing = Finishing(backgrounds=Backgrounds([background]))
    with kit.worker(predictor, finishing, **changes) as worker:
        yield worker


def put_on(task: Task, background: Path) -> Task:
    """The same task with a background."""
    return replace(task, rendering=replace(RENDERING, background=background))


def shades_of(path: Path) -> list[int]:
    """How bright the ground of each frame of a result is."""
    return [int(frame[56, kit.WIDTH - 4, 0]) for frame in kit.decoded(path)]


def test_clip_may_lie_on_a_clip(clip: Path, tmp_path: Path):
    """It plays behind the subject, again from its beginning when it ends; nothing shows through."""
    behind = kit.write_shades(tmp_path / "behind.mkv", (0, 100, 200))
    task = put_on(kit.make_task(clip), behind)
    with on_clip(behind) as worker:
        assert isinstance(worker.submit(task).result(WAIT_S), Done)

    frames = kit.decoded(task.part)
    assert shades_of(task.part) == pytest.approx(
        [(0, 100, 200)[n % 3] for n in range(LENGTH)], abs=3
    )
    assert all(frame[..., 3].min() == 255 for frame in frames)
    assert frames[0][28, 12, :3] == pytest.approx((250, 220, 200), abs=12)


def test_clip_behind_is_the_same_after_an_interruption(clip: Path, tmp_path: Path):
    """Byte for byte, though the next attempt begins in the middle of it."""
    behind = kit.write_shades(tmp_path / "behind.mkv", range(0, 250, 50))
    undisturbed, task = (put_on(kit.make_task(clip), behind) for _ in range(2))
    with on_clip(behind) as worker:
        assert isinstance(worker.submit(undisturbed).result(WAIT_S), Done)
    started = threading.Event()
    with (
        stopping_at(kit.SEGMENT + 5, started.set) as predictor,
        on_clip(behind, predictor) as worker,
    ):
        future = worker.submit(task)
        assert started.wait(WAIT_S)
        worker.drain()
        assert isinstance(future.result(WAIT_S), Cancelled)

    with on_clip(behind) as worker:
        outcome = worker.submit(task).result(WAIT_S)

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert outcome.clip.kept_segments >= 1
    assert task.part.read_bytes() == undisturbed.part.read_bytes()


def test_other_clip_behind_begins_anew(clip: Path, tmp_path: Path):
    """A file that was replaced is used from the next clip on, without a restart."""
    behind = kit.write_shades(tmp_path / "behind.mkv", (0, 100))
    task = put_on(kit.make_task(clip), behind)
    with on_clip(behind) as worker:
        assert isinstance(worker.submit(task).result(WAIT_S), Done)
        kit.write_shades(tmp_path / "new.mkv", (200,)).replace(behind)
        outcome = worker.submit(task).result(WAIT_S)

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert outcome.clip.kept_segments == 0
    assert shades_of(task.part) == pytest.approx([200] * LENGTH, abs=3)


def test_clip_behind_that_is_deleted_is_shown_to_the_end(clip: Path, tmp_path: Path):
    """The clip in work has it open; the one after it has to wait, which is not its fault."""
    behind = kit.write_shades(tmp_path / "behind.mkv", (0, 100))
    task = put_on(kit.make_task(clip), behind)
    with stopping_at(3, behind.unlink) as predictor, on_clip(behind, predictor) as worker:
        assert isinstance(worker.submit(task).result(WAIT_S), Done)
        failed = failure(worker.submit(task).result(WAIT_S))

    assert shades_of(task.part) == pytest.approx([(0, 100)[n % 2] for n in range(LENGTH)], abs=3)
    assert failed.blame is Blame.MACHINE
    assert f"background {behind} cannot be read: No such file or directory" in failed.reason


def test_clip_behind_that_is_written_to_is_told(clip: Path, tmp_path: Path):
    """Half a result would lie on the old one, half on the new one."""
    behind = kit.write_shades(tmp_path / "behind.mkv", (0, 100))
    other = kit.write_shades(tmp_path / "other.mkv", (200, 250)).read_bytes()
    task = put_on(kit.make_task(clip), behind)

    def write() -> None:
        behind.write_bytes(other)

    with stopping_at(3, write) as predictor, on_clip(behind, predictor) as worker:
        failed = failure(worker.submit(task).result(WAIT_S))
        predictor.before = lambda: None
        assert isinstance(worker.submit(task).result(WAIT_S), Done)

    assert failed.blame is Blame.MACHINE
    assert f"background {behind} was changed" in failed.reason
    assert min(shades_of(task.part)) > 190


@pytest.mark.parametrize("content", [b"", b"no clip", b"\0\0\0\x18ftypisom\0\0\0\0isommp41"])
def test_clip_behind_that_became_none_is_not_the_clips_fault(
    clip: Path, tmp_path: Path, content: bytes
):
    """Its folder stands by until it is mended."""
    behind = kit.write_shades(tmp_path / "behind.mkv", (0, 100))
    with on_clip(behind) as worker:
        behind.write_bytes(content)
        failed = failure(worker.submit(put_on(kit.make_task(clip), behind)).result(WAIT_S))

    assert failed.blame is Blame.MACHINE
    assert failed.reason.startswith(f"background {behind} cannot be read: ")


def test_picture_lies_on_the_first_frame(tmp_path: Path):
    """Of a clip that is the background of its folder."""
    behind = kit.write_shades(tmp_path / "behind.mkv", (100, 200))
    source = tmp_path / "a.png"
    Image.fromarray(kit.frame(0)).save(source)
    task = Task("picture", source, tmp_path / "a.part", RENDERING, 10**6)
    with on_clip(behind) as worker:
        assert isinstance(worker.submit(put_on(task, behind)).result(WAIT_S), Done)

    with Image.open(task.part) as result:
        assert result.getpixel((kit.WIDTH - 4, 56))[0] == pytest.approx(100, abs=3)  # type: ignore[index]  # RGB


def test_clip_behind_takes_memory_too(clip: Path, tmp_path: Path):
    """A large one behind a small clip."""
    behind = kit.write_shades(tmp_path / "behind.mkv", (0, 100), width=960, height=640)
    taken = []
    with (
        on_clip(behind) as worker,
        stopping_at(3, lambda: taken.append(worker.budget.used)) as predictor,
    ):
        worker.lanes[""].model_threads[0].predictor = predictor
        assert isinstance(worker.submit(put_on(kit.make_task(clip), behind)).result(WAIT_S), Done)

    assert taken == [kit.WIDTH * kit.HEIGHT * (14 * 12 + 300) + 60 * 960 * 640]


def write_hidden(path: Path) -> Path:
    """An animation that is transparent all over; below it hides a dark colour."""
    frames = [Image.new("RGBA", (32, 32), (20 + n, 0, 0, 0)) for n in range(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True, exact=True)
    return path


def test_white_is_behind_a_transparent_animation(clip: Path, tmp_path: Path):
    """As behind a transparent picture: what hides below it is nobody's background."""
    behind = write_hidden(tmp_path / "behind.webp")
    source = tmp_path / "a.png"
    Image.fromarray(kit.frame(0)).save(source)
    task = Task("picture", source, tmp_path / "a.part", RENDERING, 10**6)
    cut = put_on(kit.make_task(clip), behind)
    with on_clip(behind) as worker:
        assert isinstance(worker.submit(put_on(task, behind)).result(WAIT_S), Done)
        assert isinstance(worker.submit(cut).result(WAIT_S), Done)

    with Image.open(task.part) as result:
        assert result.getpixel((kit.WIDTH - 4, 56))[:3] == (255, 255, 255)  # type: ignore[index]  # RGB
    assert min(shades_of(cut.part)) >= 252
