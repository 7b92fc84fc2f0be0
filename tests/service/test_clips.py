"""Clips as jobs: found, named, published, interrupted, retried and left alone."""

import io
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from daemon.clips import ClipFacts, ClipProgress
from daemon.config import video
from daemon.config.folders import hot_folders
from daemon.config.schema import Config
from daemon.disk import segments, store
from daemon.disk.segments import Note
from daemon.errors import Blame, InstallError
from daemon.jobs import Done, Failed, Outcome, State, Task
from daemon.worker.clips import backgrounds
from tests.service.service_kit import Kit, copy_out

SCHEMA = Path(__file__).parents[2] / "docs" / "manifest.schema.json"
MP4 = b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + b"frames"


def gif(frames: int) -> bytes:
    """An animated picture."""
    pictures = [Image.new("RGB", (8, 8), (60 * number, 0, 9)) for number in range(frames)]
    content = io.BytesIO()
    pictures[0].save(content, "GIF", save_all=True, append_images=pictures[1:], duration=40)
    return content.getvalue()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the extra: nothing here reads or writes clips in earnest."""
    monkeypatch.setattr(video, "is_installed", lambda: True)


def make_clip(task: Task) -> Outcome:
    """A worker's result: of a clip with what is said of one."""
    done = copy_out(task)
    assert isinstance(done, Done)
    if task.clip is None:
        return done
    facts = ClipFacts(task.clip.kind, task.clip.format, 10, 0.4, has_sound=False, segments=1)
    return replace(done, seconds={"clip": 1.0}, clip=facts)


def interrupted(made: int, blame: Blame = Blame.UNKNOWN) -> Callable[[Task], Outcome]:
    """A worker that fails after so many further segments."""

    def work(task: Task) -> Outcome:
        before = segments.read_note(task.part) or Note("key")
        note = replace(before, begun_with=len(before.frames))
        for _ in range(made):
            with segments.begin(task.part, len(note.frames)) as stream:
                stream.write(b"segment")
            note = replace(note, frames=(*note.frames, 96))
        segments.write_note(task.part, note)
        return Failed(blame, "the process of the clip is gone")

    return work


def hidden(kit: Kit) -> list[str]:
    """Our unfinished files in all drops."""
    names = [path.name for drop in kit.drops() for path in drop.rglob(".*")]
    return sorted(name for name in names if name != store.MARKER)


def jobs(kit: Kit, state: State) -> list[Any]:
    """All rows in a state."""
    return kit.records.in_state(state)


def faults(entry: dict[str, Any]) -> list[str]:  # Any: JSON
    """What the manifest's schema has against a picture's entry."""
    schema = json.loads(SCHEMA.read_text())
    of_entry = {"$ref": "#/$defs/done", "$defs": schema["$defs"]}
    return [error.message for error in Draft202012Validator(of_entry).iter_errors(entry)]


# --- found and published ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "name", "content", "result"),
    [
        ({}, "cat.mp4", MP4, "cat.webm"),
        ({}, "cat.jpg", MP4, "cat.webm"),
        ({}, "cat.gif", gif(3), "cat.webp"),
        ({"video": {"animations": "apng"}}, "cat.gif", gif(3), "cat.png"),
        ({"video": {"format": "mov-qtrle"}}, "cat.mp4", MP4, "cat.mov"),
        ({"video": {"format": "png-sequence"}}, "cat.mp4", MP4, "cat.zip"),
        ({"content": "alpha"}, "cat.mp4", MP4, "cat.mov"),
        ({"content": "both"}, "cat.mp4", MP4, "cat.webm"),
        ({}, "cat.gif", gif(1), "cat.png"),
    ],
    ids=["mp4", "jpg", "gif", "apng", "qtrle", "sequence", "alpha", "both", "still"],
)
def test_content_decides_the_result(
    tmp_path: Path, output: dict[str, Any], name: str, content: bytes, result: str
):
    """Not the file's name; one that does not move is a picture."""
    kit = Kit(tmp_path, work=make_clip, folder={"output": output})
    kit.drop(name, content)
    kit.pass_time(5)

    assert kit.results() == [result, f"originals/{name}"]


