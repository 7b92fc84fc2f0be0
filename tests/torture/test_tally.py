"""The torture's own eyes: whatever is lost, twice or torn, it sees."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.torture.photos import Stock
from tests.torture.tally import Ground, Row, table


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """One picture was dropped and came out, one bad one was rejected."""
    stock = Stock(tmp_path / "stock")
    photo, bad = stock.photo(), stock.no_picture()
    ground = Ground(tmp_path / "hot", tmp_path / "outputs", tmp_path / "failed")
    ground.expect(photo)
    ground.expect_bad(bad)
    drop = tmp_path / "outputs/outputs_20270115080000"
    for folder in (ground.hot, drop / "originals", ground.failed):
        folder.mkdir(parents=True)
    shutil.copy(photo, drop / "cat.png")
    photo.rename(drop / "originals/cat.png")
    bad.rename(ground.failed / "bad.jpg")
    (ground.failed / "bad.jpg.json").write_text("{}")
    entry = {"state": "done", "result": "cat.png", "original": "originals/cat.png"}
    (drop / "manifest.json").write_text(json.dumps({"pictures": [entry]}))
    return ground


def test_a_clean_case_is_clean(ground: Ground) -> None:
    """One published, one quarantined, nothing else."""
    row = ground.row("case")

    assert row == Row("case", dropped=2, published=1, quarantined=1)
    assert row.is_clean
    assert ground.is_through()


def cut_short(path: Path) -> None:
    """Half of a file."""
    path.write_bytes(path.read_bytes()[:40])


def drop_of(ground: Ground) -> Path:
    """The one output folder."""
    [drop] = ground.drops()
    return drop


CRIMES: dict[str, tuple[Callable[[Ground], object], str]] = {
    "result gone": (lambda g: (drop_of(g) / "cat.png").unlink(), "lost"),
    "original gone": (lambda g: (drop_of(g) / "originals/cat.png").unlink(), "lost"),
    "rejected file gone": (lambda g: (g.failed / "bad.jpg").unlink(), "lost"),
    "original altered": (lambda g: (drop_of(g) / "originals/cat.png").write_text("x"), "lost"),
    "two results": (
        lambda g: shutil.copy(drop_of(g) / "cat.png", drop_of(g) / "cat_2.png"),
        "twice",
    ),
    "original left in hot": (
        lambda g: shutil.copy(drop_of(g) / "originals/cat.png", g.hot),
        "twice",
    ),
    "original rejected as well": (
        lambda g: shutil.copy(drop_of(g) / "originals/cat.png", g.failed),
        "twice",
    ),
    "result of a bad file": (
        lambda g: Stock(g.hot.parent / "more").photos(2)[1].rename(drop_of(g) / "bad.png"),
        "twice",
    ),
    "half a result": (lambda g: cut_short(drop_of(g) / "cat.png"), "torn"),
    "half a manifest": (lambda g: cut_short(drop_of(g) / "manifest.json"), "torn"),
    "a part left": (lambda g: (drop_of(g) / ".0123.part").touch(), "torn"),
}


@pytest.mark.parametrize("crime", CRIMES)
def test_a_crime_is_seen(ground: Ground, crime: str) -> None:
    """Each in its own column at least, and the case is not clean."""
    commit, column = CRIMES[crime]
    commit(ground)

    row = ground.row("case")

    assert getattr(row, column) > 0
    assert not row.is_clean


def test_the_table_shows_every_number() -> None:
    """One line a case, under the heads."""
    lines = table([Row("kill -9", 7, 6, 1, 0, 0, 0), Row("x", lost=3)]).splitlines()

    assert lines[0].split() == [
        "case", "dropped", "published", "quarantined", "lost", "twice", "torn"
    ]  # fmt: skip
    assert lines[2].split() == ["kill", "-9", "7", "6", "1", "0", "0", "0"]
    assert lines[3].split() == ["x", "0", "0", "0", "3", "0", "0"]
