"""Neighbours of pictures: they stay, are named once, are counted, and take no names."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.commands import why as inquiry
from daemon.errors import Blame
from daemon.jobs import Failed, Hint, Outcome, State, Task
from daemon.messages import FileEvent
from daemon.watching.ignored_names import why_left
from tests.commands.test_why import configure
from tests.samples import make_folder
from tests.service.service_kit import START, Kit, copy_out

ENDINGS = "xmp aae cos pp3 dop thm json txt xml vob WMV wav zip 7z pdf DOCX xlsx csv lnk exe lrcat"


def no_picture(task: Task) -> Outcome:
    """A worker that refuses what holds the word."""
    if task.source.read_bytes() == b"noise":
        return Failed(Blame.FILE, "no picture", is_final=True)
    return copy_out(task)


def fails_at_first(failed: Failed) -> Callable[[Task], Outcome]:
    """A worker that fails with its first task."""
    outcomes: list[Outcome] = [failed]

    def work(task: Task) -> Outcome:
        return outcomes.pop() if outcomes else copy_out(task)

    return work


def ignored(kit: Kit) -> int:
    """What the service tells of its folder."""
    return kit.service.snapshot().folders["hot"].ignored


@pytest.mark.parametrize("ending", ENDINGS.split())
def test_other_files(tmp_path: Path, ending: str):
    """By their ending, whatever its case."""
    assert f"{ending.lower()} files are no pictures" in why_left(
        tmp_path / f"a.{ending}", make_folder(tmp_path, path=tmp_path)
    )


@pytest.mark.parametrize(("clips", "is_left"), [("cut", False), ("ignore", True)])
def test_video_files_stay_where_clips_are_not_cut_out(tmp_path: Path, clips: str, is_left: bool):
    """The reason says which setting decides; a kind that is never cut out stays in any case."""
    folder = make_folder(tmp_path, path=tmp_path, clips=clips)
    reason = why_left(tmp_path / "a.MP4", folder)

    assert bool(reason) is is_left
    assert not is_left or "folders[].video" in reason
    assert why_left(tmp_path / "a.vob", folder)


@pytest.mark.parametrize(
    "name", ["cat", "xmp", "cat.dat", "cat.xmp.jpg", "cat.psd", "a.svg", "a.nef"]
)
def test_what_may_be_a_picture(tmp_path: Path, name: str):
    """Content decides; a reason in quarantine helps more than silence."""
    assert why_left(tmp_path / name, make_folder(tmp_path, path=tmp_path)) == ""


@pytest.mark.parametrize("clash", ["version", "overwrite", "fail"])
def test_sidecar_takes_no_name(tmp_path: Path, clash: str):
    """The photo has its own name, and the sidecar lies where it lay."""
    kit = Kit(tmp_path, settings={"output": {"clash": clash}})
    for name in ("cat.aae", "cat.jpg", "cat.xmp"):
        kit.drop(name)
    kit.pass_time(70)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert [n for n in kit.left_in_hot() if "cvunetd" not in n] == ["cat.aae", "cat.xmp"]
    assert (ignored(kit), kit.service.snapshot().folders["hot"].unclaimed) == (2, 0)


@pytest.mark.parametrize("clash", ["version", "overwrite", "fail"])
@pytest.mark.parametrize("content", ["cutout", "both"])
def test_noise_takes_no_name(tmp_path: Path, clash: str, content: str):
    """What turns out to be no picture gives its name back; nothing tells it before."""

    def work(task: Task) -> Outcome:
        if task.alpha_part is not None:
            task.alpha_part.write_bytes(b"mask")
        return no_picture(task)

    settings: dict[str, object] = {"output": {"clash": clash, "content": content}}
    kit = Kit(tmp_path, work=work, settings=settings)
    kit.drop("cat.dat", b"noise")
    kit.drop("cat.jpg")
    kit.pass_time(10)

    masks = ["cat_alpha.png"] if content == "both" else []
    assert kit.results() == ["cat.png", *masks, "originals/cat.jpg"]
    assert (tmp_path / "failed/hot/cat.dat").exists()


def test_noise_that_may_be_unfinished_takes_no_name(tmp_path: Path):
    """It is tried again for two minutes; the photo does not wait for that."""

    def work(task: Task) -> Outcome:
        if task.source.read_bytes() == b"noise":
            return Failed(Blame.FILE, "cut short")
        return copy_out(task)

    kit = Kit(tmp_path, work=work)
    os.utime(kit.drop("cat.dat", b"noise"), (START, START))
    kit.drop("cat.jpg")
    kit.pass_time(5)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert len(kit.records.in_state(State.QUEUED)) == 1


def test_an_unfinished_picture_gets_its_name_back(tmp_path: Path):
    """While it could not be read, its name was free to others; nobody took it."""
    kit = Kit(tmp_path, work=fails_at_first(Failed(Blame.FILE, "cut short")))
    os.utime(kit.drop("cat.jpg"), (START, START))
    kit.pass_time(5)
    [waiting] = kit.records.in_state(State.QUEUED)
    kit.pass_time(60)

    assert waiting.target.name == "cat_2.png"
    assert kit.results() == ["cat.png", "originals/cat.jpg"]


@pytest.mark.parametrize("blame", [Blame.UNKNOWN, Blame.UNSURE])
def test_a_picture_that_is_tried_again_keeps_its_name(tmp_path: Path, blame: Blame):
    """The next one of its name takes another, however early it is done."""
    kit = Kit(tmp_path, work=fails_at_first(Failed(blame, "out of memory")))
    kit.drop("cat.jpg")
    kit.pass_time(3)
    kit.drop("cat.webp", b"another")
    kit.pass_time(60)

    assert kit.results() == ["cat.png", "cat_2.png", "originals/cat.jpg", "originals/cat.webp"]
    [drop] = kit.drops()
    assert (drop / "cat_2.png").read_bytes() == b"another"


def test_two_pictures_still_meet(tmp_path: Path):
    """With `clash: fail` the second is rejected, though both were in work at once."""
    kit = Kit(tmp_path, settings={"output": {"clash": "fail"}})
    kit.drop("cat.jpg")
    kit.drop("cat.webp", b"other")
    kit.pass_time(10)

    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert (tmp_path / "failed/hot/cat.webp").exists()


def test_template_of_a_new_configuration_renames_nothing_in_work(tmp_path: Path):
    """A result keeps the names that it was given."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    [job] = kit.records.in_state(State.RUNNING)
    folder = make_folder(tmp_path, name_template="{stem}_x")

    assert kit.service.parts.results.placement.settle_name(folder, job) == job


