"""Clips in the worker: whole results, interrupted ones, and what a clip may not do to others."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cvunet
from cvunet.inference.preparation import Preparation
from daemon.disk import segments
from daemon.errors import Blame, PictureError
from daemon.jobs import Cancelled, Done, Failed, Outcome, Task
from daemon.worker import host_memory
from daemon.worker.children import channel, patience
from daemon.worker.clips import verdicts
from daemon.worker.clips.kinds import kind_of
from daemon.worker.clips.link import Link
from daemon.worker.clips.run import ClipRun
from daemon.worker.finishing import Backgrounds, Finishing
from tests.samples import RENDERING
from tests.video.clips_kit import Clip, damaged, heard
from tests.worker import clips_kit as kit

pytestmark = pytest.mark.video
WAIT_S = 55.0
LENGTH = 3 * kit.SEGMENT + 3


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short one with sound."""
    folder = tmp_path_factory.mktemp("clip")
    return kit.write_clip(folder / "clip.mp4", frames=LENGTH, has_sound=True)


@pytest.fixture(scope="module")
def whole(clip: Path) -> bytes:
    """What an undisturbed run makes of it."""
    task = kit.make_task(clip)
    outcome = made(task)
    assert isinstance(outcome, Done), outcome
    return task.part.read_bytes()


def made(task: Task, predictor: Any = None, **changes: Any) -> Outcome:
    """The outcome of a worker of its own."""
    with kit.worker(predictor, **changes) as worker:
        return worker.submit(task).result(WAIT_S)


def failure(outcome: Outcome) -> Failed:
    """An outcome that must be one."""
    assert isinstance(outcome, Failed), outcome
    return outcome


@contextmanager
def stopping_at(
    frames: int, action: Any, predictor: kit.Bright | None = None
) -> Iterator[kit.Bright]:
    """A predictor that calls an action before it looks at so many frames."""
    predictor = predictor or kit.Bright()

    def count() -> None:
        if len(predictor.batches) == frames:
            action()

    predictor.before = count
    yield predictor


# --- whole -----------------------------------------------------------------------------------


def test_clip_comes_out_frame_by_frame(clip: Path, whole: bytes):
    """The subject is opaque, the ground is not, and no frame is missing."""
    result = clip.with_name("result.mov")
    result.write_bytes(whole)
    frames = kit.decoded(result)

    assert len(frames) == LENGTH
    for number in (0, kit.SEGMENT - 1, kit.SEGMENT, LENGTH - 1):
        left = number * 2 % (kit.WIDTH - 24)
        assert frames[number][28, left + 12, 3] == 255
        assert frames[number][56, kit.WIDTH - 4, 3] == 0


def test_outcome_says_what_the_manifest_needs(clip: Path):
    """Frames, time, sound, sizes; a file that is hashed; no segment that was there before."""
    outcome = made(kit.make_task(clip))

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert (outcome.clip.frames, outcome.clip.has_sound) == (LENGTH, True)
    assert outcome.clip.duration_s == pytest.approx(LENGTH / kit.RATE, abs=0.001)
    assert (outcome.clip.segments, outcome.clip.kept_segments) == (4, 0)
    assert (outcome.width, outcome.height) == outcome.result_size == (kit.WIDTH, kit.HEIGHT)
    assert outcome.sha256 is not None
    assert set(outcome.seconds) == {"clip"}


class Blind(kit.Bright):
    """A network that finds nothing."""

    def predict(self, batch: Any) -> Any:
        """As the other one, but empty."""
        return [alpha * 0 for alpha in super().predict(batch)]


def test_frames_without_a_subject_are_told(clip: Path):
    """Over all segments, also those of the attempt before."""
    task, blind, started = kit.make_task(clip), Blind(), threading.Event()
    with (
        stopping_at(kit.SEGMENT + 5, started.set, blind) as predictor,
        kit.worker(predictor) as worker,
    ):
        future = worker.submit(task)
        assert started.wait(WAIT_S)
        worker.drain()
        assert isinstance(future.result(WAIT_S), Cancelled)
    outcome = made(task, Blind())

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert outcome.clip.kept_segments > 0
    assert outcome.warnings == (f"no subject was found in {LENGTH} of {LENGTH} frames",)


