"""One owner for a folder."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemon.disk import files, lock_table, ownership, safe_open, store
from daemon.disk import lock as locks
from daemon.disk.lock import Lock, owner
from daemon.errors import InstallError, MachineError, UntrustedPath
from tests.samples import names_in, open_count
from tests.service.service_kit import Kit
from tests.torture.mounts import mounted_tmpfs, unbind

SYSTEMS = Path("/proc/filesystems").read_text(encoding="ascii")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second try at once."""
    monkeypatch.setattr(locks, "PROBE_S", 0.0)


def test_owner_is_named(tmp_path: Path):
    """By its process id, while it lives."""
    lock = Lock(tmp_path / "state" / "lock")
    lock.take("state folder")
    found = owner(lock.path)
    lock.release()

    assert found == os.getpid()


def test_released_lock_has_no_owner(tmp_path: Path):
    """Though its file stays."""
    lock = Lock(tmp_path / "lock")
    lock.take("state folder")
    lock.release()

    assert owner(lock.path) is None
    assert lock.path.exists()


def test_lock_that_never_was_has_no_owner(tmp_path: Path):
    """And asking does not make it."""
    assert owner(tmp_path / "lock") is None
    assert not (tmp_path / "lock").exists()


def test_lock_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`status` of another user: the kernel's table tells it all the same."""
    lock = Lock(tmp_path / "lock")
    lock.take("x")

    real = os.open

    def refuse(path: Path, flags: int) -> int:
        if not flags & os.O_PATH:
            raise PermissionError(13, "Permission denied")
        return real(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    held = owner(lock.path)
    lock.release()

    assert (held, owner(lock.path)) == (os.getpid(), None)


def test_lock_in_a_closed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A line, no traceback."""

    def refuse(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(InstallError, match="lock may not be read by this user"):
        owner(tmp_path / "lock")


def test_second_owner_is_refused(tmp_path: Path):
    """With what is in use, and by whom."""
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take("state folder x")

    with pytest.raises(InstallError, match=rf"state folder x .* \(process {os.getpid()}\): stop"):
        second.take("state folder x")
    first.release()


def test_refusal_leaves_the_first_owner_alone(tmp_path: Path):
    """Its id stays in the file, its lock in force; nothing stays open."""
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take("x")
    before = open_count()
    with pytest.raises(InstallError):
        second.take("x")
    found, after = owner(first.path), open_count()
    first.release()

    assert found == os.getpid()
    assert before == after


def test_lock_can_be_taken_again(tmp_path: Path):
    """By the next owner, whose shorter id leaves nothing of the last one's."""
    path = tmp_path / "lock"
    path.write_text("99999999999999\n")
    lock = Lock(path)
    lock.take("x")
    lock.release()

    assert path.read_text() == f"{os.getpid()}\n"


def test_lock_dies_with_its_process(tmp_path: Path):
    """Even a process that ends without a word."""
    code = "import os, sys; from pathlib import Path; from daemon.disk.lock import Lock;"
    code += "Lock(Path(sys.argv[1])).take('x'); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=False)
    lock = Lock(tmp_path / "lock")
    lock.take("x")
    lock.release()

    assert lock.path.read_text() == f"{os.getpid()}\n"


def test_other_process_is_kept_out(tmp_path: Path):
    """The lock is the system's, not this program's."""
    lock = Lock(tmp_path / "lock")
    lock.take("x")
    code = "import sys; from pathlib import Path; from daemon.disk.lock import owner;"
    code += "print(owner(Path(sys.argv[1])))"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(lock.path)], capture_output=True, text=True, check=True
    )
    lock.release()

    assert ran.stdout == f"{os.getpid()}\n"


@pytest.mark.parametrize("content", ["", "abc", "\xff\n"])
def test_id_that_is_not_written_yet(tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch):
    """Between lock and write the kernel's table tells it; where there is none, it is not known."""
    lock = Lock(tmp_path / "lock")
    lock.take("x")
    lock.path.write_text(content)
    found = owner(lock.path)
    monkeypatch.setattr(lock_table, "TABLE", tmp_path / "no table")
    untold = owner(lock.path)
    lock.release()

    assert (found, untold) == (os.getpid(), 0)


def test_look_at_the_owner_does_not_stop_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`status` holds the lock for an instant: the start tries once more."""
    real, tries = fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        tries.append(operation)
        if len(tries) == 1:
            raise BlockingIOError
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = Lock(tmp_path / "lock")
    lock.take("x")
    lock.release()

    assert len(tries) == 2


def test_a_folder_that_may_not_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its whole path is told, and what to do; not only the last part, as the system tells it."""

    def refuse(folder: int, name: str) -> int:
        raise PermissionError(13, "Permission denied", name)

    monkeypatch.setattr(safe_open, "make_below", refuse)
    with pytest.raises(InstallError) as caught:
        locks.take_all([(Lock(tmp_path / "state" / "lock"), "the state")])

    told = f"{tmp_path}/state cannot be written: Permission denied; correct the owner or the mode"
    assert str(caught.value).startswith(told)


