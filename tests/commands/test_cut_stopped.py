"""`cvunetd cut` that is told to stop, and what it checks before it works."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.commands import cut, cut_clips
from daemon.commands.cut_clips import STOPPED, Result
from daemon.errors import UsageError
from daemon.jobs import Outcome, Task
from daemon.worker.engines.direct import DirectEngine
from tests.samples import names_in
from tests.service.service_kit import copy_out

CLIP = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"


class Bench:
    """The command, with an engine that does some pictures, and holds the others."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.engine = DirectEngine(copy_out)
        self.is_closed = False
        self.engine.close = self.note_close  # type: ignore[method-assign]
        self.stop: Callable[[int], None] = lambda number: None
        self.clear: Callable[[], None] = lambda: None
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            (base / name).write_bytes(name.encode())
        (base / "clip.mp4").write_bytes(CLIP)
        (base / "config.yaml").write_text("folders: [{path: hot}]\n")

    def note_close(self) -> None:
        """Remember it."""
        self.is_closed = True

    def take_stop(self, stop: Callable[[int], None], *, clear: Callable[[], None]) -> None:
        """As `signals.on_signal`."""
        self.stop, self.clear = stop, clear

    def __call__(self, *names: str, **options: Any) -> list[Result]:
        """Run it."""
        return cut.cut(
            [self.base / name for name in names],
            self.base / "out",
            self.base / "config.yaml",
            start_logging=lambda *_: None,
            on_signal=self.take_stop,
            options=options,
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Three pictures, and what looks like a clip."""
    made = Bench(tmp_path)
    monkeypatch.setattr(cut, "open_local", lambda *_: made.engine)
    return made


def test_pictures_that_were_not_begun(bench: Bench):
    """The first one is whole; nothing is left of the others, and the engine is closed."""

    def work(task: Task) -> Outcome:
        bench.engine.is_held = True
        bench.stop(signal.SIGINT)
        return copy_out(task)

    bench.engine.work = work
    results = bench("a.jpg", "b.jpg", "c.jpg")

    assert [result.reason for result in results] == ["", STOPPED, STOPPED]
    assert names_in(bench.base / "out") == ["a.png"]
    assert bench.is_closed


def test_parts_of_pictures_that_were_begun(bench: Bench):
    """They are removed."""

    def submit(task: Task) -> Any:
        task.part.write_bytes(b"half")
        bench.stop(signal.SIGTERM)
        return DirectEngine.submit(bench.engine, task)

    bench.engine.is_held = True
    bench.engine.submit = submit  # type: ignore[method-assign]
    [result] = bench("a.jpg")

    assert result == Result(bench.base / "a.jpg", None, STOPPED)
    assert names_in(bench.base / "out") == []


def test_a_second_signal_leaves_no_part(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """The process ends at once, while the engine is at the pictures."""
    left: list[list[str]] = []

    def drain() -> None:
        left.append(names_in(bench.base / "out"))
        bench.clear()
        left.append(names_in(bench.base / "out"))
        DirectEngine.drain(bench.engine)

    def submit(task: Task) -> Any:
        task.part.write_bytes(b"half")
        bench.stop(signal.SIGINT)
        return DirectEngine.submit(bench.engine, task)

    bench.engine.is_held = True
    monkeypatch.setattr(bench.engine, "submit", submit)
    monkeypatch.setattr(bench.engine, "drain", drain)
    bench("a.jpg")

    assert [len(names) for names in left] == [1, 0]


def test_pictures_after_a_clip(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """One Ctrl-C while the clip is in work ends both: no model is loaded."""

    def clips(sources: list[Path], setup: object, *, on_signal: Any, tell: object) -> list[Result]:
        told: list[int] = []
        on_signal(told.append)
        bench.stop(signal.SIGINT)
        assert told == [signal.SIGINT]
        return [Result(source, None, STOPPED) for source in sources]

    monkeypatch.setattr(cut_clips, "cut_clips", clips)
    monkeypatch.setattr(cut, "open_local", pytest.fail)
    results = bench("clip.mp4", "a.jpg")

    assert [result.reason for result in results] == [STOPPED, STOPPED]


@pytest.mark.parametrize(
    ("out", "options", "words"),
    [
        ("out", {"format": "mp4"}, "'mp4'"),
        ("x.png", {}, "for several files name a folder"),
    ],
)
def test_options_are_checked_before_a_clip(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, out: str, options: dict[str, Any], words: str
):
    """A clip may take minutes: what is wrong for pictures is told at once."""
    monkeypatch.setattr(cut_clips, "cut_clips", pytest.fail)
    with pytest.raises(UsageError, match=words):
        cut.cut(
            [bench.base / "clip.mp4", bench.base / "a.jpg"],
            bench.base / out,
            bench.base / "config.yaml",
            start_logging=lambda *_: None,
            options=options,
        )
