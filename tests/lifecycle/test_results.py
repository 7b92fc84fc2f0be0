"""Two files for one picture, results in place of earlier ones, and those for review."""

import dataclasses
import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from daemon.disk import publication, store
from daemon.disk.syncs import Syncs
from daemon.jobs import Confidence, Done, Outcome, State, Task
from tests.service.service_kit import START, Kit, copy_out

DOUBTFUL = Confidence(0.2, {"certainty": 0.2}, {"uncertain": 0.3}, (), ("undecided",))
BLANK = dataclasses.replace(DOUBTFUL, score=0.0, reasons=("the mask is empty",), is_blank=True)


def copy_with_mask(task: Task) -> Outcome:
    """The worker of `content: both`."""
    outcome = copy_out(task)
    if task.alpha_part is not None:
        task.alpha_part.write_bytes(b"mask of " + task.source.read_bytes())
    return outcome


def doubting(confidence: Confidence) -> Any:  # Any: a worker
    """A worker that knows how little its result is worth."""

    def work(task: Task) -> Outcome:
        outcome = copy_with_mask(task)
        assert isinstance(outcome, Done)
        return dataclasses.replace(outcome, confidence=confidence)

    return work


def kit(tmp_path: Path, **output: Any) -> Kit:  # Any: settings
    """A service whose results have masks."""
    return Kit(tmp_path, work=copy_with_mask, settings={"output": output})


def entries(kit: Kit) -> list[dict[str, Any]]:  # Any: JSON
    """What the newest manifest says of its pictures."""
    content: dict[str, Any] = json.loads((kit.drops()[-1] / store.MANIFEST).read_text())
    pictures: list[dict[str, Any]] = content["pictures"]
    return pictures


# --- two files ---------------------------------------------------------------------------------


def test_both_files_are_published_and_listed(tmp_path: Path):
    """Result and mask under names that belong together, no part left."""
    life = kit(tmp_path, content="both")
    life.drop("cat.jpg", b"cat")
    life.pass_time(10)

    assert life.results() == ["cat.png", "cat_alpha.png", "originals/cat.jpg"]
    assert (life.drops()[0] / "cat_alpha.png").read_bytes() == b"mask of cat"
    assert (entries(life)[0]["result"], entries(life)[0]["alpha"]) == ("cat.png", "cat_alpha.png")
    assert list(tmp_path.rglob(".*.part")) == []


@pytest.mark.parametrize("stolen", ["cat.png", "cat_alpha.png"])
def test_a_foreign_file_under_one_of_both_names_stays(tmp_path: Path, stolen: str):
    """Put there while the picture was in work: ours gets another name, nothing is overwritten."""

    def work(task: Task) -> Outcome:
        task.part.with_name(stolen).write_bytes(b"foreign")
        return copy_with_mask(task)

    life = Kit(tmp_path, work=work, settings={"output": {"content": "both"}})
    life.drop("cat.jpg", b"cat")
    life.pass_time(10)
    drop = life.drops()[0]
    entry = entries(life)[0]

    assert (drop / stolen).read_bytes() == b"foreign"
    assert (drop / entry["result"]).read_bytes() == b"cat"
    assert (drop / entry["alpha"]).read_bytes() == b"mask of cat"
    assert len(life.results()) == 4


def test_a_result_whose_second_name_fails_is_taken_back_and_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The disk is full between mask and result: no mask is left alone, none is made twice."""
    life = kit(tmp_path, content="both")
    left = [1]
    publish = store.publish

    def fail_once(part: Path, target: Path, later: Syncs) -> None:
        if target.name == "cat.png" and left.pop() if left else False:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        publish(part, target, later)

    monkeypatch.setattr(store, "publish", fail_once)
    life.drop("cat.jpg", b"cat")
    life.pass_time(10)
    alone = [name for name in life.results() if "alpha" in name and "cat.png" not in life.results()]
    life.pass_time(120, step_s=2)

    assert (left, alone) == ([], [])
    assert life.results() == ["cat.png", "cat_alpha.png", "originals/cat.jpg"]


# --- the name is taken -------------------------------------------------------------------------


def drop_twice(life: Kit, *, between: Any = lambda: None) -> None:  # Any: something to do
    """The same picture, corrected."""
    life.drop("cat.jpg", b"first")
    life.pass_time(10)
    between()
    life.drop("cat.jpg", b"second")
    life.pass_time(10)


def test_versions_by_default(tmp_path: Path):
    """Both results stay."""
    life = kit(tmp_path)
    drop_twice(life)

    assert life.results() == ["cat.png", "cat_2.png", "originals/cat.jpg", "originals/cat_2.jpg"]


@pytest.mark.parametrize("content", ["cutout", "both"])
def test_overwriting_replaces_the_same_pictures_result(tmp_path: Path, content: str):
    """The newest has the name, originals are both kept, the manifest tells of both."""
    life = kit(tmp_path, clash="overwrite", content=content)
    drop_twice(life)
    drop = life.drops()[0]
    first, second = entries(life)

    masks = ["cat_alpha.png"] if content == "both" else []
    assert life.results() == sorted(["cat.png", *masks, "originals/cat.jpg", "originals/cat_2.jpg"])
    assert (drop / "cat.png").read_bytes() == b"second"
    assert [(drop / mask).read_bytes() for mask in masks] == [b"mask of second"] * len(masks)
    assert (first["result"], first["alpha"], first["replaced_by"]) == (None, None, second["id"])
    assert (second["result"], second["replaced_by"]) == ("cat.png", None)


def test_overwriting_goes_on(tmp_path: Path):
    """The third replaces the second."""
    life = kit(tmp_path, clash="overwrite")
    drop_twice(life)
    life.drop("cat.jpg", b"third")
    life.pass_time(10)

    assert (life.drops()[0] / "cat.png").read_bytes() == b"third"
    assert [entry["result"] for entry in entries(life)] == [None, None, "cat.png"]


def test_overwriting_spares_what_a_person_has_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """A retouched result is that person's work: it stays, and the log says so."""
    life = kit(tmp_path, clash="overwrite")
    drop_twice(life, between=lambda: (life.drops()[0] / "cat.png").write_bytes(b"retouched"))
    drop = life.drops()[0]

    assert (drop / "cat.png").read_bytes() == b"retouched"
    assert (drop / "cat_2.png").read_bytes() == b"second"
    assert "was changed by somebody else" in caplog.text


