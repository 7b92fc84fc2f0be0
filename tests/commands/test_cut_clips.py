"""`cvunetd cut` of clips: formats, parts, progress, and that nothing is left when it is stopped."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from cvunet.video.clips import ClipLimits
from cvunet.video.reading import open_clip
from cvunet.video.signatures import clip_kind
from daemon.commands import cut
from daemon.commands.cut_clips import Progress, Result, clock_text, part_of, seconds
from daemon.disk import store
from daemon.errors import InstallError, UsageError
from daemon.worker import predictors
from daemon.worker.clips.alone import InUse, open_part
from tests.samples import names_in
from tests.video.clips_kit import Clip, damaged
from tests.video.test_cutting import RedPredictor

pytest.importorskip("av")


@dataclass
class Command:
    """`cvunetd cut` with a quick network, in this process."""

    folder: Path
    lines: list[str] = field(default_factory=list)
    stop_after: int | None = None
    """So many lines of progress."""
    stop: Callable[[int], None] = lambda number: None
    clear: Callable[[], None] = lambda: None

    def __call__(
        self, *sources: Path, out: str, configuration: str = "", **options: Any
    ) -> list[Result]:
        """Run it; ``options`` as they are typed (`from_` is --from)."""
        config = self.folder / "config.yaml"
        config.write_text(f"folders: [{{path: hot}}]\n{configuration}\n")
        return cut.cut(
            sources,
            self.folder / out,
            config,
            start_logging=lambda *_: None,
            on_signal=self.take_stop,
            tell=self.note,
            options={name.rstrip("_"): value for name, value in options.items()},
        )

    def take_stop(self, stop: Callable[[int], None], *, clear: Callable[[], None]) -> None:
        """As `signals.on_signal`."""
        self.stop, self.clear = stop, clear

    def note(self, line: str) -> None:
        """Take a line of progress; the person at the terminal may have seen enough."""
        self.lines.append(line)
        if len(self.lines) == self.stop_after:
            self.stop(signal.SIGINT)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, and a clip of 25 frames in `clips/cat.mp4`."""
    monkeypatch.setattr(predictors, "open_predictor", lambda *_: RedPredictor())
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "cat.mp4").write_bytes(Clip(times=tuple(range(0, 1000, 40))).file())
    return Command(tmp_path)


def clip_of(folder: Path) -> Path:
    """The clip of `command`."""
    return folder / "clips" / "cat.mp4"


def kind_of(path: Path) -> str | None:
    """What a result is, by its content."""
    with path.open("rb") as stream:
        return clip_kind(stream)


@pytest.mark.parametrize(
    ("name", "format", "kind"),
    [
        ("cat.webm", None, "webm"),
        ("cat.mov", None, "mov"),
        ("cat.mov", "alpha", "mov"),
        ("cat.mp4", None, "mp4"),
        ("cat.png", None, "apng"),
        ("cat.webp", None, "webp"),
        ("cat.zip", None, None),
    ],
)
def test_the_suffix_chooses(command: Command, name: str, format: str | None, kind: str | None):
    """As it does for pictures."""
    [result] = command(clip_of(command.folder), out=name, format=format)

    assert result.target == command.folder / name
    assert kind_of(command.folder / name) == kind


def test_into_a_folder(command: Command):
    """The format is that of the configuration; a name that is taken gets a version."""
    (command.folder / "out").mkdir()
    (command.folder / "out" / "cat.webm").write_text("somebody's")

    [result] = command(clip_of(command.folder), out="out")

    assert result.target == command.folder / "out" / "cat_2.webm"
    assert names_in(command.folder / "out") == ["cat.webm", "cat_2.webm"]


def test_an_animated_png_is_a_png(command: Command):
    """In a folder, as a hot folder writes it."""
    [result] = command(clip_of(command.folder), out="out", format="apng")

    assert result.target == command.folder / "out" / "cat.png"


def test_a_part(command: Command):
    """--from and --to, in seconds or as a clock shows them."""
    command(clip_of(command.folder), out="cat.webm", from_="0.2", to="0:00:00.4")

    with (command.folder / "cat.webm").open("rb") as stream:
        frames = list(open_clip(stream, limits=ClipLimits()).frames())
    assert len(frames) == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": "cat.gif"}, "not written as .gif"),
        ({"out": "cat.jpg"}, "not written as .jpg"),
        ({"out": "cat.webm", "format": "mp4"}, "leave out --format"),
        ({"out": "out", "format": "jpeg"}, "is for pictures"),
        ({"out": "cat.webm", "from_": "1:2:3:4"}, "h:mm:ss"),
        ({"out": "cat.webm", "from_": "2", "to": "1"}, "not after --from"),
    ],
)
def test_usage(command: Command, options: dict[str, Any], words: str):
    """Each says what to type instead."""
    with pytest.raises(UsageError, match=words):
        command(clip_of(command.folder), **options)

    assert names_in(command.folder) == ["clips", "config.yaml"]


