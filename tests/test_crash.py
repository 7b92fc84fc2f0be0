"""The process dies at every step, and again at every step of its next life; nothing is lost."""

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import files, ledger, store
from tests.crash_kit import Scenario, die_everywhere, lives
from tests.crash_scenarios import SCENARIOS
from tests.reaper import CHANGES, Reaper

#: How many second deaths follow each first one here; `make torture` tries more.
SECONDS = 1
#: What changes the disk, by its names in os, pathlib, shutil and sqlite3.
CHANGING = {
    *CHANGES,
    "copyfileobj",
    "copystat",
    "executescript",
    "rmtree",
    "symlink_to",
    "touch",
    "transaction",
    "write_bytes",
    "write_text",
}
#: These prepare a file that no one else sees yet, or only call what they are given.
HARMLESS = {"ledger.prepare", "ledger.__init__", "ledger.transaction", "files.open_regular"}


@pytest.fixture
def reaper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reaper]:
    """Every step can be the last; what the many lives log is not worth keeping."""
    logging.disable()
    yield Reaper(monkeypatch)
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_death_at_any_step_loses_and_repeats_nothing(
    tmp_path: Path, reaper: Reaper, scenario: Scenario
) -> None:
    """Whatever was being done, and again whatever is being done about it."""
    deaths = die_everywhere(scenario, tmp_path, reaper, seconds=SECONDS)

    assert deaths[1] > 50, "too few steps to prove anything"
    assert deaths[2] > 0.9 * deaths[1]


def test_every_function_that_changes_something_is_died_in(tmp_path: Path, reaper: Reaper) -> None:
    """The list comes from the modules themselves: a new one needs a scenario that meets it."""
    met: set[str] = set()
    for number, scenario in enumerate(SCENARIOS):
        for first in (0, 15, 40, 60, 95):  # the deaths that make recovery do most
            lives(scenario, tmp_path / f"{number}-{first}", reaper, [first])
            met |= {name for call in reaper.calls for name in call.within}

    assert {"store.claim", "files.settle_name", "ledger.add"} <= mutating()
    assert mutating() - met - HARMLESS == set()


def mutating() -> set[str]:
    """Functions of store, files and ledger that change the disk, or call one that does."""
    calls = {
        f"{module.__name__.removeprefix('daemon.')}.{node.name}": called_in(node)
        for module in (store, files, ledger)
        for node in ast.walk(ast.parse(Path(module.__file__).read_text()))
        if isinstance(node, ast.FunctionDef)
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
