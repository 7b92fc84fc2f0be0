"""The process dies at any step, and again at any step of its next life; nothing is lost.

Half of the scenarios are in `test_crash_results.py`: one worker of xdist runs one file.
"""

import ast
import inspect
from pathlib import Path

import pytest

from daemon.disk import (
    deletion,
    files,
    moves,
    new_files,
    publication,
    safe_open,
    segments,
    store,
    sync_threads,
    syncs,
    uploads,
)
from daemon.ledger import database, ledger
from tests.system.crash_kit import Scenario, check_deaths, lives
from tests.system.crash_scenarios import ARCHIVE, OF_ORIGINALS, SCENARIOS
from tests.system.crash_share import STRIDE, check_share
from tests.system.reaper import CHANGES, Reaper

#: Where each first death is followed by a second one in `make test-long`; `make torture` does
#: more, and everywhere.
WITH_SECONDS = ("archive", "keep", "another file system")
#: What changes the disk, by its names in os, pathlib, shutil and sqlite3.
CHANGING = {
    *CHANGES,
    "executescript",
    "fchmod",
    "rmtree",
    "setxattr",
    "symlink_to",
    "touch",
    "transaction",
    "write_bytes",
    "write_text",
}
#: They close the claim folder of an earlier version to others, before anything is done in it.
CLOSING = {"check_ours", "owner_of_new_file"}
#: They make a ledger or a configuration, all or nothing, or give free pages back; wrap what others
#: do; or act only when a step has failed.
HARMLESS = {
    "ledger.prepare",
    "ledger.__init__",
    "database.__init__",
    "database.prepare",
    "database.reopen",
    "database.shrink",
    "database.transaction",
    "files.make_private_folder",  # on a node of a cluster, for no picture
    "files.open_regular",
    "moves.removed_on_error",
    "moves.write_new",
    "safe_open.make_claims",
    "store.remove_new_drop",
    "sync_threads.help",  # what it starts is a thread, no job
    "sync_threads.start_one",
    "syncs.begin",  # the same
    "syncs.add_open",  # they only note what is to be synced
    "syncs.replace",
    "uploads.nameless",  # such a file has no name, so none is left
}


#: Beyond the deaths that make recovery do most: those in a deletion, a second life of 8 days on.
LATE = {
    "uploads": range(3, 15, 2),
    "review taken": range(61, 80),
    "overwrite": range(61, 180, 3),
    "emptied folders go": range(150, 230, 2),
    "retention": range(100, 200, 2),
    "kept originals go": range(62, 200, 4),
}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scenario", OF_ORIGINALS, ids=lambda scenario: scenario.name)
def test_a_death_at_any_step_loses_and_repeats_nothing(
    base: Path, reaper: Reaper, scenario: Scenario
) -> None:
    """Whatever was being done."""
    check_share(scenario, base, reaper)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_second_death_loses_and_repeats_nothing(base: Path, reaper: Reaper) -> None:
    """Whatever is being done about the first: a share of what the next test does."""
    check_deaths(ARCHIVE, base, reaper, seconds=1, stride=STRIDE)


@pytest.mark.slow
@pytest.mark.whole
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", WITH_SECONDS)
def test_a_second_death_at_any_step_loses_and_repeats_nothing(
    base: Path, reaper: Reaper, name: str
) -> None:
    """The next life dies as well."""
    (scenario,) = (one for one in SCENARIOS if one.name == name)
    check_deaths(scenario, base, reaper, seconds=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_death_while_threads_wait_for_the_disk_loses_nothing(
    base: Path, reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a slow disk: each claim is synced in a thread while the next picture is claimed."""
    monkeypatch.setattr(syncs, "EARLY", 1)
    waits: list[bool] = []
    make, begin = syncs.Syncs.__init__, syncs.Syncs.begin

    def make_slow(self: syncs.Syncs) -> None:
        make(self)
        self.slow_until = float("inf")

    def noted(self: syncs.Syncs) -> None:
        begin(self)
        waits.append(bool(self.begun))

    monkeypatch.setattr(syncs.Syncs, "__init__", make_slow)
    monkeypatch.setattr(syncs.Syncs, "begin", noted)
    check_deaths(ARCHIVE, base, reaper, seconds=0, stride=STRIDE)

    assert waits
    assert all(waits), "not everything was begun early"


@pytest.mark.timeout(240)
def test_every_function_that_changes_something_is_died_in(base: Path, reaper: Reaper) -> None:
    """The list comes from the modules themselves: a new one needs a scenario that meets it."""
    reaper.is_asked_where = True
    met: set[str] = set()
    for number, scenario in enumerate(SCENARIOS):
        for first in (0, 15, 40, 60, 95, *LATE.get(scenario.name, ())):
            lives(scenario, base / f"{number}-{first}", reaper, [first])
            met |= {name for call in reaper.calls for name in call.within}

    assert {"store.claim", "moves.rename_no_replace", "ledger.add"} <= mutating()
    assert mutating() - met - HARMLESS == set()


def mutating() -> set[str]:
    """Functions of the modules below that change the disk, or call one that does."""
    calls = {
        f"{module.__name__.rpartition('.')[2]}.{node.name}": called_in(node)
        for module in (
            *(store, publication, deletion, files, moves, new_files, safe_open, segments, uploads),
            *(syncs, sync_threads, ledger, database),
        )
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.FunctionDef) and node.name not in CLOSING
    }
    changing = {name for name, called in calls.items() if called & CHANGING}
    while (
        more := {
            name
            for name, called in calls.items()
            if called & {one.partition(".")[2] for one in changing}
        }
        - changing
    ):
        changing |= more
    return changing


def called_in(function: ast.FunctionDef) -> set[str]:
    """The names of everything that a function calls; `open` only if it opens for writing."""
    called = set()
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        is_reading = name == "open" and "w" not in ast.unparse(node).partition("(")[2]
        called |= set() if is_reading or is_call_on_text(node) else {name}
    return called


def is_call_on_text(node: ast.Call) -> bool:
    """`replace` of a dataclass and of a text are not those of a file."""
    return ast.unparse(node.func) == "replace" or ast.unparse(node.func).endswith("name.replace")
