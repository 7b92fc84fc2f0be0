"""The way of an original and of its result, on real folders."""

import os
from pathlib import Path

import pytest

from daemon.disk import free_space, safe_open, store
from daemon.disk.store import Claim
from daemon.disk.syncs import Syncs
from daemon.errors import MachineError
from tests.samples import names_in


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    """A hot folder with two pictures."""
    folder = tmp_path / "hot"
    (folder / "sub").mkdir(parents=True)
    (folder / "cat.jpg").write_bytes(b"cat")
    (folder / "sub" / "dog.jpg").write_bytes(b"dog")
    return folder


# --- claims ------------------------------------------------------------------------------------


def test_claim_takes_the_file_out(hot: Path):
    """Its path below the claim is that below the hot folder."""
    claimed = store.claim(hot, Path("sub/dog.jpg"), "1", Syncs())

    assert hot / ".cvunetd" / "1" / "sub" / "dog.jpg" == claimed
    assert claimed.read_bytes() == b"dog"
    assert not (hot / "sub" / "dog.jpg").exists()


def test_claim_is_a_rename(hot: Path):
    """Nothing is copied: a writer that still has it open writes to the claimed file."""
    expected = (hot / "cat.jpg").stat().st_ino

    assert expected == store.claim(hot, Path("cat.jpg"), "1", Syncs()).stat().st_ino


def test_second_claimant_gets_an_error(hot: Path):
    """And leaves nothing behind; the first one keeps the file."""
    first = store.claim(hot, Path("cat.jpg"), "1", Syncs())

    with pytest.raises(FileNotFoundError):
        store.claim(hot, Path("cat.jpg"), "2", Syncs())
    assert names_in(hot / ".cvunetd") == ["1"]
    assert first.exists()


def test_claim_counts_though_it_is_not_durable(hot: Path, monkeypatch: pytest.MonkeyPatch):
    """The rename is done; if a power cut undoes it, the file is simply found again."""

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "1":
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)

    later = Syncs()
    claimed = store.claim(hot, Path("cat.jpg"), "1", later)
    with pytest.raises(OSError, match="Input/output error"):
        later.flush()
    assert claimed.exists()


def test_claim_is_put_back(hot: Path):
    """As if it had never been taken."""
    store.claim(hot, Path("sub/dog.jpg"), "1", Syncs())
    store.unclaim(hot, Path("sub/dog.jpg"), "1")

    assert (hot / "sub" / "dog.jpg").read_bytes() == b"dog"
    assert names_in(hot / ".cvunetd") == []


def test_claim_is_not_put_back_over_another(hot: Path):
    """A new file has its name by now: the claim stays."""
    claimed = store.claim(hot, Path("cat.jpg"), "1", Syncs())
    (hot / "cat.jpg").write_bytes(b"new")
    with pytest.raises(FileExistsError):
        store.unclaim(hot, Path("cat.jpg"), "1")

    assert ((hot / "cat.jpg").read_bytes(), claimed.read_bytes()) == (b"new", b"cat")


def test_claim_is_put_back_into_a_folder_that_has_gone(hot: Path):
    """Somebody removed the empty sub-folder: it is made again."""
    store.claim(hot, Path("sub/dog.jpg"), "1", Syncs())
    (hot / "sub").rmdir()
    store.unclaim(hot, Path("sub/dog.jpg"), "1")

    assert (hot / "sub" / "dog.jpg").read_bytes() == b"dog"
    assert names_in(hot / ".cvunetd") == []


def test_claims_are_listed(hot: Path):
    """Everything that recovery has to adopt."""
    dog = store.claim(hot, Path("sub/dog.jpg"), "2", Syncs())
    cat = store.claim(hot, Path("cat.jpg"), "1", Syncs())

    expected = [Claim("1", Path("cat.jpg"), cat), Claim("2", Path("sub/dog.jpg"), dog)]
    assert expected == list(store.claims(hot))


def test_lock_and_empty_claims_are_no_claims(hot: Path):
    """The lock lies beside the claims."""
    (hot / ".cvunetd" / "3" / "sub").mkdir(parents=True)
    (hot / ".cvunetd" / "lock").touch()

    assert list(store.claims(hot)) == []


def test_claimed_link_is_listed_not_followed(hot: Path):
    """A link that was swapped in at the last moment must not be lost from sight."""
    (hot / "link.jpg").symlink_to("/etc")
    claimed = store.claim(hot, Path("link.jpg"), "1", Syncs())

    assert [Claim("1", Path("link.jpg"), claimed)] == list(store.claims(hot))


def test_folder_without_claims(hot: Path):
    """A new hot folder has none."""
    assert list(store.claims(hot)) == []


def test_empty_claim_is_dropped(hot: Path):
    """With the folders that mirrored the picture's."""
    store.claim(hot, Path("sub/dog.jpg"), "1", Syncs()).unlink()
    store.drop_claim(hot, Path("sub/dog.jpg"), "1")

    assert names_in(hot / ".cvunetd") == []


def test_dropping_a_claim_leaves_files(hot: Path):
    """Whatever still lies there is somebody's picture."""
    claimed = store.claim(hot, Path("sub/dog.jpg"), "1", Syncs())
    (claimed.parents[1] / "empty").mkdir()
    store.drop_claim(hot, Path("sub/dog.jpg"), "1")
    store.drop_empty_claims(hot)

    assert claimed.exists()
    assert not (claimed.parents[1] / "empty").exists()


def test_dropping_a_claim_twice_is_well(hot: Path):
    """Recovery may come after it."""
    store.drop_claim(hot, Path("cat.jpg"), "1")

    assert not (hot / ".cvunetd").exists()