def test_length_may_be_a_whole_number_of_segments(tmp_path: Path):
    """Nothing follows the last one."""
    task = kit.make_task(kit.write_clip(tmp_path / "a.mp4", frames=2 * kit.SEGMENT))
    outcome = made(task)

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert (outcome.clip.frames, outcome.clip.segments) == (2 * kit.SEGMENT, 2)


@pytest.mark.parametrize(
    "preparation",
    [
        Preparation(64, 64),
        Preparation(64, 64, resize="lanczos"),
        Preparation(96, 64),
        Preparation(96, 96, "letterbox"),
        Preparation(64, 64, "shorter"),
    ],
    ids=str,
)
def test_library_makes_the_same_frames(tmp_path: Path, preparation: Preparation):
    """Also with models of other programs, whatever their descriptions say of their input."""
    source = kit.write_clip(tmp_path / "in.mp4", frames=3, width=320, height=180)
    task = kit.make_task(source)
    assert isinstance(made(task, kit.Described(preparation)), Done)
    is_area = preparation.resize == "area"
    other = replace(preparation, resize="lanczos" if is_area else "area")
    sees = [kit.Described(preparation), kit.Described(other)]

    for number, predictor in enumerate(sees):
        target = tmp_path / f"{number}.mov"
        cvunet.cut_out_clip(predictor, source, target, format="mov-qtrle")

    whole = np.stack(kit.decoded(task.part))
    assert np.array_equal(np.stack(kit.decoded(tmp_path / "0.mov")), whole)
    assert not np.array_equal(np.stack(kit.decoded(tmp_path / "1.mov")), whole)


def test_mask_is_a_grey_clip(clip: Path):
    """`content: alpha`."""
    task = kit.make_task(clip, format="alpha")
    task = replace(task, rendering=replace(RENDERING, content="alpha"))
    outcome = made(task)

    assert isinstance(outcome, Done)
    first = kit.decoded(task.part)[0]
    assert first[28, 12].tolist() == [255, 255, 255, 255]
    assert first[56, kit.WIDTH - 4, :3].tolist() == [0, 0, 0]


def test_mp4_lies_on_a_colour(clip: Path):
    """It has no transparency: white, unless a background is set."""
    task = kit.make_task(clip, format="mp4", quality=100)
    assert isinstance(made(task), Done)

    assert kit.decoded(task.part)[0][56, kit.WIDTH - 4, :3].min() > 245


def test_clip_may_lie_on_a_picture(clip: Path, tmp_path: Path):
    """It is scaled so that it covers each frame."""
    picture = tmp_path / "green.png"
    Image.new("RGB", (8, 8), (0, 200, 0)).save(picture)
    task = kit.make_task(clip)
    task = replace(task, rendering=replace(RENDERING, background=picture))
    with kit.worker(finishing=Finishing(backgrounds=Backgrounds([picture]))) as worker:
        outcome = worker.submit(task).result(WAIT_S)

    assert isinstance(outcome, Done)
    assert kit.decoded(task.part)[0][56, kit.WIDTH - 4].tolist() == [0, 200, 0, 255]


def test_picture_keeps_its_shape_behind_pixels_that_are_not_square(tmp_path: Path):
    """A square of it is one in the result, which has half as many pixels across."""
    picture, source = tmp_path / "square.png", tmp_path / "wide.mp4"
    square = Image.new("RGB", (192, 64), (0, 0, 0))
    square.paste((255, 255, 255), (80, 16, 112, 48))
    square.save(picture)
    made_of = Clip(size=(96, 64), aspect=Fraction(2), times=(0, 40))
    source.write_bytes(made_of.file())
    task = kit.make_task(source)
    task = replace(task, rendering=replace(RENDERING, background=picture))
    with kit.worker(finishing=Finishing(backgrounds=Backgrounds([picture]))) as worker:
        assert isinstance(worker.submit(task).result(WAIT_S), Done)

    is_white = kit.decoded(task.part)[0][..., 0] > 127
    assert (is_white.any(axis=0).sum(), is_white.any(axis=1).sum()) == (16, 32)