@pytest.mark.parametrize("content", [None, b"", b"no clip at all" * 99])
@pytest.mark.parametrize("name", ["film.mp4", "film.wmv"])
@pytest.mark.parametrize("options", [{}, {"from_": "0.1"}])
def test_a_clip_that_is_none(
    command: Command, name: str, content: bytes | None, options: dict[str, Any]
):
    """Its name says that it was meant to be one, so nothing is said of pictures."""
    film = command.folder / "clips" / name
    if content is not None:
        film.write_bytes(content)

    [result] = command(film, out="out.webm", **options)

    known = "no such file" if content is None else "no moving picture"
    assert (result.target, known in result.reason) == (None, True)


def test_what_is_missing_keeps_no_other_clip(command: Command):
    """Nor does its name, of 250 bytes, which has no room for that of a part."""
    long = command.folder / "clips" / f"{'n' * 246}.mp4"
    long.write_bytes(clip_of(command.folder).read_bytes())

    results = command(command.folder / "no.mp4", long, clip_of(command.folder), out="out")

    assert [result.target is not None for result in results] == [False, True, True]
    assert names_in(command.folder / "out") == ["cat.webm", f"{'n' * 246}.webm"]


def test_parts_of_long_names_are_told_apart():
    """Two names that are cut to the same one."""
    first, second = (part_of(Path(f"/out/{'n' * 200}{number}.webm")) for number in (1, 2))

    assert first != second
    assert len(first.name) < 160
    assert part_of(Path("/out/cat.webm")) == Path("/out/.cat.webm.part")


def test_options_of_pictures_are_looked_at_first(command: Command):
    """A clip takes an hour: a word that is wrong for the picture behind it is told before."""
    picture = command.folder / "clips" / "dog.png"
    Image.new("RGB", (8, 8)).save(picture)

    with pytest.raises(UsageError, match="webm"):
        command(clip_of(command.folder), picture, out="out", format="webm")

    assert names_in(command.folder) == ["clips", "config.yaml"]


@pytest.mark.parametrize("content", [None, b"\0\0\0\x20ftypisom" + bytes(600)])
def test_a_background_that_cannot_be_read(command: Command, content: bytes | None):
    """It is named; the clip that is cut out is not to blame."""
    room = command.folder / "room.mp4"
    if content is not None:
        room.write_bytes(content)

    with pytest.raises(InstallError, match=r"background .*room\.mp4 cannot be read"):
        command(clip_of(command.folder), out="cat.mp4", background=str(room))

    assert [name for name in names_in(command.folder) if "cat" in name] == []


@pytest.mark.parametrize(("out", "name"), [("out", "out/cat.mov"), ("cat.mov", "cat.mov")])
def test_a_mask_that_the_configuration_asks_for(command: Command, out: str, name: str):
    """`output.content: alpha`, as in a hot folder."""
    [result] = command(clip_of(command.folder), out=out, configuration="output: {content: alpha}")

    assert result.target == command.folder / name
    with av.open(str(result.target)) as made:
        assert made.streams.video[0].codec_context.pix_fmt == "gray"


def test_a_mask_is_no_webm(command: Command):
    """The configuration and the name say two things."""
    with pytest.raises(UsageError, match=r"output\.content"):
        command(clip_of(command.folder), out="cat.webm", configuration="output: {content: alpha}")


@pytest.mark.parametrize("on_damage", ["keep", "reject"])
def test_a_clip_that_is_damaged_in_the_middle(command: Command, on_damage: str):
    """As `video.on_damage` says."""
    broken = command.folder / "clips" / "broken.mp4"
    made = Clip(times=tuple(range(0, 2000, 40)), options={"g": "10"})
    broken.write_bytes(damaged(made.file(), 25))

    [result] = command(broken, out="out", configuration=f"video: {{on_damage: {on_damage}}}")

    assert (result.target is None) == (on_damage == "reject")
    assert "damaged" in " ".join((result.reason, *result.warnings))
    assert len(names_in(command.folder / "out")) == (on_damage == "keep")


def test_nobody_else_takes_a_part_before_it_has_its_name(
    command: Command, monkeypatch: pytest.MonkeyPatch
):
    """Two commands with the same -o: the other one would empty what this one publishes."""
    found: list[bool] = []
    publish = store.publish

    def publish_later(part: Path, target: Path) -> None:
        with pytest.raises(InUse), open_part(part):
            pass
        found.append(part.stat().st_size > 0)
        publish(part, target)

    monkeypatch.setattr(store, "publish", publish_later)

    command(clip_of(command.folder), out="cat.webm")

    assert found == [True]