def test_a_lock_that_may_not_be_written(tmp_path: Path):
    """Likewise."""
    (tmp_path / "lock").mkdir()
    with pytest.raises(InstallError, match=f"^{tmp_path}/lock cannot be written: Is a directory"):
        locks.take_all([(Lock(tmp_path / "lock"), "the state")])


def test_releasing_twice_is_well(tmp_path: Path):
    """It must not close somebody else's file."""
    lock = Lock(tmp_path / "lock")
    lock.take("x")
    lock.release()
    lock.release()

    assert lock.descriptor is None


def test_a_lock_follows_a_folder_that_was_made_anew(tmp_path: Path):
    """What is held is the old folder's file; renewed, it is the new one's."""
    folder = tmp_path / "hot"
    lock = Lock(folder / "lock")
    before = lock.is_in_place()
    lock.take("hot folder")
    held = lock.is_in_place()
    folder.rename(tmp_path / "away")
    folder.mkdir()
    away = lock.is_in_place()
    lock.renew()

    assert (before, held, away, lock.is_in_place()) == (False, True, False, True)
    assert owner(folder / "lock") == os.getpid()
    assert owner(tmp_path / "away" / "lock") is None
    lock.release()


# --- what others may do to it -------------------------------------------------------------------


def mode_of(path: Path) -> int:
    """The permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_may_open_it(tmp_path: Path):
    """Who cannot open it cannot hold it; a lock of an earlier version is closed, too."""
    fresh, old = Lock(tmp_path / "fresh"), Lock(tmp_path / "old")
    old.path.touch(0o644)
    for lock in (fresh, old):
        lock.take("x")
        lock.release()

    assert (mode_of(fresh.path), mode_of(old.path)) == (0o600, 0o600)


@pytest.mark.parametrize("operation", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_neighbour_who_holds_it_is_named(tmp_path: Path, operation: int):
    """It may pass, so systemd shall try again; the number in the file is an old daemon's."""
    lock = Lock(tmp_path / "lock")
    lock.path.write_text("4321\n")
    lock.path.chmod(0o644)
    code = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, int(sys.argv[2]));"
    code += "print(flush=True); sys.stdin.read()"
    arguments = [sys.executable, "-c", code, str(lock.path), str(int(operation))]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as neighbour:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        with pytest.raises(MachineError, match=rf"held by process {neighbour.pid}, .*: end that"):
            locks.take_all([(lock, "state folder x")])
        tightened = mode_of(lock.path)
        neighbour.communicate()
    lock.take("state folder x")
    lock.release()

    assert tightened == 0o600


def test_a_holder_that_is_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In another container: nobody is named wrongly."""
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take("x")
    monkeypatch.setattr(lock_table, "TABLE", tmp_path / "no table")

    with pytest.raises(MachineError, match="held by a process that is not seen from here"):
        second.take("x")
    first.release()


def test_waiting_for_a_lock_is_not_holding_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Waiters stand in the table, too, with an arrow."""
    path = tmp_path / "lock"
    path.touch()
    status = path.stat()
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    table = tmp_path / "table"
    table.write_text(
        f"1: POSIX  ADVISORY  WRITE 11 {place} 0 EOF\n"
        "2: FLOCK  ADVISORY  WRITE 12 00:01:7 0 EOF\n"
        f"3: -> FLOCK  ADVISORY  WRITE 13 {place} 0 EOF\n"
        f"3: FLOCK  ADVISORY  READ 14 {place} 0 EOF\n"
    )
    monkeypatch.setattr(lock_table, "TABLE", table)

    with path.open("rb") as stream:
        assert lock_table.holder(stream.fileno()) == 14


@pytest.mark.root
@pytest.mark.skipif(SYSTEMS.find("overlay") < 0, reason="this kernel has no overlay")
@pytest.mark.parametrize("is_closed", [False, True])
def test_owner_on_overlay(tmp_path: Path, is_closed: bool):
    """As on btrfs: the kernel's table has another device than `os.stat` tells."""
    user = 65534 if is_closed else 0
    with ExitStack() as mounted:
        for name in ("lower", "layers"):
            (tmp_path / name).mkdir()
            mounted.enter_context(mounted_tmpfs(tmp_path / name, "1M"))
        for name in ("layers/upper", "layers/work", "state"):
            (tmp_path / name).mkdir()
        places = {"lowerdir": "lower", "upperdir": "layers/upper", "workdir": "layers/work"}
        options = ",".join(f"{name}={tmp_path / place}" for name, place in places.items())
        subprocess.run(
            ["mount", "-t", "overlay", "-o", options, "none", tmp_path / "state"], check=True
        )
        mounted.callback(unbind, tmp_path / "state")
        lock = Lock(tmp_path / "state/lock")
        lock.take("x")
        lock.path.write_text("not told")
        found = asked_as(user, lock.path)
        is_other_device = lock.path.stat().st_dev != (tmp_path / "state").stat().st_dev
        lock.release()

    assert is_other_device
    assert found == str(os.getpid())


