"""A file that is seen and cannot be taken: status, why and doctor say why, and what mends it.

The daemon is another user than the files' owner, as it is on a server.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from daemon.commands import doctor, status, status_text
from daemon.commands import why as inquiry
from daemon.commands.checks import permissions, service
from daemon.commands.findings import Severity
from daemon.disk.lock import Lock
from daemon.errors import Blame
from daemon.jobs import Failed
from daemon.reporting.notify import Notifier
from daemon.reporting.report import Report
from daemon.watching import refusals
from daemon.watching.refusals import Refusal, RefusedFiles
from tests.service.service_kit import START, Kit, fail_with

NOBODY, ANN = 65_534, 12_345
PICTURE = "sub/cat.jpg"


@contextmanager
def unprivileged() -> Iterator[None]:
    """As the daemon's own user."""
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def kit() -> Iterator[Kit]:
    """A service of its own user, with a sub-folder of Ann's in its hot folder."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        base.chmod(0o755)
        kit = Kit(base)
        kit.drop(PICTURE)
        for path in (base, *base.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        os.chown(kit.hot / "sub", ANN, ANN)
        os.chown(kit.hot / PICTURE, ANN, ANN)
        yield kit
        kit.service.parts.ledger.close()


def serve(kit: Kit, seconds: float = 5) -> None:
    """The daemon runs for some time and reports."""
    with unprivileged():
        kit.pass_time(seconds)


def all_say(kit: Kit, reason: str, mend: str) -> None:
    """Status, why and doctor, while the daemon runs."""
    base = kit.base
    config = base / "config.yaml"
    config.write_text(yaml.safe_dump({"folders": [{"path": "hot"}]}))
    lock = Lock(base / "state/lock")
    lock.take("state folder")
    os.chown(base / "state/lock", NOBODY, NOBODY)
    snapshot = kit.service.snapshot()
    Report(base / "state", Notifier(None, is_expected=False)).update(snapshot, monotonic=1.0)
    try:
        shown = "\n".join(status_text.lines(status.collect(config, now=START), now=START))
        asked = "\n".join(inquiry.lines(config, kit.hot / PICTURE))
        found = [one for one in doctor.examine(config, now=START) if one.severity is Severity.FAIL]
    finally:
        lock.release()
    assert "folder hot: 1 cannot be taken, such as " in shown
    for text in (shown, asked):
        assert reason in text
        assert mend in text
    told = {one.check: one for one in found if reason in one.text}
    assert told.keys() == {"daemon", "pictures of hot"}
    assert all(mend in one.mend for one in told.values())


@pytest.fixture(autouse=True)
def fast_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the checks that this is about."""
    checks = (permissions.pictures, service.daemon_state)
    monkeypatch.setattr(doctor, "CHECKUPS", checks)


@pytest.mark.root
def test_sub_folder_that_may_not_be_written(kit: Kit):
    """A rename changes the folder, and its mode forbids that."""
    serve(kit)

    all_say(kit, "hot/sub may not be written by user nobody", "chgrp nogroup")
    assert kit.left_in_hot() == [PICTURE]
    assert kit.service.parts.standby.reasons == {}


@pytest.mark.root
def test_the_line_mends_it_and_the_picture_comes(kit: Kit):
    """Within ten minutes, without a restart."""
    serve(kit)
    [refused] = kit.service.snapshot().folders["hot"].refusals
    subprocess.run(["bash", "-c", refused.mend], check=True, capture_output=True)
    with unprivileged():
        kit.pass_time(700, step_s=10)

    assert kit.results() == ["originals/sub/cat.jpg", "sub/cat.png"]
    assert kit.service.snapshot().folders["hot"].refused == 0


@pytest.mark.root
def test_file_of_another_in_a_sticky_folder(kit: Kit):
    """Everybody may add files there, and nobody may rename those of others."""
    (kit.hot / "sub").chmod(0o1777)
    serve(kit)

    all_say(kit, "has the sticky bit", f"chown nobody {kit.hot}/sub")
    subprocess.run(["chown", "nobody", kit.hot / "sub"], check=True)
    with unprivileged():
        kit.pass_time(700, step_s=10)
    assert kit.results() == ["originals/sub/cat.jpg", "sub/cat.png"]


@pytest.fixture
def other_disk(kit: Kit) -> Iterator[None]:
    """Quarantine is on it."""
    place = kit.base / "failed"
    place.mkdir(exist_ok=True)
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", place], capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip("may not mount here")
    yield
    subprocess.run(["umount", place], check=True)


@pytest.mark.root
@pytest.mark.usefixtures("other_disk")
def test_picture_that_could_not_be_rejected(kit: Kit):
    """It may not be read, and so not be copied to quarantine; it was tried again for ever."""
    (kit.hot / "sub").chmod(0o777)
    (kit.hot / PICTURE).chmod(0o600)
    serve(kit)
    [refused] = kit.service.snapshot().folders["hot"].refusals

    assert refused.reason == "it may not be read by user nobody"
    assert refused.mend == f"chmod a+r {kit.hot / PICTURE}"
    assert kit.left_in_hot() == [PICTURE]


