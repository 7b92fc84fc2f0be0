"""What `folders[].ignore` leaves out, and how a service lives with it."""

from pathlib import Path

import pytest

from daemon.commands import why as inquiry
from daemon.config.folders import hot_folders
from daemon.config.schema import Config, load
from daemon.errors import InstallError
from daemon.jobs import Hint
from daemon.messages import FileEvent
from daemon.name_patterns import NamePatterns
from daemon.watching import scan
from daemon.watching.ignored_names import SkippedFolders
from tests.commands.test_why import configure
from tests.service.service_kit import Kit
from tests.service.test_reconfiguration import World


@pytest.mark.parametrize(
    ("lines", "path", "expected"),
    [
        (("raw/",), "raw/a.jpg", True),
        (("raw/",), "x/raw/a.jpg", True),
        (("/raw",), "x/raw/a.jpg", None),
        (("raw/",), "raw", None),
        (("*_old.*",), "x/a_old.jpg", True),
        (("*.jpg", "!b.jpg"), "b.jpg", False),
        (("raw/", "!raw/a.jpg"), "raw/a.jpg", True),
        (("*", "!*.jpg"), "a.jpg", False),
        (("*", "!*.jpg"), "x/a.jpg", True),
        ((r"\#work",), "#work/a.jpg", True),
        (("RAW",), "raw/a.jpg", None),
        ((), "raw/a.jpg", None),
        (("*",), "\udcff\n", True),
    ],
)
def test_verdict(lines: tuple[str, ...], path: str, expected: bool | None):
    """As git says: the last match counts, and nothing is excepted inside a folder that matches."""
    assert expected is NamePatterns(lines).verdict(Path(path))


def test_folders_that_match_are_not_entered(tmp_path: Path):
    """A folder with a hundred thousand old pictures costs nothing."""
    for name in ("raw", "x/raw", "x/y"):
        (tmp_path / name).mkdir(parents=True)
    [folder] = hot_folders(
        Config.model_validate({"folders": [{"path": ".", "ignore": ["raw/"]}], **places(tmp_path)}),
        tmp_path,
    )

    found = set(scan.folders(tmp_path, is_deep=True, skipped=SkippedFolders(folder)))

    assert found == {tmp_path, tmp_path / "x", tmp_path / "x/y"}


def places(base: Path) -> dict[str, object]:
    """Outside of the hot folder."""
    out = str(base.parent / "out")
    return {"output": {"root": out}, "state_dir": f"{out}_state", "quarantine_dir": f"{out}_failed"}


def test_ignored_pictures_stay_and_wait_for_nothing(tmp_path: Path):
    """Whether an event or a sweep finds them; they do not count as unclaimed."""
    kit = Kit(tmp_path, folder={"ignore": ["raw/", "*_old.*"]})
    kit.drop("raw/a.jpg")
    kit.drop("b_old.jpg")
    kit.drop("c.jpg")
    kit.inbox.put(FileEvent("hot", kit.hot / "raw", Hint.FOLDER))
    kit.pass_time(70)

    assert kit.results() == ["c.png", "originals/c.jpg"]
    assert [name for name in kit.left_in_hot() if "cvunetd" not in name] == [
        "b_old.jpg",
        "raw/a.jpg",
    ]
    assert kit.service.snapshot().folders["hot"].unclaimed == 0


def test_picture_in_a_bin_of_a_nas_stays(tmp_path: Path):
    """Somebody threw it away."""
    kit = Kit(tmp_path)
    kit.drop("@Recycle/cat.jpg")
    kit.drop("sub/Network Trash Folder/cat.jpg")
    kit.pass_time(70)

    assert kit.results() == []


def test_reload_changes_what_is_ignored(tmp_path: Path):
    """And what is no longer ignored is found at once."""
    (tmp_path / "second").mkdir()
    world = World(tmp_path)
    world.write({"path": "hot", "ignore": ["*_old.*"]})
    world.reload()
    world.drop("hot", "b_old.jpg")
    world.kit.pass_time(5)
    before = world.kit.results()
    world.write({"path": "hot"})
    world.reload()
    world.kit.pass_time(5)

    assert before == []
    assert world.kit.results() == ["b_old.png", "originals/b_old.jpg"]


def test_why_names_the_setting(tmp_path: Path):
    """Otherwise one would look for a fault of the daemon."""
    Kit(tmp_path)
    path = tmp_path / "hot" / "b_old.jpg"
    path.write_bytes(b"picture")
    file = configure(tmp_path)
    file.write_text("folders: [{path: hot, ignore: ['*_old.*']}]")

    assert "folders[].ignore names it" in "\n".join(inquiry.lines(file, path))


@pytest.mark.parametrize("line", ["#recycle", "", "  ", "!", "a\\"])
def test_line_that_can_match_nothing_is_a_fault(tmp_path: Path, line: str):
    """A name that begins with # would silently be a comment."""
    (tmp_path / "config.yaml").write_text(f"folders: [{{path: hot, ignore: ['{line}']}}]")

    with pytest.raises(InstallError, match="gitignore"):
        load(tmp_path / "config.yaml")