def test_overwriting_spares_another_pictures_result(tmp_path: Path):
    """cat.jpg and cat.webp are two pictures, whatever their results are called."""
    life = kit(tmp_path, clash="overwrite")
    for name in ("cat.jpg", "cat.webp"):
        life.drop(name, name.encode())
        life.pass_time(10)

    assert [name for name in life.results() if "originals" not in name] == ["cat.png", "cat_2.png"]


def test_overwriting_spares_a_foreign_file(tmp_path: Path):
    """What another program put under the name is none of ours."""
    life = kit(tmp_path, clash="overwrite")
    life.drop("dog.jpg")
    life.pass_time(10)
    (life.drops()[0] / "cat.png").write_bytes(b"foreign")
    life.drop("cat.jpg", b"cat")
    life.pass_time(10)

    assert (life.drops()[0] / "cat.png").read_bytes() == b"foreign"
    assert (life.drops()[0] / "cat_2.png").read_bytes() == b"cat"


def test_a_replacement_that_fails_for_good_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The earlier result stays, and stays listed."""
    life = kit(tmp_path, clash="overwrite")

    def fail(part: Path, target: Path) -> None:
        raise OSError(errno.E2BIG, "no", str(target))

    monkeypatch.setattr(publication, "replace", fail)
    drop_twice(life)
    life.pass_time(120, step_s=2)
    [first, second] = entries(life)

    assert (life.drops()[0] / "cat.png").read_bytes() == b"first"
    assert (first["result"], second["state"]) == ("cat.png", "failed")


def test_failing_rejects_before_any_work_is_done(tmp_path: Path):
    """At once, with the name and what to do about it; the first result is untouched."""
    life = kit(tmp_path, clash="fail")
    drop_twice(life)
    reason = json.loads((tmp_path / "failed/hot/cat.jpg.json").read_text())

    assert life.results() == ["cat.png", "originals/cat.jpg"]
    assert (tmp_path / "failed/hot/cat.jpg").read_bytes() == b"second"
    assert "cat.png is taken" in reason["reason"]
    assert "retry" in reason["reason"]


def test_failing_takes_back_the_mask(tmp_path: Path):
    """The result's name is taken at the last moment: its mask does not stay alone."""

    def work(task: Task) -> Outcome:
        task.part.with_name("cat.png").write_bytes(b"foreign")
        return copy_with_mask(task)

    settings: dict[str, object] = {"output": {"content": "both", "clash": "fail"}}
    life = Kit(tmp_path, work=work, settings=settings)
    life.drop("cat.jpg", b"cat")
    life.pass_time(10)

    assert life.results() == ["cat.png"]
    assert (life.drops()[0] / "cat.png").read_bytes() == b"foreign"
    assert (tmp_path / "failed/hot/cat.jpg").read_bytes() == b"cat"


# --- for review --------------------------------------------------------------------------------


def test_a_doubtful_result_also_lies_in_review(tmp_path: Path):
    """One file under two names, mirrored; the manifest has both and the reasons."""
    life = Kit(tmp_path, work=doubting(DOUBTFUL))
    life.drop("sub/cat.jpg", b"cat")
    life.pass_time(10)
    [entry] = entries(life)

    assert life.results() == ["originals/sub/cat.jpg", "review/sub/cat.png", "sub/cat.png"]
    assert (life.drops()[0] / "review/sub/cat.png").samefile(life.drops()[0] / "sub/cat.png")
    assert entry["review"] == "review/sub/cat.png"
    assert (entry["confidence"]["score"], entry["confidence"]["reasons"]) == (0.2, ["undecided"])


