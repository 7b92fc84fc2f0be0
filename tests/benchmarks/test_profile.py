"""What `make profile` tells of a photo's steps, and of a file that is no photo."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import floors, profile

STEPS = ["decode", "prepare", "network", "judge", "edges", "bilateral", "colours", "encode", "all"]


def draw(path: Path, side_px: int = 48) -> Path:
    """A tiny photo with a disc."""
    rows, columns = np.mgrid[:side_px, :side_px] - side_px / 2
    disc = np.hypot(rows, columns) < side_px / 3
    Image.fromarray(np.where(disc[..., None], (220, 40, 40), (30, 60, 30)).astype(np.uint8)).save(
        path
    )
    return path


def cells_of(text: str) -> list[list[str]]:
    """The lines of the table, without its ruler."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_step_of_a_tiny_photo_stands_beside_its_floor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight steps and their sum, each with figures in all columns; the machine and its load."""
    photo = draw(tmp_path / "tiny.jpg")
    flames = tmp_path / "flames.html"

    assert profile.main(["--photo", str(photo), "--runs", "1", "--flames", str(flames)]) == 0

    text = capsys.readouterr().out
    head, *rows = cells_of(text)
    assert tuple(head) == profile.HEAD
    assert [row[0] for row in rows] == STEPS
    assert all(float(cell) >= 0 for row in rows for cell in row[1:7])
    network = rows[STEPS.index("network")]
    assert float(network[1]) > 1  # ms: some GFLOP on one core
    assert float(network[5]) > 1
    assert "Load of the machine" in text
    assert "tiny.jpg, 48x48" in text


def test_a_file_that_is_no_picture_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the file and the reason, and nothing is measured."""
    text = tmp_path / "notes.txt"
    text.write_text("no picture")

    assert profile.main(["--photo", str(text)]) == 1

    told = capsys.readouterr()
    assert told.err.startswith("profile: notes.txt: cannot be profiled: ")
    assert told.out == ""


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As an error in one line."""
    assert profile.main(["--photo", str(tmp_path / "none.jpg")]) == 1

    assert "cannot be read: No such file or directory" in capsys.readouterr().err


def test_a_flame_graph_holds_the_steps(tmp_path: Path) -> None:
    """One HTML file, which needs no network to be looked at."""
    pytest.importorskip("pyinstrument", reason="pyinstrument is not installed")
    target = tmp_path / "runs" / "flames.html"

    told = profile.draw_flames([profile.Step("sort", sort_much, 0)], 1, target)

    assert str(target) in told
    assert "sort_much" in target.read_text(encoding="utf-8")


def sort_much() -> None:
    """Long enough to be seen by a sampler."""
    for _ in range(20):
        sorted(range(200_000), key=lambda number: -number)


def test_without_its_tool_only_the_flame_graph_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table does not depend on it."""
    monkeypatch.setitem(sys.modules, "pyinstrument", None)

    assert profile.draw_flames([], 1, tmp_path / "flames.html").startswith("No flame graph: pip")


def test_the_peak_is_what_a_step_takes() -> None:
    """Memory that is written to, in bytes; a step that takes none has nearly none."""
    taken = floors.peak_bytes(lambda: np.ones(40_000_000, np.uint8))

    assert 39_000_000 < taken < 60_000_000
    assert floors.peak_bytes(lambda: None) < 2_000_000
