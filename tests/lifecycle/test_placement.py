"""Names that were reserved before the settings, or the drop, changed."""

from pathlib import Path
from typing import Any

import pytest

from daemon.config import video
from daemon.disk import files
from daemon.disk.uploads import Staged
from daemon.errors import Blame
from daemon.jobs import Done, Failed, Outcome, State, Task
from tests.service.service_kit import Kit
from tests.service.test_clips import MP4
from tests.service.test_reconfiguration import World

Output = dict[str, object]


def cut_out(task: Task) -> Outcome:
    """As the worker does it: the mask only if both are wanted, each file in its own format."""
    identity = files.identity(task.source)
    assert identity is not None
    wanted = task.rendering
    if task.clip is not None:
        task.part.write_text(task.clip.format)
        return Done(identity, 4, 3, {"clip": 0.1}, ())
    if wanted.content == "both" and task.alpha_part is not None:
        task.alpha_part.write_text(f"mask in {wanted.alpha_format}")
    task.part.write_text(wanted.format)
    return Done(identity, 4, 3, {"decode": 0.1}, ())


def waiting(tmp_path: Path, output: Output, **options: Any) -> Kit:  # Any: of the kit
    """A service with one picture in work and one in the queue."""
    kit = Kit(tmp_path, work=cut_out, is_held=True, settings={"output": output}, **options)
    kit.engine.depth = 1
    kit.drop("first.jpg")
    kit.drop("cat.jpg")
    kit.pass_time(3)
    assert len(kit.records.in_state(State.QUEUED)) == 1
    return kit


def restart(kit: Kit, output: Output) -> None:
    """A new life with another configuration, in which everything comes out."""
    kit.settings = {"output": output}
    kit.is_held = False
    kit.restart()
    kit.pass_time(90)


def contents(kit: Kit) -> dict[str, str]:
    """What lies in the drops without the originals, and what is in it."""
    return {
        name: (drop / name).read_text()
        for drop in kit.drops()
        for name in kit.results()
        if not name.startswith("originals") and (drop / name).exists()
    }


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"format": "png"}, {"format": "jpeg"}, {".jpg": "jpeg"}),
        ({"content": "both"}, {"content": "cutout"}, {".png": "png"}),
        ({"content": "cutout"}, {"content": "both"}, {".png": "png", "_alpha.png": "mask in png"}),
        (
            {"content": "both", "format": "webp"},
            {"content": "both", "format": "jpeg"},
            {".jpg": "jpeg", "_alpha.png": "mask in png"},
        ),
        (
            {"clash": "fail"},
            {"clash": "fail", "content": "alpha", "format": "webp"},
            {".webp": "webp"},
        ),
        ({"clash": "overwrite"}, {"clash": "overwrite", "format": "tiff"}, {".tiff": "tiff"}),
    ],
    ids=["format", "mask-no-more", "mask", "both", "fail", "overwrite"],
)
def test_what_waited_is_made_as_the_new_configuration_says(
    tmp_path: Path, before: Output, after: Output, expected: dict[str, str]
):
    """After a restart; names, formats and masks fit each other, and nothing is rejected."""
    kit = waiting(tmp_path, before)
    restart(kit, after)

    both = {f"{stem}{end}": text for stem in ("cat", "first") for end, text in expected.items()}
    assert contents(kit) == both
    assert kit.records.counts() == {"hot": {"done": 2}}


def test_what_is_in_work_keeps_its_settings(tmp_path: Path):
    """SIGHUP: the picture in work comes out as it was begun, the queued one as is said now."""
    world = World(tmp_path, work=cut_out, is_held=True, settings={"output": {"content": "both"}})
    kit = world.kit
    kit.engine.depth = 1
    for name in ("first.jpg", "cat.jpg"):
        kit.drop(name)
        kit.pass_time(3)
    world.write(output={"content": "cutout", "format": "webp"})
    world.reload()
    kit.engine.is_held = False
    kit.engine.run_held()
    kit.pass_time(60)

    assert contents(kit) == {
        "first.png": "png",
        "first_alpha.png": "mask in png",
        "cat.webp": "webp",
    }