def test_animated_picture_is_a_clip(tmp_path: Path):
    """A GIF of one frame is a picture."""
    (tmp_path / "a.gif").write_bytes(kit.gif(5))
    (tmp_path / "b.gif").write_bytes(kit.gif(1))

    assert (kind_of(tmp_path / "a.gif"), kind_of(tmp_path / "b.gif")) == ("gif", "")
    outcome = made(kit.make_task(tmp_path / "a.gif", format="webp"))
    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert outcome.clip.frames == 5


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"\0\0\0\x18ftyp", b"RIFF\0\0\0\0WEBP", b"x" * 9]
)
def test_stump_is_no_clip_yet(tmp_path: Path, content: bytes):
    """The first bytes of a file that is still being written."""
    (tmp_path / "a").write_bytes(content)

    assert kind_of(tmp_path / "a") == ""


# --- interrupted -----------------------------------------------------------------------------


def test_stop_keeps_finished_segments(clip: Path, whole: bytes):
    """The next attempt goes on after them, and its bytes are those of an undisturbed run."""
    task = kit.make_task(clip)
    started = threading.Event()
    with stopping_at(kit.SEGMENT + 5, started.set) as predictor, kit.worker(predictor) as worker:
        future = worker.submit(task)
        assert started.wait(WAIT_S)
        worker.drain()
        assert isinstance(future.result(WAIT_S), Cancelled)
    note = segments.read_note(task.part)
    assert note is not None
    assert note.has_progressed

    outcome = made(task)

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert outcome.clip.kept_segments >= 1
    assert task.part.read_bytes() == whole


def test_killed_child_keeps_finished_segments(clip: Path, whole: bytes):
    """As the kernel does it that has no memory left."""
    task = kit.make_task(clip)
    with kit.worker() as worker:

        def kill() -> None:
            [run] = worker.clip_threads.runs.values()
            os.kill(run.child.process.pid, signal.SIGKILL)

        with stopping_at(2 * kit.SEGMENT + 3, kill) as predictor:
            worker.lanes[""].model_threads[0].predictor = predictor
            failed = failure(worker.submit(task).result(WAIT_S))
        assert failed.blame is Blame.OUTSIDE
        assert "SIGKILL" in failed.reason

        outcome = worker.submit(task).result(WAIT_S)

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert outcome.clip.kept_segments >= 1
    assert task.part.read_bytes() == whole


def test_torn_segment_does_not_count(clip: Path, whole: bytes):
    """One that was being written when the power went has no line in the note."""
    task = kit.make_task(clip)
    assert isinstance(made(task), Done)
    note = segments.read_note(task.part)
    assert note is not None
    segments.write_note(task.part, replace(note, frames=note.frames[:2], ending=None))
    segments.place(task.part, 2).write_bytes(b"half a segm")

    outcome = made(task)

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert outcome.clip.kept_segments == 2
    assert task.part.read_bytes() == whole


def test_damaged_segment_is_made_again(clip: Path, whole: bytes):
    """A disk may lie: all segments are thrown away, and the next attempt begins anew."""
    task = kit.make_task(clip)
    assert isinstance(made(task), Done)
    place = segments.place(task.part, 1)
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 0xFF
    place.write_bytes(content)

    assert failure(made(task)).blame is Blame.UNKNOWN
    assert segments.read_note(task.part) is None
    assert isinstance(made(task), Done)
    assert task.part.read_bytes() == whole


@pytest.mark.parametrize("change", [{"strength": 0.5}, {"quality": 30}, {"window": 1}])
def test_other_settings_begin_anew(clip: Path, change: dict[str, Any]):
    """Segments of two settings in one result would show."""
    task = kit.make_task(clip)
    assert isinstance(made(task), Done)
    assert task.clip is not None
    video = replace(task.clip.video, **change)

    outcome = made(replace(task, clip=replace(task.clip, video=video)))

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert outcome.clip.kept_segments == 0


def test_other_original_begins_anew(tmp_path: Path):
    """Also one of the same size under the same name."""
    task = kit.make_task(kit.write_clip(tmp_path / "a.mp4", frames=10))
    assert isinstance(made(task), Done)
    os.utime(task.source, ns=(1, 1))

    outcome = made(task)

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert outcome.clip.kept_segments == 0