@pytest.mark.root
def test_picture_that_may_not_be_read_and_can_be_rejected(kit: Kit):
    """By a rename, on one disk: it is taken like any other."""
    kit.work = fail_with(Failed(Blame.FILE, "may not be read"))
    (kit.hot / "sub").chmod(0o777)
    (kit.hot / PICTURE).chmod(0o600)
    serve(kit)

    assert kit.left_in_hot() == []


@pytest.fixture
def bound(kit: Kit) -> Iterator[Callable[..., None]]:
    """Mounts a folder of the same disk at `sub`."""
    place = kit.hot / "sub"
    other = kit.base / "other"
    other.mkdir()
    (other / "cat.jpg").write_bytes(b"picture")
    for path in (other, other / "cat.jpg"):
        os.chown(path, NOBODY, NOBODY)

    def mount(*options: str) -> None:
        tried = subprocess.run(["mount", "--bind", other, place], capture_output=True, check=False)
        if tried.returncode:
            pytest.skip("may not mount here")
        for option in options:
            subprocess.run(["mount", "-o", f"remount,bind,{option}", place], check=True)

    yield mount
    subprocess.run(["umount", place], capture_output=True, check=False)


@pytest.mark.root
@pytest.mark.parametrize("options", [(), ("ro",)])
def test_mount_inside_the_hot_folder(
    kit: Kit, bound: Callable[..., None], options: tuple[str, ...]
):
    """Of the same disk, too, and read-only."""
    bound(*options)
    serve(kit)

    all_say(kit, "hot/sub is a mount inside the hot folder", f"umount {kit.hot}/sub")
    assert kit.service.parts.standby.reasons == {}


@pytest.mark.root
@pytest.mark.parametrize(("name", "word"), [(PICTURE, "it is immutable"), ("sub", "is immutable")])
def test_immutable_attribute(kit: Kit, name: str, word: str):
    """`chattr +i` of the file or of its folder."""
    for path in (kit.hot / "sub", kit.hot / PICTURE):
        os.chown(path, NOBODY, NOBODY)
    tried = subprocess.run(["chattr", "+i", kit.hot / name], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("no such attribute on this file system")
    try:
        serve(kit)
        all_say(kit, word, f"chattr -ia {kit.hot / name}")
    finally:
        subprocess.run(["chattr", "-i", kit.hot / name], check=True)


@pytest.mark.root
def test_sub_folder_that_may_not_be_read(kit: Kit):
    """Its pictures are not even seen; the sub-folder counts."""
    (kit.hot / "sub").chmod(0o700)
    kit.service.next_sweep.clear()
    serve(kit)
    state = kit.service.snapshot().folders["hot"]
    found = refusals.find(
        kit.service.parts.folders["hot"],
        kit.hot / PICTURE,
        permissions.asker_for(service.user_of(NOBODY, NOBODY)),
    )

    assert state.refused == 1
    assert state.refusals[0].reason.endswith("sub cannot be looked into: Permission denied")
    assert found is not None
    assert found.reason.endswith("hot/sub may not be read by user nobody")


@pytest.mark.root
def test_the_log_tells_one_for_all_beside_it(kit: Kit, caplog: pytest.LogCaptureFixture):
    """A folder of a thousand pictures is one trouble."""
    for number in range(20):
        os.chown(kit.drop(f"sub/{number}.jpg"), ANN, ANN)
    with unprivileged():
        kit.pass_time(1500, step_s=20)

    assert kit.service.snapshot().folders["hot"].refused == 21
    errors = [one for one in caplog.records if one.levelname == "ERROR"]
    assert len(errors) == 1
    assert "may not be written by user nobody -> chgrp" in errors[0].getMessage()


def test_what_nothing_explains_is_told_in_the_words_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """SELinux, for example; `why` knows it from the daemon's report."""
    kit = Kit(tmp_path)

    def refuse(*anything: object) -> Path:
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr("daemon.disk.store.claim", refuse)
    path = kit.drop("cat.jpg")
    kit.pass_time(3)
    [refused] = kit.service.snapshot().folders["hot"].refusals

    assert (refused.path, refused.reason) == (str(path), "Operation not supported")
    assert kit.service.count_unfinished() == 1


def test_a_refused_file_that_is_gone_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By the next sweep."""
    kit = Kit(tmp_path)

    def refuse(*anything: object) -> Path:
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr("daemon.disk.store.claim", refuse)
    path = kit.drop("cat.jpg")
    kit.pass_time(3)
    before = kit.service.snapshot().folders["hot"].refused
    path.unlink()
    kit.pass_time(70, step_s=5)

    assert (before, kit.service.snapshot().folders["hot"].refused) == (1, 0)


def test_each_reason_has_its_example_first():
    """The report holds some files only."""
    table = RefusedFiles()
    one, other = Refusal("one", "mend"), Refusal("other", "mend")
    for number in range(50):
        table.note("hot", Path(f"/hot/{number}"), one)
    table.note("hot", Path("/hot/last"), other)

    examples = table.examples("hot")
    assert [refusal for _, refusal in examples[:2]] == [one, other]
    assert len(examples) == refusals.EXAMPLES
    assert table.count("hot") == 51
