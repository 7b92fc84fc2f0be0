"""In one drop no two names differ only in case or Unicode form: SMB and macOS show only one."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.disk import quarantine_names
from daemon.errors import Blame
from daemon.jobs import Confidence, Done, Failed, Outcome, Task
from daemon.portable_names import folded, portable
from tests.service.service_kit import Kit, copy_out

NFC, NFD = "caf\u00e9", "cafe\u0301"


def doubtful(task: Task) -> Outcome:
    """Every result is for review."""
    done = copy_out(task)
    assert isinstance(done, Done)
    sure = Confidence(0.1, {}, {}, (), ())
    return Done(done.identity, 4, 3, {}, (), confidence=sure)


def twins(drop: Path) -> list[list[str]]:
    """Names that lie in one folder and differ only in their spelling."""
    found = []
    for folder, folders, files in os.walk(drop):
        by_key: dict[str, list[str]] = {}
        for name in folders + files:
            by_key.setdefault(folded(name), []).append(str(Path(folder, name)))
        found += [names for names in by_key.values() if len(names) > 1]
    return found


def process(kit: Kit, names: list[str]) -> Path:
    """Drop pictures one after the other; the output folder."""
    for name in names:
        kit.drop(name, name.encode("utf-8", "surrogateescape"))
        kit.pass_time(1)
    kit.pass_time(10)
    [drop] = kit.drops()
    return drop


@pytest.mark.parametrize("first", ["CAT.JPG", "cat.jpg"])
@pytest.mark.parametrize("is_at_once", [False, True])
def test_two_cases(tmp_path: Path, first: str, is_at_once: bool):
    """Result, mask, review copy and original: all of the second have a number."""
    output = {"content": "both", "drop_idle_s": 600}

    def work(task: Task) -> Outcome:
        assert task.alpha_part is not None
        task.alpha_part.write_bytes(b"mask")
        return doubtful(task)

    kit = Kit(tmp_path, work=work, settings={"output": output})
    second = {"CAT.JPG": "cat.jpg", "cat.jpg": "CAT.JPG"}[first]
    for name in (first, second):
        kit.drop(name, name.encode())
        kit.pass_time(0 if is_at_once else 5)
    kit.pass_time(10)

    one, other = Path(first).stem, Path(second).stem
    assert kit.results() == sorted(
        [
            *(f"{one}.png", f"{one}_alpha.png", f"review/{one}.png", f"originals/{first}"),
            *(f"{other}_2.png", f"{other}_2_alpha.png", f"review/{other}_2.png"),
            f"originals/{other}_2{Path(second).suffix}",
        ]
    )


def test_folders_in_two_spellings(tmp_path: Path):
    """All pictures of the second go into the same folder with a number."""
    names = ["Sub/a.jpg", "sub/b.jpg", "sub/c.jpg", f"{NFC}/a.jpg", f"{NFD}/b.jpg", "SUB"]
    kit = Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})
    drop = process(kit, names)

    assert [name for name in kit.results() if not name.startswith("originals/")] == sorted(
        ["Sub/a.png", "sub_2/b.png", "sub_2/c.png", f"{NFC}/a.png", f"{NFD}_2/b.png", "SUB.png"]
    )
    assert twins(drop) == []


def test_folder_and_file(tmp_path: Path):
    """A picture that would be called like a folder, and the other way round."""
    kit = Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})
    drop = process(kit, ["cat.png/a.jpg", "CAT.jpg", "dog.jpg", "DOG.png/a.jpg"])

    assert twins(drop) == []
    assert {"cat.png/a.png", "CAT_2.png", "dog.png", "DOG_2.png/a.png"} <= set(kit.results())


def test_rejected_pictures_give_their_spelling_back(tmp_path: Path):
    """It was no picture, so the next one gets the name."""

    def work(task: Task) -> Outcome:
        is_text = task.source.name == "CAT.JPG"
        return Failed(Blame.FILE, "text", is_final=True) if is_text else copy_out(task)

    kit = Kit(tmp_path, work=work, settings={"output": {"drop_idle_s": 600}})
    process(kit, ["CAT.JPG", "cat.jpg"])

    assert kit.results() == ["cat.png", "originals/cat.jpg"]


def test_spelling_is_known_after_a_restart(tmp_path: Path):
    """It is in the ledger."""
    kit = Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})
    process(kit, ["Sub/Cat.jpg"])
    kit.restart()
    drop = process(kit, ["sub/cat.jpg", "Sub/CAT.jpg"])

    assert twins(drop) == []
    assert {"Sub/Cat.png", "sub_2/cat.png", "Sub/CAT_2.png"} <= set(kit.results())


def test_overwrite_replaces_the_same_path_only(tmp_path: Path):
    """Another spelling is another picture."""
    kit = Kit(tmp_path, settings={"output": {"clash": "overwrite", "drop_idle_s": 600}})
    process(kit, ["CAT.jpg", "cat.jpg"])
    kit.drop("cat.jpg", b"newer")
    kit.pass_time(10)
    kit.drop("CAT.jpg", b"newest")
    kit.pass_time(10)
    [drop] = kit.drops()

    assert sorted(path.name for path in drop.glob("*.png")) == ["CAT.png", "cat_2.png"]
    assert (drop / "cat_2.png").read_bytes() == b"newer"
    assert (drop / "CAT.png").read_bytes() == b"newest"


def test_fail_names_what_is_in_the_way(tmp_path: Path):
    """In the spelling that a person finds."""
    kit = Kit(tmp_path, settings={"output": {"clash": "fail", "drop_idle_s": 600}})
    drop = process(kit, ["CAT.jpg", "cat.jpg"])

    assert kit.results() == ["CAT.png", "originals/CAT.jpg"]
    [failure] = kit.records.last_failures(9)
    assert f"{drop}/CAT.png is taken" in failure.job.reason


SPELLINGS = st.sampled_from(
    [
        "Cat",
        "cat",
        "CAT",
        NFC,
        NFD,
        NFD.upper(),
        "a:b",
        "A?b",
        "nul",
        "NUL_",
        "review",
        "x. ",
        "X__",
    ]
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.builds(
            lambda parts, ending: "/".join(parts) + ending,
            st.lists(SPELLINGS, min_size=1, max_size=3),
            st.sampled_from([".jpg", ".JPG", ".webp"]),
        ),
        min_size=2,
        max_size=8,
        unique=True,
    )
)
def test_no_two_names_are_one(tmp_path_factory: pytest.TempPathFactory, names: list[str]):
    """Whatever comes in whatever order; every picture comes out under a portable name."""
    kit = Kit(
        tmp_path_factory.mktemp("x"), work=doubtful, settings={"output": {"drop_idle_s": 600}}
    )
    drop = process(kit, names)
    kit.die()

    assert twins(drop) == []
    shown = [path for path in drop.rglob("*.png") if "originals" not in path.parts]
    assert len(shown) == 2 * len(names)
    for path in shown:
        parts = path.relative_to(drop).parts
        assert tuple(map(portable, parts)) == parts


@pytest.mark.parametrize("is_at_once", [False, True])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_quarantine(tmp_path: Path, is_at_once: bool, is_restarted: bool):
    """Rejected pictures and their reasons are told apart as well; names that are gone are free."""

    def reject(task: Task) -> Outcome:
        return Failed(Blame.FILE, "text", is_final=True)

    kit = Kit(tmp_path, work=reject)
    for name in ("CAT.JPG", "cat.jpg", "Sub/a.jpg", "sub/a.jpg", f"{NFC}.jpg", f"{NFD}.jpg"):
        kit.drop(name)
        if not is_at_once:
            kit.pass_time(4)
            if is_restarted:
                kit.restart()
    kit.pass_time(10)
    failed = tmp_path / "failed/hot"
    assert twins(failed) == []
    assert len([path for path in failed.rglob("*") if path.suffix.lower() == ".jpg"]) == 6

    for path in (failed / "CAT.JPG", failed / "CAT.JPG.json"):
        path.unlink()
    kit.drop("Cat.jpg")
    kit.pass_time(10)
    assert twins(failed) == []
    assert (failed / "CAT.JPG").exists() is False


def test_quarantine_remembers_so_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Then it lists them anew: the daemon runs for months."""
    monkeypatch.setattr(quarantine_names, "MAX_NAMES", 10)
    spellings = quarantine_names.Spellings()
    for number in range(100):
        place = quarantine_names.free_quarantine(
            tmp_path, Path(f"{number}/CAT.jpg"), spellings=spellings
        )
        place.parent.mkdir()
        place.touch()

    assert sum(map(len, spellings.folders.values())) <= 14
    place = quarantine_names.free_quarantine(tmp_path, Path("5/cat.jpg"), spellings=spellings)
    assert place == tmp_path / "5/cat_2.jpg"