@pytest.mark.parametrize(("below", "is_shown"), [(0.0, False), (0.2, False), (0.21, True)])
def test_the_threshold_counts(tmp_path: Path, below: float, is_shown: bool):
    """Below it, not at it; a folder may have its own."""
    folder: dict[str, object] = {"output": {"review": {"below": below}}}
    life = Kit(tmp_path, work=doubting(DOUBTFUL), folder=folder)
    life.drop("cat.jpg", b"cat")
    life.pass_time(10)

    assert ("review/cat.png" in life.results()) is is_shown


def test_a_blank_result_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """In the log, too: nobody ships an empty picture without having been told."""
    life = Kit(tmp_path, work=doubting(BLANK))
    life.drop("cat.jpg", b"cat")
    life.pass_time(10)

    assert "cat.jpg is blank: the mask is empty" in caplog.text
    assert "review/cat.png" in life.results()


def test_without_hard_links_review_holds_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """FAT and many shares have none."""
    life = Kit(tmp_path, work=doubting(DOUBTFUL))

    def no_links(*arguments: Any, **settings: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    life.drop("cat.jpg", b"cat")
    life.pass_time(10)
    drop = life.drops()[0]

    assert (drop / "review/cat.png").read_bytes() == b"cat"
    assert not (drop / "review/cat.png").samefile(drop / "cat.png")
    assert list(tmp_path.rglob(".*.part")) == []


def test_a_foreign_file_in_review_stays(tmp_path: Path):
    """Put there while the picture was in work."""

    def work(task: Task) -> Outcome:
        place = task.part.parent / "review" / "cat.png"
        outcome: Outcome = doubting(DOUBTFUL)(task)
        place.parent.mkdir()
        place.write_bytes(b"foreign")
        return outcome

    life = Kit(tmp_path, work=work)
    life.drop("cat.jpg", b"cat")
    life.pass_time(10)

    assert (life.drops()[0] / "review/cat.png").read_bytes() == b"foreign"
    assert (life.drops()[0] / "review/cat_2.png").read_bytes() == b"cat"


@pytest.mark.parametrize("is_link", [False, True])
def test_something_called_review_stays(tmp_path: Path, *, is_link: bool):
    """A file, or a link to another disk: results for review go to another folder then."""

    def work(task: Task) -> Outcome:
        place = task.part.parent / "review"
        if is_link:
            (tmp_path / "elsewhere").mkdir()
            place.symlink_to(tmp_path / "elsewhere")
        else:
            place.write_bytes(b"foreign")
        outcome: Outcome = doubting(DOUBTFUL)(task)
        return outcome

    life = Kit(tmp_path, work=work)
    life.drop("cat.jpg", b"cat")
    life.pass_time(10)
    foreign = [] if is_link else ["review"]

    assert life.results() == ["cat.png", "originals/cat.jpg", *foreign, "review_2/cat.png"]
    assert entries(life)[0]["review"] == "review_2/cat.png"
    assert life.service.parts.standby.reasons == {}


def test_a_name_for_review_that_is_free_and_refused_is_not_looked_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A share that says so of a name that nothing has: it is tried again later."""
    tries: list[Path] = []

    def refuse(target: Path, place: Path, *, part: Path, on_step: object) -> None:
        tries.append(place)
        assert len(tries) < 20
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))

    life = Kit(tmp_path, work=doubting(DOUBTFUL))
    with monkeypatch.context() as patch:
        patch.setattr(publication, "add_link", refuse)
        life.drop("cat.jpg", b"cat")
        life.pass_time(5)
    life.pass_time(30)

    assert {place.name for place in tries} == {"cat.png"}
    assert "could not be put away" in caplog.text
    assert life.results() == ["cat.png", "originals/cat.jpg", "review/cat.png"]


def test_a_better_result_leaves_review(tmp_path: Path):
    """The corrected picture replaces the doubtful one in both places."""
    settings: dict[str, object] = {"output": {"clash": "overwrite"}}
    life = Kit(tmp_path, work=doubting(DOUBTFUL), settings=settings)
    life.drop("cat.jpg", b"first")
    life.pass_time(10)
    life.work = copy_out
    life.drop("cat.jpg", b"second")
    life.pass_time(10)

    assert [name for name in life.results() if "originals" not in name] == ["cat.png"]
    assert (life.drops()[0] / "cat.png").read_bytes() == b"second"


def test_the_details_survive_a_crash(tmp_path: Path):
    """What the worker found out stands in the row before the result has a name."""
    life = Kit(tmp_path, work=doubting(DOUBTFUL), is_held=True)
    os.utime(life.drop("cat.jpg", b"cat"), (START - 9999, START - 9999))
    life.pass_time(10)
    [job] = life.records.in_state(State.RUNNING)
    task, _ = life.engine.held[0]
    done = life.work(task)
    assert isinstance(done, Done)
    results = life.service.parts.results
    results.note(life.service.parts.folders["hot"], job, done)
    life.is_held = False
    life.restart()
    life.pass_time(10)

    assert entries(life)[0]["confidence"]["score"] == 0.2
    assert life.results() == ["cat.png", "originals/cat.jpg", "review/cat.png"]
