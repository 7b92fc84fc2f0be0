"""What is no picture of the hot folder's is never opened, and no name leads out of the drop."""

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.disk import files, safe_open, store
from daemon.disk.syncs import Syncs
from daemon.errors import Blame, PictureError, UntrustedPath, blame, describe
from daemon.jobs import Done, Failed, Hint, Outcome, Task
from daemon.messages import FileEvent
from tests.service.service_kit import Kit, copy_out

SECRET = b"nobody may read this"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Everything but folders that is opened to be read from now on, by its real path."""
    found: list[Path] = []
    real = os.open

    def spy(path: Any, flags: int, *others: Any, **more: Any) -> int:
        descriptor = real(path, flags, *others, **more)
        if not flags & (os.O_PATH | os.O_WRONLY | os.O_DIRECTORY):
            found.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        return descriptor

    monkeypatch.setattr(os, "open", spy)
    yield found


def read_like_the_worker(task: Task) -> Outcome:
    """Opens as the real worker does, and copies what it gets."""
    try:
        with files.open_regular(task.source) as stream:
            identity = files.identity(task.source)
            task.part.write_bytes(stream.read())
    except (PictureError, OSError) as error:
        return Failed(blame(error), describe(error))
    assert identity is not None
    return Done(identity, 4, 3, {}, ())


def bind(path: Path) -> None:
    """Leave a socket's name behind."""
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path must be short
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


def device(path: Path) -> None:
    """The endless one."""
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def linked(target: str) -> Callable[[Path], None]:
    """A link to something beside the hot folder, or elsewhere."""
    return lambda path: path.symlink_to(target)


INTRUDERS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "socket": bind,
    "link to a secret": linked("../secret"),
    "link to the outputs": linked("../outputs"),
    "link to itself": linked("a.jpg"),
    "link to nothing": linked("nowhere"),
}
intruders = pytest.mark.parametrize("make", INTRUDERS.values(), ids=INTRUDERS)


def begin(base: Path, **settings: Any) -> Kit:
    """A service beside a secret."""
    (base / "secret").write_bytes(SECRET)
    return Kit(base, work=read_like_the_worker, folder={"defer_s": 0.0}, **settings)


def check_secret(kit: Kit, opened: list[Path]) -> None:
    """It lies where it lay, was not opened and is nowhere else."""
    secret = kit.base / "secret"
    assert secret.read_bytes() == SECRET
    assert secret not in opened
    copies = [path for path in kit.base.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in copies if path.read_bytes() == SECRET] == [secret]


@intruders
def test_intruder_is_never_taken(
    tmp_path: Path, opened: list[Path], make: Callable[[Path], None]
) -> None:
    """Neither seen by an event nor by a sweep."""
    kit = begin(tmp_path)
    make(kit.hot / "a.jpg")
    kit.inbox.put(FileEvent("hot", kit.hot / "a.jpg", Hint.MOVED))
    kit.pass_time(70, step_s=2)

    assert kit.hot / "a.jpg" not in opened
    assert os.path.lexists(kit.hot / "a.jpg")
    assert kit.records.counts() == {}
    check_secret(kit, opened)


@pytest.mark.root
def test_device_is_never_taken(tmp_path: Path, opened: list[Path]) -> None:
    """Reading this one would not end."""
    kit = begin(tmp_path)
    device(kit.hot / "a.jpg")
    kit.inbox.put(FileEvent("hot", kit.hot / "a.jpg", Hint.MOVED))
    kit.pass_time(70, step_s=2)

    assert Path("/dev/zero") not in opened
    assert kit.hot / "a.jpg" not in opened
    assert kit.records.counts() == {}


def test_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    """What lies in it is taken."""
    kit = begin(tmp_path)
    kit.drop("a.jpg/cat.jpg")
    kit.pass_time(5)

    assert kit.results() == ["a.jpg/cat.png", "originals/a.jpg/cat.jpg"]


