"""Shards travel in pieces and are joined."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cvunet.errors import TrainingError
from cvunet.training.gpu import staging

MOST = 3000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two shards and weights, none of which fits into a piece of 3,000 bytes with the list."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number, size in enumerate((5000, 1200)):
        (folder / f"salient-train-0{number}.tar").write_bytes(bytes([number]) * size)
    (folder / "backbone").mkdir()
    (folder / "backbone" / "encoder.npz").write_bytes(b"encoder")
    return folder


def cut(data: Path) -> list[Path]:
    """The pieces of the data, with weights from elsewhere."""
    average = data.parent / "average.pth"
    average.write_bytes(b"weights")
    also = [data / "backbone" / "encoder.npz", average]
    return staging.cut(data, data.parent / "pieces", most_bytes=MOST, also=also)


def test_pieces_keep_their_size(data: Path):
    """A call carries no more than it may, the list included."""
    sizes = [sum(path.stat().st_size for path in piece.iterdir()) for piece in cut(data)]

    assert len(sizes) > 1
    assert max(sizes) <= MOST


def test_joined_in_any_order(data: Path, tmp_path: Path):
    """All files are as they were, and nothing else remains but the list."""
    there = tmp_path / "there"
    for piece in reversed(cut(data)):
        staging.take(piece, there)

    def contents(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    arrived = contents(there)
    del arrived[staging.LIST]
    assert arrived == contents(data) | {"average.pth": b"weights"}
    staging.check(there)


def test_tells_what_is_missing(data: Path, tmp_path: Path):
    """By name, with how much has come."""
    pieces, there = cut(data), tmp_path / "there"
    staging.take(pieces[0], there)

    with pytest.raises(TrainingError, match=r"salient-train-00\.tar: 0\.0 of 0\.0 MB"):
        staging.check(there)


def test_damaged_piece_is_missing(data: Path, tmp_path: Path):
    """A file whose SHA-256 is wrong is not joined, and its pieces are to be brought again."""
    pieces, there = cut(data), tmp_path / "there"
    first = next(pieces[0].glob("*.from-*"))
    first.write_bytes(b"x" * first.stat().st_size)
    for piece in pieces:
        staging.take(piece, there)

    assert [line.split(":")[0] for line in staging.missing(there)] == ["salient-train-00.tar"]


def test_pieces_of_other_files_are_refused(data: Path, tmp_path: Path):
    """Two cuts are not mixed."""
    pieces, there = cut(data), tmp_path / "there"
    staging.take(pieces[0], there)
    (data / "salient-train-01.tar").write_bytes(b"another")
    others = staging.cut(data, tmp_path / "others", most_bytes=MOST, also=[])

    with pytest.raises(TrainingError, match="other files"):
        staging.take(others[0], there)


def test_command(data: Path, tmp_path: Path):
    """`join` exits 0; `check` exits 1 while anything is missing."""
    pieces, there = cut(data), tmp_path / "there"

    assert staging.main(["check", str(there)]) == 1
    assert staging.main(["join", str(pieces[0]), str(there)]) == 0
    assert staging.main(["check", str(there)]) == 1
    for piece in pieces[1:]:
        staging.main(["join", str(piece), str(there)])
    assert staging.main(["check", str(there)]) == 0


def test_cut_needs_an_empty_folder(data: Path):
    """Old pieces would be taken for new ones."""
    cut(data)

    with pytest.raises(TrainingError, match="not empty"):
        cut(data)


def test_a_piece_and_the_source_tree_fit_into_one_call():
    """The tree grows: then pieces must shrink, or the calls on the machine that is lent fail."""
    root = Path(__file__).parents[2]
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("no git here, so the tree's size is not known")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    )
    paths = [root / name for name in listed.stdout.split("\0") if name]
    tree_bytes = sum(path.stat().st_size for path in paths if path.is_file())

    assert tree_bytes + staging.PIECE_MB * 1e6 <= 64 * 1024 * 1024
