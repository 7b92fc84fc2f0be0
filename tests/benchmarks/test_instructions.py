"""What `make check-speed` makes of the numbers that valgrind writes."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import instructions


def write_parts(folder: Path, numbers: list[int]) -> None:
    """Files as callgrind writes them."""
    for serial, number in enumerate(numbers, start=1):
        (folder / f"part.{serial}").write_text(f"part: {serial}\nsummary: {number}\n")
    (folder / "part").write_text("summary: 7\n")


def test_only_what_lies_between_two_marks_counts(tmp_path: Path) -> None:
    """Imports, and each step's first run, lie before the first mark of a pair."""
    write_parts(tmp_path, [900, 1, 900, 2, 900, 3, 900, 4, 900, 5])

    counted = instructions.named(instructions.parts_of(tmp_path))

    assert counted == {"decode": 1, "prepare": 2, "edges": 3, "colours": 4, "encode": 5}


def test_missing_parts_are_no_numbers(tmp_path: Path) -> None:
    """A program that ended early is not fast."""
    write_parts(tmp_path, [900, 1])

    with pytest.raises(RuntimeError, match="2 parts for 5 steps"):
        instructions.named(instructions.parts_of(tmp_path))


def test_a_step_may_grow_by_a_tenth() -> None:
    """More than that fails, in one step too."""
    known = {"decode": 1000, "encode": 1000}

    _, is_well = instructions.compare({"decode": 1099, "encode": 500}, known)
    text, is_slower = instructions.compare({"decode": 1000, "encode": 1101}, known)

    assert (is_well, is_slower) == (True, False)
    assert "SLOWER" in text


def test_other_libraries_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their numbers are unknown until somebody counts them; the exit status says so."""
    monkeypatch.setattr(instructions, "BASELINES", tmp_path / "known.json")
    (tmp_path / "known.json").write_text("{}")
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/valgrind")

    assert instructions.main([]) == instructions.UNKNOWN
    assert "nothing was counted yet" in capsys.readouterr().out


def test_without_valgrind_it_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is told."""
    monkeypatch.setattr(shutil, "which", lambda name: None)

    assert instructions.main([]) == instructions.UNKNOWN
    assert "valgrind is not installed" in capsys.readouterr().out


def test_new_numbers_leave_those_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each machine and set of libraries has its own."""
    path = tmp_path / "known.json"
    path.write_text(json.dumps({"another": {"decode": 1}}))
    monkeypatch.setattr(instructions, "BASELINES", path)

    instructions.renew({"decode": 2})

    assert instructions.baselines() == {"another": {"decode": 1}, instructions.key(): {"decode": 2}}
