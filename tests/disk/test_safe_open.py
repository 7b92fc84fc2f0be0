"""Folders are opened without following a link, by one call of the kernel's or step by step."""

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.disk import files, safe_open, syncs
from daemon.errors import Blame, UntrustedPath, blame, describe
from tests.samples import open_count

JOB_ID = "01a3185c53e800007cdc01"
NOBODY = 65534


@pytest.fixture(params=["openat2", "step by step"], autouse=True)
def way_of_opening(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each fact holds on new and on old kernels."""
    if request.param == "step by step":
        monkeypatch.setattr(safe_open, "openat2", lambda *ignored: None)
    return str(request.param)


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    """A hot folder with one claimed picture."""
    place = tmp_path / "hot" / safe_open.CLAIMS / JOB_ID / "sub"
    place.mkdir(parents=True)
    (place.parents[1]).chmod(0o700)
    (place / "cat.jpg").write_text("ours")
    return tmp_path / "hot"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder that only we may read, with a file of the same name."""
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "cat.jpg").write_text("secret")
    return folder


def claimed(hot: Path) -> Path:
    """The claimed picture."""
    return hot / safe_open.CLAIMS / JOB_ID / "sub" / "cat.jpg"


def test_claimed_picture_is_found(hot: Path) -> None:
    """No link is on its way."""
    with files.open_regular(claimed(hot)) as stream:
        assert stream.read() == b"ours"


def swap_claims(hot: Path, secret: Path) -> None:
    """The claim folder is a link."""
    (hot / safe_open.CLAIMS).rename(hot / "away")
    place = hot / "his" / JOB_ID
    place.mkdir(parents=True)
    (place / "sub").symlink_to(secret)
    (hot / safe_open.CLAIMS).symlink_to(hot / "his")


def swap_sub_folder(hot: Path, secret: Path) -> None:
    """A folder in it is one."""
    place = hot / safe_open.CLAIMS / JOB_ID / "sub"
    place.rename(hot / "away")
    place.symlink_to(secret)


def swap_root(hot: Path, secret: Path) -> None:
    """The hot folder itself is one."""
    hot.rename(hot.with_name("away"))
    place = hot.with_name("his")
    (place / safe_open.CLAIMS / JOB_ID).mkdir(parents=True)
    (place / safe_open.CLAIMS).chmod(0o700)
    (place / safe_open.CLAIMS / JOB_ID / "sub").symlink_to(secret)
    hot.symlink_to(place)


CALLS: dict[str, Callable[[Path], object]] = {
    "open": files.open_regular,
    "identity": files.identity,
    "exists": files.exists,
    "remove": files.remove,
    "create": files.create,
    "make folders": lambda path: files.make_folders(path.parent / "new"),
    "sync": lambda path: syncs.sync_folder(path.parent),
}


@pytest.mark.parametrize("swap", [swap_claims, swap_sub_folder, swap_root])
@pytest.mark.parametrize("name", CALLS)
def test_link_on_the_way_is_refused(
    hot: Path, secret: Path, swap: Callable[[Path, Path], None], name: str
) -> None:
    """Whatever is to be done there; and what it leads to stays as it was."""
    swap(hot, secret)

    with pytest.raises(UntrustedPath) as caught:
        CALLS[name](claimed(hot))
    assert "is a link: remove it" in describe(caught.value)
    assert blame(caught.value) is Blame.MACHINE
    assert sorted(path.name for path in secret.iterdir()) == ["cat.jpg"]
    assert (secret / "cat.jpg").read_text() == "secret"


@pytest.mark.root
def test_claim_folder_of_another_user_is_refused(hot: Path) -> None:
    """It is a folder and no link, but somebody else may change what is in it."""
    os.chown(hot / safe_open.CLAIMS, NOBODY, NOBODY)

    with pytest.raises(UntrustedPath) as caught:
        files.identity(claimed(hot))
    told = f"{hot / safe_open.CLAIMS} belongs to user {NOBODY} and not to the daemon's user"
    assert told in describe(caught.value)


def test_claim_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    """Whatever the umask is."""
    before = os.umask(0)
    try:
        safe_open.make_claims(tmp_path)
    finally:
        os.umask(before)

    assert (tmp_path / safe_open.CLAIMS).stat().st_mode & 0o777 == 0o700


def test_open_claim_folder_is_closed_to_others(hot: Path) -> None:
    """Earlier versions made it with mode 0755."""
    (hot / safe_open.CLAIMS).chmod(0o755)
    files.identity(claimed(hot))

    assert (hot / safe_open.CLAIMS).stat().st_mode & 0o777 == 0o700


def test_folder_of_that_name_that_holds_no_claim_is_a_folder(tmp_path: Path) -> None:
    """A person's own hidden folder above the hot folder has other modes, and they are his."""
    place = tmp_path / safe_open.CLAIMS / "hot"
    place.mkdir(parents=True)
    (place / "cat.jpg").touch()

    assert files.exists(place / "cat.jpg")
    assert (tmp_path / safe_open.CLAIMS).stat().st_mode & 0o777 != 0o700


def test_missing_folder_is_missing(tmp_path: Path) -> None:
    """As the system says it."""
    with pytest.raises(FileNotFoundError), safe_open.folder(tmp_path / "none"):
        pass
    assert not files.exists(tmp_path / "none" / "cat.jpg")


def test_path_longer_than_the_kernel_takes(tmp_path: Path) -> None:
    """It is gone through step by step."""
    top = os.open(tmp_path, safe_open.LISTED)
    parts = ["d" * 200] * 30
    descriptor = top
    for name in parts:
        os.mkdir(name, dir_fd=descriptor)
        inner = os.open(name, safe_open.LISTED, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    expected = os.fstat(descriptor).st_ino
    os.close(descriptor)

    with safe_open.folder(tmp_path.joinpath(*parts)) as found:
        assert os.fstat(found).st_ino == expected


def test_kernel_without_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSYS, or the EPERM of a sandbox that does not know it: step by step."""
    for number in safe_open.NO_OPENAT2:

        class Library:
            """A C library whose kernel refuses."""

            @staticmethod
            def syscall(*ignored: object, number: int = number) -> int:
                ctypes.set_errno(number)
                return -1

        monkeypatch.setattr(safe_open, "libc", Library)
        with safe_open.folder(tmp_path) as folder:
            assert os.path.samestat(os.fstat(folder), tmp_path.stat())


def test_descriptors_are_closed(hot: Path, secret: Path) -> None:
    """After what goes well, and after what does not."""
    before = open_count()
    for _ in range(5):
        files.identity(claimed(hot))
        with pytest.raises(FileNotFoundError), safe_open.folder(hot / "none"):
            pass
    swap_claims(hot, secret)
    for _ in range(5):
        with pytest.raises(UntrustedPath):
            files.identity(claimed(hot))

    assert open_count() == before


def test_error_names_the_number(hot: Path, secret: Path) -> None:
    """For programs that look at it."""
    swap_claims(hot, secret)

    with pytest.raises(UntrustedPath) as caught:
        files.exists(claimed(hot))
    assert caught.value.errno == errno.ELOOP