@intruders
def test_intruder_swapped_in_before_the_claim_is_put_back(
    tmp_path: Path,
    opened: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
) -> None:
    """Between the last look and the rename."""
    kit = begin(tmp_path)
    picture, real = kit.drop("a.jpg"), store.claim

    def swap(root: Path, relative: Path, job_id: str, later: Syncs) -> Path:
        picture.unlink()
        make(picture)
        return real(root, relative, job_id, later)

    monkeypatch.setattr(store, "claim", swap)
    kit.pass_time(5)

    assert os.path.lexists(picture)
    assert [path.name for path in (kit.hot / store.CLAIMS).iterdir() if path.is_dir()] == []
    assert kit.records.counts() == {}
    check_secret(kit, opened)


@intruders
@pytest.mark.parametrize("is_across", [False, True])
def test_intruder_swapped_in_after_the_claim_is_rejected_unopened(
    tmp_path: Path,
    opened: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
    *,
    is_across: bool,
) -> None:
    """As what it is, also to another file system; nobody waits for it."""
    kit = begin(tmp_path, is_held=True)
    kit.drop("a.jpg")
    kit.pass_time(3)
    [claimed] = kit.hot.glob(".cvunetd/*/a.jpg")
    claimed.unlink()
    make(claimed)
    opened.clear()  # its predecessor was looked at: it might have been a clip
    if is_across:
        refuse_links_across(monkeypatch)
    kit.engine.is_held = False
    kit.engine.run_held()
    kit.pass_time(60, step_s=2)

    assert os.path.lexists(tmp_path / "failed/hot/a.jpg")
    assert claimed not in opened
    assert kit.records.counts() == {"hot": {"failed": 1}}
    check_secret(kit, opened)