def test_a_part_that_was_published_meanwhile_is_not_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Opened before it got its name, and locked after that."""
    part, result = tmp_path / ".cat.webm.part", tmp_path / "cat.webm"
    part.write_bytes(b"result")
    lock = fcntl.flock

    def lock_late(stream: Any, operation: int) -> None:
        part.rename(result)
        lock(stream, operation)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with pytest.raises(InUse), open_part(part):
        pass

    assert result.read_bytes() == b"result"


def test_a_sudden_end_leaves_nothing(command: Command):
    """A second Ctrl-C: what is unfinished is deleted before the process ends."""
    left: list[list[str]] = []

    class Impatient(Command):
        def note(self, line: str) -> None:
            if not left:
                left.append(names_in(self.folder / "out"))
                self.clear()
                left.append(names_in(self.folder / "out"))

    Impatient(command.folder)(clip_of(command.folder), out="out")

    assert left == [[".cat.webm.part"], []]


def test_pictures_behind_a_clip_that_was_stopped(command: Command):
    """They are not begun, as clips are not."""
    command.stop_after = 1
    picture = command.folder / "clips" / "dog.png"
    Image.new("RGB", (8, 8)).save(picture)

    results = command(clip_of(command.folder), picture, out="out")

    assert ["stopped" in result.reason for result in results] == [True, True]


def test_stopped_in_the_middle(command: Command):
    """Ctrl-C leaves nothing behind; clips after it are not begun."""
    command.stop_after = 1
    other = command.folder / "clips" / "dog.mp4"
    other.write_bytes(clip_of(command.folder).read_bytes())

    results = command(clip_of(command.folder), other, out="out")

    assert [result.target for result in results] == [None, None]
    assert "stopped" in results[0].reason
    assert names_in(command.folder / "out") == []


def test_what_a_killed_run_has_left_is_replaced(command: Command):
    """It has one name, hidden, which the next run takes."""
    (command.folder / ".cat.webm.part").write_bytes(b"half" * 1000)

    command(clip_of(command.folder), out="cat.webm")

    assert names_in(command.folder) == ["cat.webm", "clips", "config.yaml"]


def test_a_damaged_clip(command: Command):
    """It comes out up to there, with a warning; one that is no clip any more does not."""
    content = clip_of(command.folder).read_bytes()
    broken = command.folder / "clips" / "broken.mp4"
    broken.write_bytes(content[: len(content) // 2])

    [result] = command(broken, out="out")

    assert result.target is None
    assert names_in(command.folder / "out") == []


def test_a_network_that_fails(command: Command, monkeypatch: pytest.MonkeyPatch):
    """It is the reason of this clip, in the runtime's words, and nothing is left."""

    def predict(smalls: Any) -> Any:
        raise RuntimeError("onnxruntime: INVALID_ARGUMENT")

    broken = RedPredictor()
    broken.predict = predict  # type: ignore[method-assign,assignment,unused-ignore]
    monkeypatch.setattr(predictors, "open_predictor", lambda *_: broken)

    [result] = command(clip_of(command.folder), out="cat.webm")

    assert (result.target, "INVALID_ARGUMENT" in result.reason) == (None, True)
    assert names_in(command.folder) == ["clips", "config.yaml"]


def test_without_the_extra(command: Command, monkeypatch: pytest.MonkeyPatch):
    """The message says what to install."""
    from cvunet.errors import VideoMissing
    from cvunet.video import av_library

    def load() -> None:
        raise VideoMissing("clips need PyAV: pip install 'cvunet-daemon[video]'")

    monkeypatch.setattr(av_library, "load", load)

    with pytest.raises(InstallError, match=r"pip install 'cvunet-daemon\[video\]'"):
        command(clip_of(command.folder), out="cat.webm")


def test_progress():
    """Frame n of m, frames a second, time left; not more often than a person can read."""
    times = iter([0.0, 0.1, 1.0, 10.0])
    lines: list[str] = []
    progress = Progress("cat.mp4", lines.append, lambda: next(times))

    progress.note(1, 100)
    progress.note(20, 100)
    progress.note(50, None)

    assert lines == [
        "cat.mp4: frame 1 of 100, 10.0 frames/s, 0:10 left",
        "cat.mp4: frame 20 of 100, 20.0 frames/s, 0:04 left",
        "cat.mp4: frame 50, 5.0 frames/s",
    ]


def test_clocks():
    """As people write times, and as they read them."""
    assert [seconds(text, "from") for text in (None, "90", "1:30", "1:01:30.5")] == [
        None,
        90,
        90,
        3690.5,
    ]
    assert [clock_text(each) for each in (5, 65, 3661)] == ["0:05", "1:05", "1:01:01"]


@pytest.mark.timeout(180)
@pytest.mark.system
@pytest.mark.parametrize(("number", "left"), [(signal.SIGINT, 0), (signal.SIGKILL, 1)])
def test_a_process_that_is_stopped(tmp_path: Path, number: int, left: int):
    """Ctrl-C leaves nothing, kill -9 one hidden file that the next run takes."""
    (tmp_path / "config.yaml").write_text("folders: [{path: hot}]\n")
    clip = tmp_path / "cat.mp4"
    clip.write_bytes(Clip(size=(640, 360), times=tuple(range(0, 40_000, 40))).file())
    line: list[str | Path] = [
        sys.executable,
        "-m",
        "daemon",
        "cut",
        clip,
        "-o",
        tmp_path / "cat.webm",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*line, "--config", tmp_path / "config.yaml"], env=environment, stderr=subprocess.PIPE
    ) as process:
        part = tmp_path / ".cat.webm.part"
        while process.poll() is None and not part.exists():
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(60)

    assert process.returncode != 0
    assert [name for name in names_in(tmp_path) if "webm" in name] == [".cat.webm.part"][:left]