def test_each_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Not with every sweep; a deleted one no longer counts."""
    caplog.set_level(logging.INFO)
    kit = Kit(tmp_path)
    path = kit.drop("sub/cat.xmp")
    kit.inbox.put(FileEvent("hot", path, Hint.CLOSED))
    kit.pass_time(130, step_s=10)
    before = ignored(kit)
    path.unlink()
    kit.pass_time(70, step_s=10)

    assert caplog.text.count("ignored ") == 1
    assert f"ignored {path}: .xmp files are no pictures" in caplog.text
    assert (before, ignored(kit)) == (1, 0)


def test_an_exception_makes_it_a_picture(tmp_path: Path):
    """For somebody whose scanner writes `.txt`."""
    kit = Kit(tmp_path, folder={"ignore": ["!*.txt", "*_old.*"]})
    for name in ("scan.txt", "scan.xml", "a_old.jpg"):
        kit.drop(name)
    kit.pass_time(5)

    assert kit.results() == ["originals/scan.txt", "scan.png"]
    assert ignored(kit) == 2


def test_why_says_what_it_is(tmp_path: Path):
    """Instead of that it has to stay unchanged."""
    Kit(tmp_path)
    path = tmp_path / "hot" / "cat.xmp"
    path.write_bytes(b"<x/>")

    assert ".xmp files are no pictures" in "\n".join(inquiry.lines(configure(tmp_path), path))