def asked_as(user: int, path: Path) -> str:
    """What a process of another user hears of a lock's owner."""
    code = (
        "import ctypes, encodings.ascii, os, sys; from pathlib import Path\n"
        "from daemon.disk.lock import owner\n"
        f"os.setuid({user})\n"
        "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)\n"  # as after exec: /proc/self is its own
        "print(owner(Path(sys.argv[1])))"
    )
    ran = subprocess.run(  # the folders above may be closed to that user
        [sys.executable, "-c", code, path.name],
        cwd=path.parent,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.strip()


def test_a_second_name_is_refused(tmp_path: Path):
    """What we write into it would be written elsewhere, and who has that could hold it."""
    lock = Lock(tmp_path / "lock")
    (tmp_path / "theirs").write_text("precious")
    lock.path.hardlink_to(tmp_path / "theirs")

    with pytest.raises(InstallError, match=r"lock is no file of its own .*: remove it"):
        lock.take("x")
    assert (tmp_path / "theirs").read_text() == "precious"


def test_a_link_and_a_pipe_are_refused(tmp_path: Path):
    """Neither followed nor waited for."""
    (tmp_path / "link").symlink_to("theirs")
    os.mkfifo(tmp_path / "pipe")

    for name in ("link", "pipe"):
        with pytest.raises(InstallError):
            locks.take_all([(Lock(tmp_path / name), "x")])
    assert not (tmp_path / "theirs").exists()


@pytest.mark.root
def test_somebody_elses_file_is_refused(tmp_path: Path):
    """He could have made it before our first start, and open it again at any time."""
    lock = Lock(tmp_path / "lock")
    lock.path.touch(0o600)
    os.chown(lock.path, 65_534, 65_534)

    with pytest.raises(InstallError, match="lock belongs to user 65534: run cvunetd as that user"):
        lock.take("x")


@pytest.mark.root
def test_a_share_that_gives_all_files_to_one_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What we make there belongs to him, and so does our lock."""
    monkeypatch.setattr(ownership, "owner_of_new_file", lambda folder: 65_534)
    lock = Lock(tmp_path / "lock")
    lock.path.touch(0o600)
    os.chown(lock.path, 65_534, 65_534)
    lock.take("x")
    lock.release()


def test_a_folder_made_anew_belongs_to_whoever_comes_first(tmp_path: Path):
    """We stand by while it is another daemon's, and own it as soon as we can."""
    kit = Kit(tmp_path)
    path = kit.hot / store.CLAIMS / locks.FILE
    ours, theirs = Lock(path), Lock(path)
    ours.take(f"hot folder {kit.hot}")
    kit.service.parts.standby.locks = {"hot": ours}
    kit.hot.rename(tmp_path / "away")
    kit.hot.mkdir()
    theirs.take("the same")
    kit.pass_time(15, step_s=5)
    kit.drop("a.jpg")
    kit.pass_time(15, step_s=5)
    reason, untouched = kit.service.parts.standby.reasons["hot"], kit.left_in_hot()
    theirs.release()
    kit.pass_time(30, step_s=1)
    kit.die()

    assert "in use by another cvunetd" in reason
    assert untouched == [".cvunetd/lock", "a.jpg"]
    assert kit.results() == ["a.png", "originals/a.jpg"]
    assert ours.is_in_place()
    ours.release()


# --- a share that takes us for another user ------------------------------------------------------


def mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The share gives our files to the user that we are; the kernel says that we are another."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4242)


def test_threads_ask_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """None of them is told that our own folder is somebody else's."""
    mapped(monkeypatch)
    safe_open.make_claims(tmp_path)
    place = tmp_path / store.CLAIMS / "0123456789abcdef012345"
    place.mkdir()
    (place / "cat.jpg").touch()

    def look(_: int) -> None:
        files.open_regular(place / "cat.jpg").close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, range(400)))

    assert names_in(tmp_path / store.CLAIMS) == ["0123456789abcdef012345"]


def test_a_process_that_was_killed_while_it_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What it left says nothing, and is removed."""
    mapped(monkeypatch)
    safe_open.make_claims(tmp_path)
    left = tmp_path / store.CLAIMS / ownership.PROBE
    left.touch()
    lock = Lock(tmp_path / store.CLAIMS / locks.FILE)
    lock.take("x")
    lock.release()

    assert not left.exists()


def test_a_full_share_is_no_question_of_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The reason is the disk; nobody is told to move our folder away."""
    mapped(monkeypatch)
    safe_open.make_claims(tmp_path)

    open_file = os.open

    def full(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == ownership.PROBE:
            raise OSError(errno.ENOSPC, "No space left on device")
        return open_file(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="No space left") as caught, safe_open.claims(tmp_path):
        pass

    assert not isinstance(caught.value, UntrustedPath)
