"""The ways in which pictures reach a hot folder, by real servers and their own clients.

`make test-ways` sends 50 photos a way and waits a minute before it resumes; CI sends few of them
and waits less.
"""

import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.system.daemon_process import Daemon, wait_for
from tests.torture.daemons import folder_settings, real_daemon
from tests.ways.synced import Syncthing
from tests.ways.ways import Ftp, Rsync, RsyncInPlace, Samba, Scp, Sftp, Sshfs, Way, WebDav

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

IS_WHOLE = os.environ.get("CVUNETD_WAYS") == "whole"
PHOTOS = 50 if IS_WHOLE else 8
PAUSE_S = 60.0 if IS_WHOLE else 4.0
"""Between the end of a connection and its client's return; shorter than `defer_s`."""
DEFER_S = 120.0 if IS_WHOLE else 30.0
WAYS: tuple[type[Way], ...] = (
    *(Samba, Sftp, Scp, Rsync, RsyncInPlace, Ftp, WebDav, Syncthing),
    Sshfs,
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Different photos of some 40 kB: noise compresses badly."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    made = []
    for number in range(PHOTOS + 1):
        pixels = random.integers(0, 256, (40, 60, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        made.append(folder / f"photo{number:02}.jpg")
        Image.fromarray(pixels).save(made[-1], quality=90)
    return made


@pytest.fixture(scope="module")
def service() -> Iterator[Daemon]:
    """One daemon with a hot folder for each way, where other users may pass too."""
    with tempfile.TemporaryDirectory(prefix="cvunetd-ways-") as folder:
        Path(folder).chmod(0o755)
        yield from serving(Path(folder))


def serving(base: Path) -> Iterator[Daemon]:
    """A daemon, and its end."""
    settings = [folder_settings(way.name, settle_s=2.0, defer_s=DEFER_S) for way in WAYS]
    for folder in settings:
        (base / str(folder["path"])).mkdir(parents=True)
    daemon = real_daemon(base, settings)
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.kill()


def digest(path: Path) -> str:
    """Of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def archived(base: Path, name: str) -> Counter[str]:
    """The contents of all originals of a hot folder, with how often each is there."""
    found = (base / "outputs" / name).glob("*/originals/**/*")
    return Counter(digest(path) for path in found if path.is_file())


def littered(hot: Path, way: type[Way]) -> list[str]:
    """What lies in a hot folder and is neither ours nor the server's."""
    return sorted(
        path.relative_to(hot).as_posix()
        for path in hot.rglob("*")
        if path.relative_to(hot).parts[0] not in {".cvunetd", *way.left}
    )


@pytest.mark.root
@pytest.mark.ways
@pytest.mark.parametrize("kind", WAYS, ids=lambda kind: kind.name)
def test_way(kind: type[Way], service: Daemon, photos: list[Path], tmp_path: Path) -> None:
    """Each photo comes out once and whole, also one that broke off and one that was overwritten."""
    absent = [name for name in kind.programs if shutil.which(name, path=SEARCHED) is None]
    if absent:
        pytest.fail(f"{', '.join(absent)} is not installed: make apt-ways", pytrace=False)
    *whole, broken, overwritten, last = photos
    hot = service.base / "hot" / kind.name
    way = kind(tmp_path, hot)
    way.start()
    try:
        way.send(whole)
        way.send_as(overwritten, last.name)
        way.send([last])  # over the one before, while that one settles
        way.break_off(broken)
        wait_for(lambda: False, patience_s=PAUSE_S)  # as long as the client is away
        early = service.quarantined()
        way.resume(broken)
        wanted = {digest(photo) for photo in (*whole, broken, last)}
        assert wait_for(lambda: wanted <= set(archived(service.base, kind.name))), (
            f"{len(wanted - set(archived(service.base, kind.name)))} photos are missing"
        )
        assert wait_for(lambda: not littered(hot, kind)), littered(hot, kind)
    finally:
        way.stop()
    came = archived(service.base, kind.name)
    twice = {key: count for key, count in came.items() if count > 1}
    strangers = set(came) - wanted - {digest(overwritten)}  # which may have settled in time
    assert (twice, strangers, early, service.quarantined()) == ({}, set(), set(), set())


SEARCHED = f"{os.environ['PATH']}:/usr/sbin:/sbin"
