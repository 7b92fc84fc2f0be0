"""Clips whose child ends too early, and clips that turn out to be too long."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from cvunet.errors import ImageError
from daemon.errors import Blame
from daemon.jobs import Done, Failed, Outcome, Task
from daemon.worker.children.process import DecodeChild, TookTooLong
from daemon.worker.clips import threads
from daemon.worker.clips.replay import Replay
from daemon.worker.worker import Worker
from tests.worker import clips_kit as kit

pytestmark = pytest.mark.video
WAIT_S = 55.0
KILL_ITSELF = "import os; os.kill(os.getpid(), 9)"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short one."""
    return kit.write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=3)


def made(worker: Worker, task: Task) -> Outcome:
    """What a worker makes of a clip."""
    return worker.submit(task).result(WAIT_S)


def failed(task: Task, before: Callable[[Worker], object] = lambda worker: None) -> Failed:
    """How a clip fails in a worker of its own."""
    with kit.worker() as worker:
        before(worker)
        outcome = made(worker, task)
    assert isinstance(outcome, Failed), outcome
    return outcome


# --- a child that ends too early -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (KILL_ITSELF, "SIGKILL"),
        ("raise SystemExit('no room for libraries')", "exit status 1: no room for libraries"),
    ],
)
def test_child_that_never_gets_ready_is_the_machines_trouble(
    clip: Path, monkeypatch: pytest.MonkeyPatch, program: str, reason: str
):
    """The kernel may end it while it loads its libraries: it has seen nothing of the clip."""
    monkeypatch.setattr(threads, "PROGRAM", program)
    outcome = failed(kit.make_task(clip))

    assert outcome.blame is Blame.MACHINE
    assert f"no process for a clip can be started ({reason}" in outcome.reason


def test_child_that_takes_too_long_to_get_ready_is_the_machines_trouble(
    clip: Path, monkeypatch: pytest.MonkeyPatch
):
    """So busy is the machine; the child is ended."""
    children: list[DecodeChild] = []

    def wait(self: DecodeChild, is_abandoned: object) -> None:
        children.append(self)
        raise TookTooLong(60.0)

    monkeypatch.setattr(DecodeChild, "make_ready", wait)

    assert failed(kit.make_task(clip)).blame is Blame.MACHINE
    assert [child.is_alive for child in children] == [False]


def kill(child: DecodeChild) -> None:
    """End it from outside, and wait until its end of the channel is closed."""
    child.process.kill()
    child.process.wait(WAIT_S)


def test_child_that_is_killed_before_it_is_asked_is_nobodys_fault(
    clip: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its first order cannot be sent."""
    make_ready = DecodeChild.make_ready

    def die(self: DecodeChild, is_abandoned: Callable[[], bool]) -> None:
        make_ready(self, is_abandoned)
        kill(self)

    monkeypatch.setattr(DecodeChild, "make_ready", die)
    outcome = failed(kit.make_task(clip))

    assert (outcome.blame, "SIGKILL" in outcome.reason) == (Blame.OUTSIDE, True)


def test_child_that_is_killed_while_it_waits_for_room_is_nobodys_fault(
    clip: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its second order cannot be sent. Afterwards the clip comes out."""
    task = kit.make_task(clip)

    def watch(worker: Worker) -> None:
        def die(*arguments: object) -> None:
            [run] = worker.clip_threads.runs.values()
            kill(run.child)

        monkeypatch.setattr(threads, "check_memory", die)

    outcome = failed(task, watch)
    monkeypatch.undo()

    assert (outcome.blame, "SIGKILL" in outcome.reason) == (Blame.OUTSIDE, True)
    with kit.worker() as worker:
        assert isinstance(made(worker, task), Done)


# --- a clip that is too long ---------------------------------------------------------------------


def write_live(path: Path, *, frames: int) -> Path:
    """A WebM as a browser records it: its head does not say how long it is. A frame a minute."""
    import av

    with av.open(str(path), "w", format="webm", options={"live": "1"}) as out:
        video: Any = out.add_stream("libvpx", rate=1)  # Any: a stream of pictures
        video.width, video.height, video.pix_fmt = kit.WIDTH, kit.HEIGHT, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(kit.frame(number) ^ kit.noise())
            picture.pts, picture.time_base = number * 60_000, Fraction(1, 1000)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    return path


def test_clip_that_turns_out_to_be_too_long_is_rejected(tmp_path: Path):
    """It is whole, and not damaged at its limit: what was cut off would be lost."""
    source = write_live(tmp_path / "a.webm", frames=12)
    outcome = failed(kit.make_task(source, max_minutes=9.5))

    assert (outcome.blame, outcome.reason) == (Blame.FILE, "it is longer than 9.5 minutes")


def test_clip_of_unknown_length_within_the_limit_is_made(tmp_path: Path):
    """All of its frames."""
    source = write_live(tmp_path / "a.webm", frames=12)
    with kit.worker() as worker:
        outcome = made(worker, kit.make_task(source, max_minutes=12))

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert (outcome.clip.frames, outcome.warnings) == (12, ())


@pytest.mark.parametrize("error", [ImageError("too long"), OSError(5, "Input/output error")])
def test_failure_of_the_decoder_is_no_end_for_the_next_segment(error: Exception):
    """Frames are read ahead: the segment that meets the failure may need none of what follows."""

    def frames() -> Iterator[Any]:  # Any: no frame is needed
        yield from ()
        raise error

    replay = Replay(frames())

    for _ in range(2):
        with pytest.raises(type(error)):
            list(replay.segment(keep_from=0))