def reload_in_work(tmp_path: Path, before: Output, after: Output, *, is_taken: bool) -> Kit:
    """SIGHUP while two pictures are in work that want one name; the first one is rejected.

    ``is_taken``: there is only one, and somebody else takes its name.
    """

    def work(task: Task) -> Outcome:
        if task.source.suffix == ".webp":
            return Failed(Blame.FILE, "no picture", is_final=True)
        if is_taken:
            task.part.with_name("cat.png").write_text("foreign")
        return cut_out(task)

    world = World(tmp_path, work=work, is_held=True, settings={"output": before})
    kit = world.kit
    for name in ("cat.jpg",) if is_taken else ("cat.webp", "cat.jpg"):
        kit.drop(name, name.encode())
        kit.pass_time(3)
    world.write(output=after)
    world.reload()
    kit.engine.is_held = False
    kit.engine.run_held()
    kit.pass_time(60)
    return kit


@pytest.mark.parametrize("after", ["cutout", "alpha"])
def test_names_that_become_free_are_given_as_a_result_was_made(tmp_path: Path, after: str):
    """The mask is made already: its name goes with the result's."""
    kit = reload_in_work(tmp_path, {"content": "both"}, {"content": after}, is_taken=False)

    assert contents(kit) == {"cat.png": "png", "cat_alpha.png": "mask in png"}


def test_no_mask_is_expected_of_what_was_begun_without(tmp_path: Path):
    """The first choice becomes free, and by now the folder wants masks."""
    kit = reload_in_work(tmp_path, {}, {"content": "both"}, is_taken=False)

    assert contents(kit) == {"cat.png": "png"}
    assert kit.records.counts() == {"hot": {"done": 1, "failed": 1}}


def test_another_name_at_publication_has_the_ending_that_was_made(tmp_path: Path):
    """The name is taken while the picture is in work, and the format changed, too."""
    kit = reload_in_work(
        tmp_path, {"content": "both"}, {"content": "cutout", "format": "jpeg"}, is_taken=True
    )

    assert contents(kit) == {
        "cat.png": "foreign",
        "cat_2.png": "png",
        "cat_alpha.png": "mask in png",
    }


def test_a_picture_keeps_its_first_choice(tmp_path: Path):
    """Only its mask is wanted no more: the name is its own, and no other picture's meanwhile."""
    kit = Kit(tmp_path, work=cut_out, is_held=True, settings={"output": {"content": "both"}})
    kit.engine.depth = 1
    for name in ("first.jpg", "cat.jpg", "cat.webp"):
        kit.drop(name, name.encode())
        kit.pass_time(3)
    restart(kit, {"content": "cutout"})
    names = {job.relative.name: job.target.name for job in kit.records.in_state(State.DONE)}

    assert names == {"first.jpg": "first.png", "cat.jpg": "cat.png", "cat.webp": "cat_2.png"}


def test_a_picture_that_is_tried_again_follows_the_new_configuration(tmp_path: Path):
    """It failed once; before the second attempt the format changed."""
    tries: list[str] = []

    def work(task: Task) -> Outcome:
        tries.append(task.rendering.format)
        return Failed(Blame.UNKNOWN, "boom") if len(tries) == 1 else cut_out(task)

    world = World(tmp_path, work=work)
    world.kit.drop("cat.jpg")
    world.kit.pass_time(3)
    world.write(output={"format": "webp", "content": "both"})
    world.reload()
    world.kit.pass_time(60)

    assert tries == ["png", "webp"]
    assert contents(world.kit) == {"cat.webp": "webp", "cat_alpha.webp": "mask in webp"}