def test_cancelled_clip_ends_soon(clip: Path):
    """Although its child always has something to ask; the next one gets its place."""
    task, other = kit.make_task(clip), replace(kit.make_task(clip), job_id="other")
    started = threading.Event()
    with stopping_at(3, started.set) as predictor, kit.worker(predictor) as worker:
        future, second = worker.submit(task), worker.submit(other)
        assert started.wait(WAIT_S)
        [run] = worker.clip_threads.runs.values()
        worker.cancel(task.job_id)
        assert isinstance(future.result(WAIT_S), Cancelled)
        assert not run.child.is_alive
        assert isinstance(second.result(WAIT_S), Done)
        assert worker.clip_threads.cancelled == worker.clip_threads.inside == set()
        worker.cancel(task.job_id)  # nothing happens
        assert worker.clip_threads.cancelled == set()


def test_cancelled_clip_does_not_begin(clip: Path):
    """It waited for its place."""
    first, task = kit.make_task(clip), replace(kit.make_task(clip), job_id="other")
    started = threading.Event()
    with stopping_at(3, started.set) as predictor, kit.worker(predictor) as worker:
        whole, future = worker.submit(first), worker.submit(task)
        assert started.wait(WAIT_S)
        worker.cancel("other")
        assert isinstance(whole.result(WAIT_S), Done)
        assert isinstance(future.result(WAIT_S), Cancelled)

    assert segments.read_note(task.part) is None


# --- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize("on_damage", ["keep", "reject"])
def test_damage_in_the_middle(tmp_path: Path, on_damage: str):
    """A WebM that was cut off: its frames up to there, or a reason."""
    source = kit.write_webm(tmp_path / "a.webm", frames=30)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 2 // 3])
    task = kit.make_task(source, on_damage=on_damage)
    outcome = made(task)

    if on_damage == "reject":
        assert failure(outcome).blame is Blame.FILE
        assert "damaged" in failure(outcome).reason
    else:
        assert isinstance(outcome, Done)
        assert outcome.clip is not None
        assert 0 < outcome.clip.frames < 30
        assert any("damaged" in text for text in outcome.warnings)
        assert len(kit.decoded(task.part)) == outcome.clip.frames


def test_sound_ends_where_a_damaged_clip_does(tmp_path: Path):
    """At the last good frame, which may lie in an earlier segment."""
    source = kit.write_clip(tmp_path / "a.mp4", frames=60, has_sound=True)
    source.write_bytes(damaged(source.read_bytes(), 30))
    outcome = made(task := kit.make_task(source))

    assert isinstance(outcome, Done)
    assert outcome.clip is not None
    assert 10 < outcome.clip.frames < 50
    start_s, wave = heard(task.part.read_bytes(), "mov")
    assert start_s + len(wave) / 48_000 == pytest.approx(outcome.clip.duration_s, abs=0.05)


def test_file_that_is_no_clip_is_refused(tmp_path: Path):
    """Whatever said that it is one."""
    (tmp_path / "a.mp4").write_bytes(b"no clip at all" * 100)

    assert failure(made(kit.make_task(tmp_path / "a.mp4"))).blame is Blame.FILE


def test_long_clip_is_refused(clip: Path):
    """`worker.max_video_minutes`."""
    failed = failure(made(kit.make_task(clip, max_minutes=0.01)))

    assert failed.blame is Blame.FILE
    assert "minutes" in failed.reason


def test_large_file_is_refused_before_it_is_read(clip: Path):
    """`worker.max_video_mb`."""
    failed = failure(made(kit.make_task(clip), max_clip_bytes=1000))

    assert (failed.blame, "worker.max_video_mb" in failed.reason) == (Blame.FILE, True)


def test_clip_that_needs_too_much_memory_is_refused(clip: Path, monkeypatch: pytest.MonkeyPatch):
    """With how much it needs and how much there is."""
    monkeypatch.setattr(host_memory, "available_bytes", lambda: 10**6)
    monkeypatch.setattr(host_memory, "most_bytes", lambda: 2 * 10**6)
    failed = failure(made(kit.make_task(clip)))

    assert failed.blame is Blame.FILE
    assert "need 3 MB" in failed.reason
    assert "1 MB left" in failed.reason


def test_clip_waits_while_others_have_the_memory(clip: Path, monkeypatch: pytest.MonkeyPatch):
    """The machine is large enough for it, but not now."""
    monkeypatch.setattr(host_memory, "available_bytes", lambda: 10**6)
    monkeypatch.setattr(host_memory, "most_bytes", lambda: 10**9)
    failed = failure(made(kit.make_task(clip)))

    assert failed.blame is Blame.OUTSIDE


