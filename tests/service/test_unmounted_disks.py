"""Disks that are unmounted while we run: nothing is written into what is left of them."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.disk.mounts import points
from daemon.lifecycle import standby
from daemon.lifecycle.standby import RECHECK_S
from tests.service.service_kit import Kit

Mounts = dict[str, Path]


class Table:
    """Mount points as a test wants them; the folders behind are ordinary ones."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.mounted: set[Path] = set()

    def mount(self, name: str) -> None:
        """What was away before is there again."""
        place, away = self.base / name, self.base / f"{name} away"
        if place.exists():
            place.rmdir()
        if away.exists():
            away.rename(place)
        else:
            place.mkdir()
        self.mounted.add(place)

    def unmount(self, name: str) -> None:
        """An empty folder is left."""
        place = self.base / name
        place.rename(self.base / f"{name} away")
        place.mkdir()
        self.mounted.discard(place)

    def mount_of(self, path: Path) -> Path:
        """As `standby.mount_of`."""
        return next((place for place in (path, *path.parents) if place in self.mounted), Path("/"))


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Nothing is mounted yet."""
    made = Table(tmp_path)
    monkeypatch.setattr(standby, "mount_of", made.mount_of)
    return made


@pytest.mark.parametrize("name", ["outputs", "failed"])
def test_a_disk_that_pictures_go_to_is_unmounted(tmp_path: Path, table: Table, name: str) -> None:
    """The folder rests; when it is back, all goes on."""
    table.mount(name)
    kit = Kit(tmp_path)
    kit.drop("a.jpg", b"a")
    kit.pass_time(3)
    table.unmount(name)
    kit.drop("b.jpg", b"b")
    kit.pass_time(60, step_s=1)
    written = list((tmp_path / name).iterdir())
    reason = kit.service.parts.standby.reasons["hot"]
    table.mount(name)
    kit.pass_time(100, step_s=1)

    assert written == []
    assert reason == f"{tmp_path / name} is not mounted any more"
    assert kit.records.counts() == {"hot": {"done": 2}}
    assert kit.results() == ["a.png", "b.png", "originals/a.jpg", "originals/b.jpg"]


def test_a_job_does_not_begin_into_the_empty_folder(tmp_path: Path, table: Table) -> None:
    """It waited in the queue when the disk went, and nobody has looked since."""
    table.mount("outputs")
    kit = Kit(tmp_path, is_held=True)
    kit.engine.depth = 1
    for name in ("a.jpg", "b.jpg"):
        kit.drop(name, name.encode())
    kit.pass_time(2)
    table.unmount("outputs")
    kit.service.parts.standby.next_check = float("inf")
    kit.engine.drain()
    kit.engine.is_held = False
    kit.pass_time(5)

    assert list((tmp_path / "outputs").iterdir()) == []


def test_an_original_is_not_archived_into_the_empty_folder(
    tmp_path: Path, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    """Its result was published a moment before."""
    table.mount("outputs")
    kit = Kit(tmp_path)
    results = kit.service.parts.results
    publish = results.publish

    def publish_last(*args: object, **options: object) -> object:
        job = publish(*args, **options)  # type: ignore[arg-type]
        table.unmount("outputs")
        return job

    results.publish = publish_last  # type: ignore[method-assign, assignment]
    kit.drop("a.jpg")
    kit.pass_time(60, step_s=1)
    written = list((tmp_path / "outputs").iterdir())
    complaints = caplog.text.count("could not be put away")
    table.mount("outputs")
    kit.pass_time(60, step_s=1)

    assert written == []
    assert complaints == 1
    assert kit.results() == ["a.png", "originals/a.jpg"]


def test_an_open_drop_waits_for_its_disk(tmp_path: Path, table: Table) -> None:
    """Closed without its last manifest it would never be deleted."""
    table.mount("outputs")
    kit = Kit(tmp_path)
    kit.drop("a.jpg")
    kit.pass_time(3)
    table.unmount("outputs")
    kit.pass_time(100, step_s=1)
    still_open = len(kit.records.open_drops())
    table.mount("outputs")
    kit.pass_time(60, step_s=1)

    assert still_open == 1
    assert kit.records.open_drops() == []
    assert '"closed_at": "2' in (kit.drops()[0] / "manifest.json").read_text()


def test_a_disk_that_came_after_the_start_is_missed_too(tmp_path: Path, table: Table) -> None:
    """The daemon was faster than the share."""
    kit = Kit(tmp_path)
    kit.hot.rename(tmp_path / "mount point")
    table.mount("hot")
    kit.pass_time(RECHECK_S + 1)
    table.unmount("hot")
    kit.pass_time(RECHECK_S + 1)

    assert kit.service.parts.standby.has("hot")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """`mount` and `umount` as they are."""
    place = tmp_path / "outputs"
    place.mkdir()

    def call(command: str, *options: str) -> None:
        subprocess.run([command, *options, str(place)], check=True)

    yield call
    subprocess.run(["umount", str(place)], capture_output=True, check=False)


@pytest.mark.root
def test_a_real_disk(tmp_path: Path, disk: Callable[..., None]) -> None:
    """The kernel's word instead of a table's."""
    disk("mount", "-t", "tmpfs", "none")
    kit = Kit(tmp_path)
    kit.drop("a.jpg")
    kit.pass_time(40, step_s=1)
    disk("umount")
    kit.drop("b.jpg", b"b")
    kit.pass_time(20, step_s=1)

    assert list((tmp_path / "outputs").iterdir()) == []
    assert kit.service.parts.standby.has("hot")


def test_a_name_with_a_carriage_return_ends_no_line() -> None:
    """The kernel escapes line feeds, blanks and backslashes only."""
    table = "1 0 8:1 / / rw - ext4 a rw\n2 1 0:9 / /a\rb rw - fuse.x c rw\n"

    assert list(points(table)) == [(Path("/"), "ext4"), (Path("/a\rb"), "fuse.x")]