def refuse_links_across(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quarantine lies on another file system."""
    real = os.link

    def link(
        source: str, destination: str, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool
    ) -> None:
        folders = {"src_dir_fd": src_dir_fd, "dst_dir_fd": dst_dir_fd}
        if not os.path.samestat(os.fstat(src_dir_fd), os.fstat(dst_dir_fd)):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, destination, follow_symlinks=follow_symlinks, **folders)

    monkeypatch.setattr(os, "link", link)


def test_folder_swapped_for_a_link_leads_nowhere(tmp_path: Path, opened: list[Path]) -> None:
    """The picture was whole; now its sub-folder is a link to where only we may read."""
    kit = begin(tmp_path)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "a.jpg").write_bytes(SECRET)
    kit.drop("sub/a.jpg")
    kit.service.tick(0)
    kit.service.parts.intake.settling.read_identity = lambda path: (
        kit.service.parts.intake.settling.files[path].identity
    )
    (kit.hot / "sub").rename(tmp_path / "away")
    (kit.hot / "sub").symlink_to(theirs)
    kit.pass_time(20, step_s=1)

    assert (theirs / "a.jpg").read_bytes() == SECRET
    assert theirs / "a.jpg" not in opened
    assert kit.records.counts() == {}


# --- names -------------------------------------------------------------------------------------

NFC, NFD = "caf\u00e9", "cafe\u0301"
NAMES = [
    os.fsdecode(name)
    for name in (
        b"line\nbreak.jpg",
        b"-rf.jpg",
        b"--.jpg",
        b"\xff\xfe.jpg",
        b"a..b.jpg",
        b"n" * 251 + b".jpg",
        b"n" * 250 + b"2.jpg",
        b"e" * 255,
        "\u202e.jpg".encode(),
        b"%s{stem}$HOME.jpg",
        b"back\\slash.jpg",
        b"manifest.json",
        b"manifest.jpg",
        b"originals",
        b"outputs_20261122101500",
        b"Case.jpg",
        b"case.jpg",
        f"{NFC}.jpg".encode(),
        f"{NFD}.jpg".encode(),
        f"{NFC}/x.jpg".encode(),
        f"{NFD}/x.jpg".encode(),
        b"manifest.json.d/a.jpg",
        b"folders/manifest.json/a.jpg",
        b"folders/originals/a.jpg",
        b"cat.jpg",
        b"cat.webp",
        b"cat.png",
        b"cat",
    )
]
TEMPLATES = ["{stem}", "{stem}.{ext}", "x", "{ext}", "manifest", "{stem:.1}", "{folder}-{stem}"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_odd_names_stay_in_the_drop_and_overwrite_nothing(tmp_path: Path, template: str) -> None:
    """Every picture comes out, whole, below its drop."""
    settings: dict[str, object] = {"output": {"name": template, "drop_idle_s": 600}}
    kit = Kit(tmp_path, settings=settings, folder={"ignore": ["!*.json"]})
    before = set(tmp_path.iterdir())
    for name in NAMES:
        kit.drop(name, os.fsencode(name))
    kit.pass_time(60, step_s=2)

    assert set(tmp_path.iterdir()) - before <= {tmp_path / "outputs"}
    [drop] = kit.drops()
    everything = [path for path in drop.rglob("*") if path.is_file() and path.parent.name]
    originals = [path for path in everything if path.is_relative_to(drop / "originals")]
    results = [path for path in everything if path.suffix == ".png" and path not in originals]
    expected = sorted(map(os.fsencode, NAMES))
    assert sorted(path.read_bytes() for path in results) == expected
    assert sorted(path.read_bytes() for path in originals) == expected
    assert kit.records.counts() == {"hot": {"done": len(NAMES)}}
    assert b"made_by" in (drop / store.MANIFEST).read_bytes()
    assert (drop / store.MARKER).is_file()


@pytest.mark.parametrize("name", ["manifest.json", "originals"])
def test_folder_named_like_our_own_gets_another_name(tmp_path: Path, name: str) -> None:
    """A drop's manifest and its originals have their places to themselves."""
    kit = Kit(tmp_path)
    kit.drop(f"{name}/a.jpg")
    kit.pass_time(5)

    versioned = {"manifest.json": "manifest_2.json", "originals": "originals_2"}[name]
    assert f"{versioned}/a.png" in kit.results()
    assert f"originals/{name}/a.jpg" in kit.results()


def test_hidden_name_of_our_own_is_never_taken(tmp_path: Path) -> None:
    """A drop's mark, dropped."""
    kit = Kit(tmp_path)
    kit.drop(store.MARKER)
    kit.drop(".cvunetd/0/x.jpg")
    kit.pass_time(70, step_s=2)

    assert kit.records.counts() == {}


def test_twins_on_a_disk_that_knows_no_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs hold names that are one on disk: the second result gets another."""
    kit = Kit(tmp_path, is_held=True)
    for name in ("Cat.jpg", "cat.jpg"):
        kit.drop(name, name.encode())
    kit.pass_time(3)
    real = os.link

    def link(
        source: str, destination: str, *, src_dir_fd: int, dst_dir_fd: int, follow_symlinks: bool
    ) -> None:
        folders = {"src_dir_fd": src_dir_fd, "dst_dir_fd": dst_dir_fd}
        there = Path(f"/proc/self/fd/{dst_dir_fd}").readlink()
        if destination.lower() in {path.name.lower() for path in there.iterdir()}:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination)
        real(source, destination, follow_symlinks=follow_symlinks, **folders)

    def exists(path: Path) -> bool:
        return path.parent.is_dir() and path.name.lower() in {
            other.name.lower() for other in path.parent.iterdir()
        }

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(files, "exists", exists)
    kit.engine.run_held()
    kit.pass_time(10)

    contents = {path.name: path.read_bytes() for path in kit.drops()[0].glob("*.png")}
    assert sorted(contents.values()) == [b"Cat.jpg", b"cat.jpg"]
    assert len({name.lower() for name in contents}) == 2


def test_one_bad_picture_does_not_fail_its_neighbours(tmp_path: Path) -> None:
    """In one batch of the model's, and one after another."""

    def work(task: Task) -> Outcome:
        if "bad" in task.source.name:
            return Failed(Blame.FILE, "cannot be decoded")
        return copy_out(task)

    kit = Kit(tmp_path, work=work, folder={"defer_s": 0.0})
    for number in range(6):
        kit.drop(f"good{number}.jpg")
        kit.drop(f"bad{number}.jpg")
    kit.pass_time(10)

    assert kit.records.counts() == {"hot": {"done": 6, "failed": 6}}


def test_way_through_a_link_is_refused(tmp_path: Path) -> None:
    """The mechanism under all of this: folder by folder, none of them a link."""
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")

    with safe_open.folder(tmp_path / "real" / "inner"):
        pass
    with pytest.raises(UntrustedPath), safe_open.folder(tmp_path / "link" / "inner"):
        pass
