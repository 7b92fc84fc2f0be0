"""What a power cut must not undo is on disk before anybody relies on it: the order of the calls."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.ledger.ledger import Ledger
from tests.system.crash_kit import Scenario, World
from tests.system.crash_scenarios import serve
from tests.system.reaper import Call, Reaper

PICTURES = ("good.jpg", "bad.jpg")


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reaper]:
    """Records every change of the disk; nobody dies."""
    logging.disable()
    yield Reaper(monkeypatch)
    logging.disable(logging.NOTSET)


def calls_of(reaper: Reaper, base: Path, *, is_across: bool = False) -> list[str]:
    """The changes of one life in order, as `name file-name`."""
    scenario = Scenario(
        name="order", pictures=PICTURES, is_across=is_across, live=serve, check=lambda world: None
    )
    world = scenario.begin(base / "world", reaper)
    with reaper.life(None):
        serve(world)
    return [told(call, world) for call in reaper.calls]


def told(call: Call, world: World) -> str:
    """A change without what differs from run to run: ids, process ids, times."""
    paths = [path.relative_to(world.base) for path in call.paths]
    return " ".join([call.name, *(shown(path) for path in paths)])


def shown(path: Path) -> str:
    """A path with its changing parts replaced."""
    parts = []
    for part in path.parts:
        if part.startswith("outputs_"):
            parts.append("DROP")
        elif part.endswith(".part"):
            parts.append("PART")
        else:
            parts.append("ID" if len(part) == 22 and part.isalnum() else part)
    return "/".join(parts)


def in_order(calls: list[str], *wanted: str) -> None:
    """All of these happen, each one after the one before it."""
    place = 0
    for one in wanted:
        assert one in calls[place:], f"{one!r} is not after {calls[:place][-1:]} in {calls}"
        place = calls.index(one, place) + 1


def test_a_result_is_durable_before_its_row_says_so(tmp_path: Path, reaper: Reaper) -> None:
    """Part written, fsynced, named, its folder fsynced, the original likewise, then the row."""
    calls = calls_of(reaper, tmp_path)

    in_order(
        calls,
        "rename hot/good.jpg hot/.cvunetd/ID/good.jpg",
        "fsync hot/.cvunetd/ID",
        "committed state/ledger.db",  # added
        "committed state/ledger.db",  # started
        "open outputs/DROP/PART",
        "fsync outputs/DROP/PART",
        "link outputs/DROP/PART outputs/DROP/good.png",
        "unlink outputs/DROP/PART",
        "fsync outputs/DROP",
        "link hot/.cvunetd/ID/good.jpg outputs/DROP/originals/good.jpg",
        "unlink hot/.cvunetd/ID/good.jpg",
        "rmdir hot/.cvunetd/ID",
        "fsync outputs/DROP/originals",
        "fsync hot/.cvunetd",
        "committed state/ledger.db",  # finished
    )


def test_a_rejected_picture_is_never_without_its_reason(tmp_path: Path, reaper: Reaper) -> None:
    """The place is noted, the reason is there, then the file goes; both are durable when the row
    ends. Until then the next start would write the reason again.
    """
    calls = calls_of(reaper, tmp_path)

    in_order(
        calls,
        "committed state/ledger.db",
        "open failed/hot/PART",
        "replace failed/hot/PART failed/hot/bad.jpg.json",
        "link hot/.cvunetd/ID/bad.jpg failed/hot/bad.jpg",
        "unlink hot/.cvunetd/ID/bad.jpg",
        "fsync failed/hot/bad.jpg.json",
        "fsync failed/hot",
        "fsync hot/.cvunetd/ID",
        "committed state/ledger.db",
    )


def test_an_original_is_copied_durably_before_it_is_removed(tmp_path: Path, reaper: Reaper) -> None:
    """Across file systems the copy is complete and has its name before the source goes."""
    calls = calls_of(reaper, tmp_path, is_across=True)

    in_order(
        calls,
        "open outputs/DROP/originals/PART",
        "fsync outputs/DROP/originals/PART",
        "link outputs/DROP/originals/PART outputs/DROP/originals/good.jpg",
        "unlink outputs/DROP/originals/PART",
        "fsync outputs/DROP/originals",
        "unlink hot/.cvunetd/ID/good.jpg",
        "rmdir hot/.cvunetd/ID",
        "fsync hot/.cvunetd",
        "committed state/ledger.db",
    )


def test_a_drop_and_its_manifest_are_durable(tmp_path: Path, reaper: Reaper) -> None:
    """The folder in its root, its mark, then every manifest whole before it replaces the last."""
    calls = calls_of(reaper, tmp_path)

    in_order(
        calls,
        "mkdir outputs/DROP",
        "fsync outputs",
        "open outputs/DROP/.cvunetd-drop",
        "fsync outputs/DROP/.cvunetd-drop",
        "open outputs/DROP/PART",
        "fsync outputs/DROP/PART",
        "replace outputs/DROP/PART outputs/DROP/manifest.json",
        "fsync outputs/DROP",
        "link outputs/DROP/PART outputs/DROP/good.png",
        "open outputs/DROP/PART",
        "fsync outputs/DROP/PART",
        "replace outputs/DROP/PART outputs/DROP/manifest.json",
        "fsync outputs/DROP",
        "committed state/ledger.db",  # closed
    )


def test_every_new_folder_is_durable_in_its_parent(tmp_path: Path, reaper: Reaper) -> None:
    """No file is put into a folder that a power cut could take away."""
    calls = calls_of(reaper, tmp_path)
    made = [(place, call.split(" ")[1]) for place, call in enumerate(calls) if "mkdir" in call]

    missing = [
        folder for place, folder in made if f"fsync {Path(folder).parent}" not in calls[place:]
    ]

    assert len(made) > 4
    assert missing == []


def test_every_visible_name_is_made_durable(tmp_path: Path, reaper: Reaper) -> None:
    """After each link, rename or replace comes the fsync of the folder that got the name."""
    calls = calls_of(reaper, tmp_path)
    named = [
        (place, Path(call.split(" ")[2]).parent)
        for place, call in enumerate(calls)
        if call.split(" ")[0] in ("link", "rename", "replace")
    ]

    missing = [calls[place] for place, folder in named if f"fsync {folder}" not in calls[place:]]

    assert len(named) > 6
    assert missing == []


def test_the_ledger_waits_for_the_disk(tmp_path: Path) -> None:
    """A commit is durable when it returns: write-ahead log, synchronous FULL."""
    ledger = Ledger(tmp_path / "ledger.db")
    mode = ledger.db.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = ledger.db.execute("PRAGMA synchronous").fetchone()[0]
    ledger.close()

    assert (mode, synchronous) == ("wal", 2)