def test_an_upload_is_made_as_its_sender_asked(tmp_path: Path):
    """Its options came with it: a new configuration of its folder changes nothing."""
    (tmp_path / "uploads").mkdir()
    settings: dict[str, object] = {"web": {"folder": "uploads"}}
    kit = Kit(tmp_path, work=cut_out, is_held=True, settings=settings)
    kit.engine.depth = 1
    kit.drop("first.jpg")
    kit.pass_time(3)
    staged = Staged(tmp_path.resolve() / "uploads", "a" * 22, "cat.jpg")
    staged.write(b"picture")
    staged.complete({"options": {"format": "webp", "content": "both"}, "sha256": "x"})
    staged.publish()
    kit.service.next_sweep["web"] = 0.0
    kit.pass_time(3)
    assert [job.folder for job in kit.records.in_state(State.QUEUED)] == ["web"]
    kit.settings = {"web": {"folder": "uploads", "output": {"format": "jpeg"}}}
    kit.is_held = False
    kit.restart()
    kit.pass_time(60)

    assert contents(kit) == {
        "first.png": "png",
        "cat.webp": "webp",
        "cat_alpha.webp": "mask in webp",
    }


def test_a_clip_that_waited_gets_the_ending_of_its_new_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`output.video.format`, as for pictures."""
    monkeypatch.setattr(video, "is_installed", lambda: True)
    kit = Kit(tmp_path, work=cut_out, is_held=True)
    for name in ("first.mp4", "cat.mp4"):
        kit.drop(name, MP4)
        kit.pass_time(3)
    assert len(kit.records.in_state(State.QUEUED)) == 1
    restart(kit, {"video": {"format": "png-sequence"}})

    assert contents(kit) == {"cat.zip": "png-sequence", "first.zip": "png-sequence"}


def test_an_earlier_result_has_its_name_back_if_it_is_not_replaced(tmp_path: Path):
    """`clash: overwrite`: the new result was lost in a crash, then masks were wanted."""
    kit = Kit(tmp_path, work=cut_out, settings={"output": {"clash": "overwrite"}})
    kit.drop("cat.jpg", b"first")
    kit.pass_time(5)
    kit.engine.is_held = True
    kit.drop("cat.jpg", b"second")
    kit.pass_time(5)
    [job] = kit.records.in_state(State.RUNNING)
    done = cut_out(kit.engine.held[0][0])
    assert isinstance(done, Done)
    noted = kit.service.parts.results.note(kit.service.parts.folders["hot"], job, done)
    noted.part.unlink()
    restart(kit, {"clash": "overwrite", "content": "both"})
    first, second = kit.records.in_state(State.DONE)

    assert (kit.records.ending(first.id).replaced_by, first.target.name) == (None, "cat.png")
    assert (second.target.name, second.alpha and second.alpha.name) == (
        "cat_2.png",
        "cat_2_alpha.png",
    )
    assert sorted(contents(kit)) == ["cat.png", "cat_2.png", "cat_2_alpha.png"]


@pytest.mark.parametrize("is_link", [False, True])
def test_something_that_has_the_name_of_a_results_folder_stays(tmp_path: Path, is_link: bool):
    """Put into the drop while the picture waited: its result goes into another folder."""
    kit = Kit(tmp_path, work=cut_out, is_held=True)
    kit.engine.depth = 1
    kit.drop("first.jpg")
    kit.drop("sub/cat.jpg")
    kit.pass_time(3)
    [drop] = kit.drops()
    if is_link:
        (tmp_path / "elsewhere").mkdir()
        (drop / "sub").symlink_to(tmp_path / "elsewhere")
    else:
        (drop / "sub").write_text("foreign")
    restart(kit, {})
    done = {job.relative.name: job.target for job in kit.records.in_state(State.DONE)}

    assert done == {"first.jpg": drop / "first.png", "cat.jpg": drop / "sub_2/cat.png"}
    assert done["cat.jpg"].read_text() == "png"
    assert kit.service.parts.standby.reasons == {}


def test_an_original_is_not_deleted_because_its_drop_is_gone(tmp_path: Path):
    """What becomes of it was decided when it was taken; another setting since then is no reason."""
    kit = waiting(tmp_path, {})
    [drop] = kit.drops()
    for path in drop.iterdir():
        path.unlink()
    drop.rmdir()
    kit.folder = {"originals": "keep"}
    restart(kit, {})
    names = {path.name for path in (tmp_path / "outputs").rglob("*.jpg")}

    assert names == {"cat.jpg", "first.jpg"}