def test_numbers_go_on_after_the_last_one(tmp_path: Path):
    """A camera that uses one name always: not all of its pictures are looked at each time."""
    spellings = quarantine_names.Spellings()
    given = []
    for _ in range(4):
        place = quarantine_names.free_quarantine(tmp_path, Path("a.jpg"), spellings=spellings)
        place.touch()
        given.append(place.name)
    (tmp_path / "a_2.jpg").unlink()
    after = quarantine_names.free_quarantine(tmp_path, Path("a.jpg"), spellings=spellings)

    assert given == ["a.jpg", "a_2.jpg", "a_3.jpg", "a_4.jpg"]
    assert after.name == "a_5.jpg"


def test_name_without_a_number_is_given_again(tmp_path: Path):
    """Once its picture has left quarantine."""
    spellings = quarantine_names.Spellings()
    for _ in range(2):
        quarantine_names.free_quarantine(tmp_path, Path("a.jpg"), spellings=spellings).touch()
    (tmp_path / "a.jpg").unlink()

    again = quarantine_names.free_quarantine(tmp_path, Path("a.jpg"), spellings=spellings)
    assert again.name == "a.jpg"


def test_memory_of_many_names_in_one_folder_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A flat hot folder: pictures come and leave quarantine in the same one, for months."""
    monkeypatch.setattr(quarantine_names, "MAX_NAMES", 10)
    spellings = quarantine_names.Spellings()
    (tmp_path / "CAT.jpg").touch()
    for number in range(100):
        quarantine_names.free_quarantine(tmp_path, Path(f"{number}.jpg"), spellings=spellings)

    assert sum(map(len, spellings.folders.values())) <= 14
    place = quarantine_names.free_quarantine(tmp_path, Path("cat.jpg"), spellings=spellings)
    assert place == tmp_path / "cat_2.jpg"