def test_clip_takes_half_of_the_pictures_memory_at_most(clip: Path):
    """Pictures always have the other half."""
    taken = []
    with kit.worker(memory_bytes=10**6) as worker:
        with stopping_at(3, lambda: taken.append(worker.budget.used)) as predictor:
            worker.lanes[""].model_threads[0].predictor = predictor
            assert isinstance(worker.submit(kit.make_task(clip)).result(WAIT_S), Done)
        assert worker.budget.used == 0

    assert taken == [5 * 10**5]


def test_silent_child_is_ended(clip: Path, monkeypatch: pytest.MonkeyPatch):
    """A child that is stopped, or of which no frame comes, takes no thread for ever."""
    monkeypatch.setattr(patience, "MOST_STOPPED_S", 1.0)
    with kit.worker(max_silence_s=1.0) as worker:

        def stop() -> None:
            [run] = worker.clip_threads.runs.values()
            os.kill(run.child.process.pid, signal.SIGSTOP)

        with stopping_at(3, stop) as predictor:
            worker.lanes[""].model_threads[0].predictor = predictor
            failed = failure(worker.submit(kit.make_task(clip)).result(WAIT_S))

    assert failed.blame is Blame.OUTSIDE  # it did not even use a processor
    assert "no progress" in failed.reason


def test_busy_child_without_a_frame_is_ended():
    """Four gigabytes of which one frame can be decoded: the file is to blame."""
    error = verdicts.silent(120.0, frames=1, is_idle=False)

    assert isinstance(error, PictureError)
    assert "after 1 frames" in str(error)


def test_full_disk_is_not_the_clips_fault(clip: Path, monkeypatch: pytest.MonkeyPatch):
    """The child writes, and hears that there is no room; what is finished stays."""
    task, begin = kit.make_task(clip), segments.begin

    def full(part: Path, number: int) -> Any:
        return begin(part, number) if number == 0 else Path("/dev/full").open("r+b", buffering=0)

    monkeypatch.setattr(segments, "begin", full)
    failed = failure(made(task))

    assert failed.blame is Blame.MACHINE
    assert str(task.part.parent) in failed.reason
    note = segments.read_note(task.part)
    assert note is not None
    assert len(note.frames) == 1


# --- beside pictures -------------------------------------------------------------------------


def test_child_is_confined(clip: Path):
    """As a decode child: by what this kernel has."""
    seen: list[list[str] | None] = []
    with kit.worker() as worker:

        def look() -> None:
            [run] = worker.clip_threads.runs.values()
            seen.append(run.child.confined_by)
            status = Path(f"/proc/{run.child.process.pid}/status").read_text()
            assert "NoNewPrivs:\t1" in status
            assert os.getpriority(os.PRIO_PROCESS, run.child.process.pid) > os.getpriority(
                os.PRIO_PROCESS, 0
            )

        with stopping_at(3, look) as predictor:
            worker.lanes[""].model_threads[0].predictor = predictor
            assert isinstance(worker.submit(kit.make_task(clip)).result(WAIT_S), Done)

    assert seen
    assert seen[0]
    assert "seccomp" in seen[0]


def test_progress_is_told(clip: Path):
    """Frames of all, how fast, and how long it still takes."""
    seen = []
    with kit.worker() as worker:
        with stopping_at(2 * kit.SEGMENT + 2, lambda: seen.append(dict(worker.clips))) as predictor:
            worker.lanes[""].model_threads[0].predictor = predictor
            assert isinstance(worker.submit(kit.make_task(clip)).result(WAIT_S), Done)
        assert worker.clips == {}

    [progress] = seen[0].values()
    assert progress.total == LENGTH
    assert kit.SEGMENT <= progress.frames < LENGTH
    assert progress.has_made_segment
    assert progress.frames_per_s > 0
    assert progress.left_s is not None