def test_manifest_tells_of_the_clip(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Its kind, its frames, how long it lasts; the log says the frames."""
    caplog.set_level(logging.INFO)
    kit = Kit(tmp_path, work=make_clip)
    kit.drop("cat.mp4", MP4)
    kit.pass_time(5)
    [entry] = json.loads((kit.drops()[0] / "manifest.json").read_text())["pictures"]

    assert entry["clip"] == {
        "kind": "mp4",
        "format": "webm",
        "frames": 10,
        "duration_s": 0.4,
        "has_sound": False,
        "segments": 1,
        "kept_segments": 0,
    }
    assert faults(entry) == []
    assert (entry["result"], entry["seconds"]) == ("cat.webm", {"clip": 1.0})
    assert f"done {kit.drops()[0]}/cat.webm (10 frames)" in caplog.messages


def test_kept_original_is_looked_at_where_it_is(tmp_path: Path):
    """As a batch does it."""
    kit = Kit(tmp_path, work=make_clip, folder={"originals": "keep"})
    kit.drop("cat.mp4", MP4)
    kit.pass_time(5)

    assert kit.results() == ["cat.webm"]
    assert kit.left_in_hot() == ["cat.mp4"]


def test_unfinished_copy_is_looked_at_again(tmp_path: Path):
    """It began with zeros when it was taken: only its whole is a clip."""

    def work(task: Task) -> Outcome:
        if task.clip is not None:
            return make_clip(task)
        task.source.write_bytes(MP4)  # the copy goes on meanwhile
        return Failed(Blame.FILE, "no picture")

    kit = Kit(tmp_path, work=work)
    kit.drop("cat.mov", b"\0" * 100)
    kit.pass_time(60)

    assert kit.results() == ["cat.webm", "originals/cat.mov"]


# --- left alone ------------------------------------------------------------------------------


def test_ignored_clips_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Also an animated picture; each is told once, and pictures beside them are cut out."""
    caplog.set_level(logging.INFO)
    kit = Kit(tmp_path, work=make_clip, folder={"video": "ignore"})
    kit.drop("cat.mp4", MP4)
    kit.drop("cat.gif", gif(3))
    kit.drop("still.gif", gif(1))
    kit.pass_time(130)

    assert kit.results() == ["originals/still.gif", "still.png"]
    assert kit.left_in_hot() == ["cat.gif", "cat.mp4"]
    assert kit.service.snapshot().folders["hot"].ignored == 2
    assert sum(text.startswith("ignored ") for text in caplog.messages) == 2


def test_changed_file_is_looked_at_anew(tmp_path: Path):
    """A picture takes the name of a clip that was left."""
    kit = Kit(tmp_path, work=make_clip, folder={"video": "ignore"})
    kit.drop("cat.gif", gif(3))
    kit.pass_time(10)
    kit.drop("cat.gif", gif(1))
    kit.pass_time(10)

    assert kit.results() == ["cat.png", "originals/cat.gif"]


def test_first_frame_is_what_earlier_versions_did(tmp_path: Path):
    """Animated pictures become stills, video files stay."""
    kit = Kit(tmp_path, work=make_clip, folder={"video": "first-frame"})
    kit.drop("cat.mp4", MP4)
    kit.drop("cat.gif", gif(3))
    kit.pass_time(10)

    assert kit.results() == ["cat.png", "originals/cat.gif"]
    assert kit.left_in_hot() == ["cat.mp4"]


def test_default_needs_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without it all is as before, and a person is told what to install."""
    monkeypatch.setattr(video, "is_installed", lambda: False)
    kit = Kit(tmp_path, work=make_clip)
    kit.drop("cat.mp4", MP4)
    kit.drop("cat.gif", gif(3))
    kit.pass_time(10)

    assert kit.results() == ["cat.png", "originals/cat.gif"]
    assert "cvunet-daemon[video]" in video.notice(Config())


def test_who_asks_for_clips_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The daemon does not start, and says what to install."""
    monkeypatch.setattr(video, "is_installed", lambda: False)
    (tmp_path / "hot").mkdir()
    config = Config.model_validate({"folders": [{"path": "hot", "video": "cut"}]})

    with pytest.raises(InstallError, match=r"install cvunet-daemon\[video\]"):
        hot_folders(config, tmp_path)


def test_a_cluster_cuts_out_no_clips(tmp_path: Path):
    """By default they are treated as without the extra; who asks for them is told."""
    (tmp_path / "hot").mkdir()
    worker = {"engine": "ray"}
    config = Config.model_validate({"folders": [{"path": "hot"}], "worker": worker})
    asked = {"folders": [{"path": "hot", "video": "cut"}], "worker": worker}

    assert [one.clips for one in hot_folders(config, tmp_path)] == ["first-frame"]
    assert "worker.engine: ray" in video.notice(config)
    with pytest.raises(InstallError, match=r"worker\.engine: ray\) cut out pictures only"):
        hot_folders(Config.model_validate(asked), tmp_path)


# --- beside pictures -------------------------------------------------------------------------


def test_pictures_do_not_wait_for_clips(tmp_path: Path):
    """Clips have places and a line of their own; one clip at a time."""
    kit = Kit(tmp_path, work=make_clip, is_held=True)
    for number in range(3):
        kit.drop(f"{number}.mp4", MP4)
    kit.pass_time(5)
    for number in range(9):
        kit.drop(f"{number}.jpg")
    kit.pass_time(5)
    held = [task.source.suffix for task, _ in kit.engine.held]
    kit.engine.run_held()
    kit.pass_time(1)

    assert (held.count(".mp4"), held.count(".jpg")) == (1, kit.engine.depth)


def test_clips_wait_in_their_folder_when_many_are_queued(tmp_path: Path):
    """And take no room from pictures."""
    kit = Kit(tmp_path, work=make_clip, is_held=True, settings={"worker": {"queue_size": 2}})
    for number in range(6):
        kit.drop(f"{number}.mp4", MP4)
        kit.pass_time(2)
    kit.drop("a.jpg")
    kit.pass_time(5)
    waiting = [name for name in kit.left_in_hot() if not name.startswith(".cvunetd")]

    assert len(waiting) == 3  # one is in work, two are queued
    assert "a.jpg" not in waiting
    for _ in range(40):
        kit.engine.run_held()
        kit.pass_time(5)
    assert len([name for name in kit.results() if name.endswith(".webm")]) == 6


def test_suspect_clip_runs_alone_until_it_gets_on(tmp_path: Path):
    """Then others go beside it: it may take hours."""
    kit = Kit(tmp_path, work=interrupted(0))
    kit.drop("cat.mp4", MP4)
    kit.pass_time(2)
    kit.engine.is_held = True
    kit.pass_time(10)
    [(task, _)] = kit.engine.held
    kit.drop("a.jpg")
    kit.pass_time(5)
    before = len(kit.engine.held)
    kit.engine.clips[task.job_id] = ClipProgress(96, 200, 10.0, 10.4, has_made_segment=True)
    kit.pass_time(2)

    assert (before, len(kit.engine.held)) == (1, 2)
    kit.work = make_clip
    kit.engine.run_held()
    kit.pass_time(2)


def test_progress_is_told(tmp_path: Path):
    """In the line for systemd and in the report."""
    kit = Kit(tmp_path, work=make_clip, is_held=True)
    kit.drop("cat.mp4", MP4)
    kit.pass_time(5)
    [(task, _)] = kit.engine.held
    kit.engine.clips[task.job_id] = ClipProgress(96, 200, 9.5, 10.9)
    snapshot = kit.service.snapshot()
    kit.engine.run_held()
    kit.pass_time(1)

    assert "clip cat.mp4: frame 96 of 200, 9.5 frames/s, 11 s left" in snapshot.line
    assert snapshot.clips[task.job_id].folder == "hot"


# --- interrupted -----------------------------------------------------------------------------


def test_progress_is_not_counted_against_a_clip(tmp_path: Path):
    """A long one may fail more than three times, as long as each attempt finishes something."""
    kit = Kit(tmp_path, work=interrupted(1))
    kit.drop("cat.mp4", MP4)
    kit.pass_time(60)
    note = segments.read_note(jobs(kit, State.QUEUED)[0].part)
    assert note is not None
    assert len(note.frames) > 3
    kit.work = make_clip
    kit.pass_time(60)

    assert kit.results() == ["cat.webm", "originals/cat.mp4"]
    assert hidden(kit) == []


def test_clip_without_progress_is_rejected(tmp_path: Path):
    """After three attempts, and nothing of it is left in the drop."""
    attempts = []

    def work(task: Task) -> Outcome:
        attempts.append(task)
        return interrupted(1 if len(attempts) == 1 else 0)(task)

    kit = Kit(tmp_path, work=work)
    kit.drop("cat.mp4", MP4)
    kit.pass_time(120)

    assert len(attempts) == 4
    assert (tmp_path / "failed" / "hot" / "cat.mp4").exists()
    assert hidden(kit) == []


def test_died_while_it_got_on(tmp_path: Path):
    """kill -9 in the middle: segments stay, the attempt is refunded, also five times."""
    kit = Kit(tmp_path, work=make_clip, is_held=True)
    kit.drop("cat.mp4", MP4)
    kit.pass_time(5)
    for life in range(5):
        [(task, _)] = kit.engine.held
        interrupted(1)(task)
        kit.restart()
        [job] = jobs(kit, State.QUEUED)
        assert job.attempts == 0
        note = segments.read_note(job.part)
        assert note is not None
        assert len(note.frames) == life + 1
        kit.pass_time(2)
    kit.engine.run_held()
    kit.pass_time(2)

    assert kit.results() == ["cat.webm", "originals/cat.mp4"]
    assert hidden(kit) == []


def test_died_without_getting_on(tmp_path: Path):
    """Ten times, for it has a process of its own: it is rejected, and its segments go."""
    kit = Kit(tmp_path, work=make_clip, is_held=True)
    kit.drop("cat.mp4", MP4)
    kit.pass_time(5)
    interrupted(2)(kit.engine.held[0][0])
    for _ in range(10):
        assert not (tmp_path / "failed" / "hot" / "cat.mp4").exists()
        kit.restart(crash="Segmentation fault")
        kit.pass_time(2)
        for task, _ in kit.engine.held:
            interrupted(0)(task)
    kit.restart(crash="Segmentation fault")

    assert (tmp_path / "failed" / "hot" / "cat.mp4").exists()
    assert hidden(kit) == []


def test_killed_without_getting_on(tmp_path: Path):
    """A segment may take longer than many lives of a slow machine: that is no fault of the clip."""
    kit = Kit(tmp_path, work=make_clip, is_held=True)
    kit.drop("cat.mp4", MP4)
    for _ in range(30):
        kit.pass_time(2)
        kit.restart()
    kit.pass_time(700, step_s=5.0)
    kit.engine.run_held()
    kit.pass_time(2)

    assert kit.results() == ["cat.webm", "originals/cat.mp4"]


def test_full_disk_keeps_segments(tmp_path: Path):
    """The folder stands by; what is finished is not made again."""
    kit = Kit(tmp_path, work=interrupted(2, Blame.MACHINE))
    kit.drop("cat.mp4", MP4)
    kit.pass_time(3)
    [job] = jobs(kit, State.QUEUED)
    note = segments.read_note(job.part)

    assert note is not None
    assert len(note.frames) == 2
    assert job.attempts == 0


@pytest.mark.parametrize("is_clip", [True, False])
def test_folder_waits_for_a_clip_that_is_behind_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_clip: bool
):
    """It is read anew for each clip; a picture was read at the start, and is not missed."""
    behind = tmp_path / "room.mp4"
    behind.write_bytes(MP4)
    looked: list[Path] = []

    def first_frame(path: Path) -> None:
        looked.append(path)
        if not path.exists():
            raise InstallError(f"background {path} cannot be read")

    monkeypatch.setattr(backgrounds, "is_clip", lambda path: is_clip)
    monkeypatch.setattr(backgrounds, "first_frame", first_frame)
    reason = "background room.mp4 cannot be read"
    kit = Kit(
        tmp_path,
        work=lambda task: make_clip(task) if behind.exists() else Failed(Blame.MACHINE, reason),
        folder={"output": {"background": str(behind)}},
    )
    behind.unlink()
    kit.drop("cat.mp4", MP4)
    kit.pass_time(60)
    reasons = dict(kit.service.parts.standby.reasons)
    behind.write_bytes(MP4)
    kit.pass_time(60)

    assert bool(looked) is is_clip
    assert reasons if is_clip else kit.service.parts.standby.reasons == {}
    assert kit.results() == ["cat.webm", "originals/cat.mp4"]


