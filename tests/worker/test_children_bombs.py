"""Real bombs and real kinds of files in decode children: as without them, and within bounds."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from daemon.errors import PictureError
from daemon.worker.children import pool
from daemon.worker.children.pool import ChildPool
from daemon.worker.decoding import DecoderHere
from tests.pictures.test_bomb_heads import HEADS, ORDINARY
from tests.pictures.test_bombs import BOMBS, MEMORY_MB, picture
from tests.pictures.test_unsupported import KINDS
from tests.worker.test_children import decoded, told

#: Above what a child takes for itself.
PEAK_MB = MEMORY_MB + 60


@pytest.fixture(scope="module")
def children() -> Iterator[ChildPool]:
    """One child for all files."""
    children = ChildPool(1, max_decode_s=60.0)
    yield children
    children.close()


def resident_mb(children: ChildPool) -> float:
    """The most that the child had in RAM."""
    child = children.places[0].child
    if child is None:
        return 0.0
    lines = child.about("status").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


FILES: dict[str, Callable[[], bytes]] = {
    **{name: partial(bytes, data) for name, data in ORDINARY.items()},
    **{name: partial(bytes, data) for name, (data, _) in KINDS.items()},
    **{name: make for name, (make, _) in HEADS.items()},
}


@pytest.mark.parametrize("name", FILES)
def test_kind_is_told_as_without_children(name: str, children: ChildPool, tmp_path: Path):
    """What is forbidden to a child is nothing that it needs to find out what a file is."""
    source = tmp_path / "file"
    source.write_bytes(FILES[name]())

    assert told(children, source) == told(DecoderHere(), source)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", BOMBS)
def test_bomb_stays_in_its_child(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Refused with its reason, or read in part; the same child, or the next, goes on."""
    monkeypatch.setattr(pool, "LEAST_LIFE_S", 0.0)
    make, expected = BOMBS[name]
    bomb, well = tmp_path / "bomb", tmp_path / "well"
    bomb.write_bytes(make())
    well.write_bytes(picture())
    children = ChildPool(1, max_decode_s=60.0)
    said = " ".join(str(part) for part in told(children, bomb))
    peak_mb = resident_mb(children)
    after = told(children, well)
    children.close()

    assert expected.removeprefix("refused: ") in said or "needs more than" in said
    assert peak_mb < PEAK_MB
    assert after == told(DecoderHere(), well)


def test_child_that_a_bomb_has_ended_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Here by a file that its head does not give away: it just needs more than there is."""
    monkeypatch.setattr(pool, "LEAST_LIFE_S", 0.0)
    monkeypatch.setattr("daemon.worker.children.picture.SPARE_BYTES", 0)
    monkeypatch.setattr("daemon.worker.children.picture.THREAD_BYTES", 0)
    monkeypatch.setattr("daemon.worker.children.picture.SHARE", 0)
    source = tmp_path / "file"
    source.write_bytes(ORDINARY["AVIF with alpha"])
    children = ChildPool(1, max_decode_s=60.0)
    with pytest.raises(PictureError, match=r"needs more than \d+ MB"):
        decoded(children, source)
    is_empty = children.places[0].child is None
    monkeypatch.undo()
    after = told(children, source)
    children.close()

    assert is_empty
    assert after == told(DecoderHere(), source)