def test_picture_passes_a_clip(clip: Path, tmp_path: Path):
    """It is cut out while the clip is in work, and the clip goes on meanwhile."""
    source = tmp_path / "a.png"
    Image.fromarray(kit.frame(0)).save(source)
    picture = Task("picture", source, tmp_path / "a.part", RENDERING, 10**6)
    predictor = kit.Bright()
    predictor.before = lambda: time.sleep(0.02)
    with kit.worker(predictor) as worker:
        slow = worker.submit(kit.make_task(clip))
        while not predictor.batches:
            time.sleep(0.01)
        assert isinstance(worker.submit(picture).result(WAIT_S), Done)
        assert not slow.done()
        assert isinstance(slow.result(WAIT_S), Done)


def test_child_that_decodes_for_long_says_so():
    """It would be ended for its silence; but not each frame is told."""
    ours, theirs = channel.pair()
    now = [0.0]
    with ours, theirs:
        child = Link(theirs, clock=lambda: now[0])
        for _ in range(2):
            channel.send(ours, {"count": 0})
        for now[0] in (0.0, 1.0, 2.1, 3.0, 4.0, 4.3):
            child.note_frame()
        ours.setblocking(False)
        told = [channel.receive(ours)["ask"] for _ in range(2)]
        with pytest.raises(BlockingIOError):
            channel.receive(ours)

    assert told == ["alive", "alive"]


@pytest.mark.parametrize("shapes", [[], [[64, 65]], [[64, 64]] * 5, [["a", 1]], [64], [[1, 4096]]])
def test_child_that_shows_impossible_frames_is_not_believed(shapes: list[Any]):
    """The network would fail at them, and count as a device that has died."""
    run: Any = SimpleNamespace(plan=SimpleNamespace(preparation=Preparation(64, 64)))

    with pytest.raises(RuntimeError, match="makes no sense"):
        ClipRun.answer_frames(run, {"shapes": shapes})


def test_disk_that_holds_a_clip_is_told(clip: Path):
    """After the patience of the watchdog and the time that a large result may take."""
    seen: list[list[str]] = []
    with kit.worker() as worker:

        def look() -> None:
            [run] = worker.clip_threads.runs.values()
            run.writing_since = 0.0
            seen.extend(list(worker.stalled(now, patience_s=60.0)) for now in (650.0, 670.0))
            run.writing_since = None

        with stopping_at(3, look) as predictor:
            worker.lanes[""].model_threads[0].predictor = predictor
            assert isinstance(worker.submit(kit.make_task(clip)).result(WAIT_S), Done)

    assert seen[0] == []
    [text] = seen[1]
    assert text.endswith("does not end")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"lacks_encoder": "no encoder for ProRes"}, PictureError),
        ({"lacks_memory": True}, PictureError),
        ({"refused": "damaged"}, PictureError),
        ({"errno": 28, "text": "No space left on device"}, OSError),
        ({"unforeseen": "KeyError: 'x'"}, RuntimeError),
    ],
)
def test_failures_of_the_child_are_told_apart(message: dict[str, Any], kind: type[Exception]):
    """An encoder that is absent is told, and the daemon goes on."""
    with pytest.raises(kind):
        verdicts.check(message, memory_bytes=10**9)


def test_dead_device_is_nobodys_fault(clip: Path):
    """The daemon ends, as it does for a picture."""
    from cvunet.errors import DeviceError

    def die() -> None:
        raise DeviceError("gone")

    with stopping_at(3, die) as predictor:
        assert failure(made(kit.make_task(clip), predictor)).blame is Blame.DEVICE


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_memory_does_not_grow_with_length(tmp_path: Path):
    """Five times the frames: the same peak, within a tenth."""
    peaks = []
    for frames in (48, 240):
        source = kit.write_clip(tmp_path / f"{frames}.mp4", frames=frames, width=320, height=180)
        peaks.append(peak_of(kit.make_task(source)))

    assert peaks[1] < 1.1 * peaks[0]


def peak_of(task: Task) -> int:
    """The most memory that a clip's child has held, in kB."""
    found = 0

    with kit.worker(segment_frames=16) as worker:

        def look() -> None:
            nonlocal found
            [run] = worker.clip_threads.runs.values()
            for line in run.child.about("status").splitlines():
                if line.startswith("VmHWM"):
                    found = max(found, int(line.split()[1]))

        predictor = kit.Bright()
        predictor.before = look
        worker.lanes[""].model_threads[0].predictor = predictor
        assert isinstance(worker.submit(task).result(200), Done)
    return found