def test_segments_of_nobody_are_removed(tmp_path: Path):
    """At the start: their job is done, failed or unknown."""
    kit = Kit(tmp_path, work=make_clip)
    kit.drop("cat.mp4", MP4)
    kit.pass_time(3)
    [drop] = kit.drops()
    part = drop / f".{'0' * 22}.part"
    segments.begin(part, 0).close()
    segments.write_note(part, Note("key", (96,)))
    kit.restart()

    assert hidden(kit) == []


def test_retention_deletes_what_was_left(tmp_path: Path):
    """Segments do not keep an old drop."""
    kit = Kit(tmp_path, work=make_clip)
    kit.drop("cat.mp4", MP4)
    kit.pass_time(60)
    [drop] = kit.drops()
    part = drop / f".{'0' * 22}.part"
    segments.begin(part, 0).close()
    segments.write_note(part, Note("key", (96,)))
    kit.time.seconds += 8 * 86_400
    for _ in range(4):
        kit.time.seconds += 3700
        kit.pass_time(1)

    assert kit.drops() == []


def test_rejected_clip_is_tried_again_from_the_beginning(tmp_path: Path):
    """`cvunetd retry` makes a new job of it."""
    kit = Kit(tmp_path, work=lambda task: Failed(Blame.FILE, "damaged", is_final=True))
    kit.drop("cat.mp4", MP4)
    kit.pass_time(5)
    kit.work = make_clip
    shutil.move(tmp_path / "failed" / "hot" / "cat.mp4", kit.hot / "cat.mp4")
    kit.pass_time(70)

    assert kit.results() == ["cat.webm", "originals/cat.mp4"]