def test_half_a_claim_is_dropped(hot: Path):
    """The folders of a claim that failed when only the first of them was made."""
    safe_open.make_claims(hot)
    (hot / ".cvunetd" / "1").mkdir()
    store.drop_claim(hot, Path("sub/dog.jpg"), "1")

    assert names_in(hot / ".cvunetd") == []


def test_only_empty_claims_are_dropped(hot: Path):
    """Of all that are there."""
    store.claim(hot, Path("cat.jpg"), "1", Syncs()).unlink()
    store.claim(hot, Path("sub/dog.jpg"), "2", Syncs())
    (hot / ".cvunetd" / "lock").touch()
    store.drop_empty_claims(hot)

    assert names_in(hot / ".cvunetd") == ["2", "lock"]


# --- originals ---------------------------------------------------------------------------------


def test_archive_moves(hot: Path, tmp_path: Path):
    """Into folders that it makes."""
    store.archive(hot / "cat.jpg", tmp_path / "out" / "originals" / "cat.jpg")

    assert (tmp_path / "out" / "originals" / "cat.jpg").read_bytes() == b"cat"
    assert not (hot / "cat.jpg").exists()


def test_archive_twice(hot: Path, tmp_path: Path):
    """The crash came after the move: nothing is left to do."""
    store.archive(hot / "cat.jpg", tmp_path / "cat.jpg")
    store.archive(hot / "cat.jpg", tmp_path / "cat.jpg")

    assert (tmp_path / "cat.jpg").read_bytes() == b"cat"


def test_archive_after_half_a_move(hot: Path, tmp_path: Path):
    """The crash came between link and unlink: one file has both names."""
    os.link(hot / "cat.jpg", tmp_path / "cat.jpg")
    store.archive(hot / "cat.jpg", tmp_path / "cat.jpg")

    assert (tmp_path / "cat.jpg").read_bytes() == b"cat"
    assert not (hot / "cat.jpg").exists()


def test_archive_after_half_a_copy(hot: Path, tmp_path: Path):
    """The crash came between copy and unlink: two equal files."""
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    store.archive(hot / "cat.jpg", tmp_path / "cat.jpg")

    assert (tmp_path / "cat.jpg").read_bytes() == b"cat"
    assert not (hot / "cat.jpg").exists()


def test_archive_never_overwrites(hot: Path, tmp_path: Path):
    """A different file of that name stays, and so does ours."""
    (tmp_path / "cat.jpg").write_bytes(b"CAT")

    with pytest.raises(FileExistsError):
        store.archive(hot / "cat.jpg", tmp_path / "cat.jpg")
    assert (
        (tmp_path / "cat.jpg").read_bytes(),
        (hot / "cat.jpg").read_bytes(),
    ) == (b"CAT", b"cat")


def test_archive_is_not_fooled_by_a_link_to_the_original(hot: Path, tmp_path: Path):
    """It looks like the same file; deleting the original would lose it."""
    (tmp_path / "cat.jpg").symlink_to(hot / "cat.jpg")

    with pytest.raises(FileExistsError):
        store.archive(hot / "cat.jpg", tmp_path / "cat.jpg")
    assert (hot / "cat.jpg").read_bytes() == b"cat"


def test_discard_deletes(hot: Path):
    """And again after a crash."""
    store.discard(hot / "cat.jpg")
    store.discard(hot / "cat.jpg")

    assert not (hot / "cat.jpg").exists()


# --- results -----------------------------------------------------------------------------------


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A finished result that has no name yet."""
    path = tmp_path / ".1.part"
    path.write_bytes(b"result")
    return path


def test_result_is_seen_only_under_its_name(part: Path):
    """A watcher of the drop never sees another name that is not hidden."""
    target = part.with_name("cat.png")
    store.publish(part, target)

    assert names_in(part.parent) == ["cat.png"]
    assert target.read_bytes() == b"result"


def test_result_does_not_overwrite(part: Path):
    """Somebody else has put a file there."""
    target = part.with_name("cat.png")
    target.write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        store.publish(part, target)
    assert (part.read_bytes(), target.read_bytes()) == (b"result", b"theirs")


def test_unpublished_result(part: Path):
    """The part alone."""
    assert not store.is_published(part, part.with_name("cat.png"))


def test_published_result(part: Path):
    """The name alone."""
    store.publish(part, part.with_name("cat.png"))

    assert store.is_published(part, part.with_name("cat.png"))


def test_result_published_by_half(part: Path):
    """The crash came between link and unlink."""
    os.link(part, part.with_name("cat.png"))

    assert store.is_published(part, part.with_name("cat.png"))


def test_file_of_another_is_no_result(part: Path):
    """Our part is there still, and is not that file."""
    part.with_name("cat.png").write_bytes(b"theirs")

    assert not store.is_published(part, part.with_name("cat.png"))


def test_part_is_removed(part: Path):
    """And again after a crash."""
    store.remove_part(part)
    store.remove_part(part)

    assert not part.exists()


# --- disks -------------------------------------------------------------------------------------


def test_free_space_of_a_folder_to_be(tmp_path: Path):
    """The nearest folder that exists tells."""
    assert free_space.free_bytes(tmp_path / "a" / "b") > 0


def test_writable_folder(tmp_path: Path):
    """It is made, and the probe does not stay."""
    free_space.check_writable(tmp_path / "a")

    assert names_in(tmp_path / "a") == []


def test_folder_that_cannot_be_written(tmp_path: Path):
    """The machine's trouble, told with the path."""
    (tmp_path / "file").touch()

    with pytest.raises(MachineError, match=r"file/a cannot be written: NotADirectoryError|Exists"):
        free_space.check_writable(tmp_path / "file" / "a")
