"""What goes wrong on one node of a real cluster while the others go on: no picture pays for it."""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.daemon_process import wait_for
from tests.system.ray_kit import PATIENCE_S, Site, site
from tests.system.ray_orders import ORDER, runs_of
from tests.torture.ray_nodes import Machine
from tests.torture.tally import digest

pytestmark = [pytest.mark.ray, pytest.mark.root, pytest.mark.timeout(600)]
#: What takes minutes; `make test-ray` runs it.
whole = pytest.mark.skipif(
    os.environ.get("CVUNETD_RAY") != "whole", reason="takes a minute: make test-ray"
)
PHOTOS = 12
SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")
#: What is told of a picture whose worker was killed for the fourth time.
KILLED_OFTEN = "ended from outside: by kill -9, or for lack of memory; 4 times by now"
#: As the unit starts a machine with GPUs: a worker for each of them, and none for its CPU.
NO_SHARES = ('--resources={"cvunetd":0}', "--num-gpus=2")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two nodes that do wrong what they are ordered, with a warm worker each; one cluster for all
    tests, because it takes half a minute to start.
    """
    with site(tmp_path_factory.mktemp("site"), 3, obey=True) as opened:
        for node in opened.cluster.nodes[:2]:
            node.start_node(opened.cluster.head)
        opened.daemon.wait_ready()
        yield opened
        assert opened.daemon.terminate() == 0


@pytest.fixture
def site_(opened: Site) -> Iterator[Site]:
    """Both workers warm at the beginning, and all pictures once at the end.

    Each does a picture first: the next fault is then the first one in a row.
    """
    opened.wait_warm(*opened.cluster.nodes[:2])
    opened.drop(PHOTOS // 2)
    published(opened)
    yield opened
    opened.order_all("")
    assert wait_for(opened.is_through, patience_s=PATIENCE_S), opened.told()
    row = opened.ground.row("all")
    assert row.is_clean, row


@pytest.fixture
def faulty(site_: Site) -> Machine:
    """The node on which something goes wrong."""
    return site_.cluster.nodes[0]


def is_replaced(site_: Site, machine: Machine, before: list[int]) -> bool:
    """Another process is the worker of that node."""
    now = machine.actors()
    return bool(now) and not set(now) & set(before)


def published(site_: Site) -> None:
    """Everything that was dropped is done, and nothing was rejected."""
    assert wait_for(site_.is_through, patience_s=PATIENCE_S), site_.told()
    assert site_.ground.quarantined() == [], site_.told()


@whole
def test_worker_that_is_stopped(site_: Site, faulty: Machine):
    """SIGSTOP: it says nothing more. Its pictures go to the other node, and it is replaced."""
    before = faulty.actors()
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    site_.drop(PHOTOS)

    published(site_)
    assert wait_for(lambda: is_replaced(site_, faulty, before)), site_.told()
    assert "has not answered for 6 s" in site_.told()


@pytest.mark.parametrize("order", ["text", pytest.param("function", marks=whole)])
def test_worker_that_answers_nonsense(site_: Site, faulty: Machine, order: str):
    """It is replaced, and no picture is blamed."""
    before = faulty.actors()
    site_.order(faulty, order)
    site_.drop(PHOTOS)

    published(site_)
    assert "answered nonsense" in site_.told()
    site_.order(faulty, "")
    assert wait_for(lambda: is_replaced(site_, faulty, before)), site_.told()


SHARES = {
    "unmounted": (("umount", "--lazy"), ("mount", "--bind")),
    "empty": (("mount", "-t", "tmpfs", "empty"), ("umount",)),
    "read-only": (("mount", "-o", "remount,bind,ro"), ("mount", "-o", "remount,bind,rw")),
}


@pytest.mark.parametrize(
    "how", ["unmounted", pytest.param("empty", marks=whole), pytest.param("read-only", marks=whole)]
)
def test_share_that_is_gone_on_one_node(site_: Site, faulty: Machine, how: str):
    """That node is not used, and says how to mend it; it is used again when the share is back."""
    away, back = SHARES[how]
    before_drop = site_.ground.arrived()
    share = str(site_.share)
    before = faulty.actors()
    site_.order(faulty, "slow 3")  # it has pictures when its share goes
    site_.drop(PHOTOS)
    assert wait_for(lambda: site_.ground.arrived() > before_drop, patience_s=PATIENCE_S)
    faulty.on_mounts(*away, share)

    published(site_)
    assert wait_for(lambda: site_.words(faulty) == ["off"], pause_s=1.0), site_.told()
    expected = "give Ray's user the right to write" if how == "read-only" else "mount it there"
    assert wait_for(lambda: expected in site_.why(faulty), pause_s=1.0), site_.why(faulty)
    faulty.on_mounts(*back, *((str(site_.base / "real"),) if how == "unmounted" else ()), share)
    site_.wait_warm(faulty)
    assert faulty.actors() == before  # its model stayed warm


@whole
@pytest.mark.skipif(
    shutil.which("sshfs") is None or not SFTP_SERVER.exists(), reason="no sshfs, no sftp-server"
)
def test_share_by_another_protocol(site_: Site, faulty: Machine):
    """By SFTP it has another device number, other inodes, and times in whole seconds; by NFS and
    SMB some of that. Its worker's results count all the same, and nothing in it holds the mount.
    """
    before = runs(site_)
    faulty.on_mounts("umount", "--lazy", str(site_.share))
    with by_sftp(faulty, site_.base / "real", site_.share):
        site_.drop(PHOTOS)
        published(site_)
    during = runs(site_)
    site_.drop(PHOTOS)
    published(site_)
    after = runs(site_)

    assert during[faulty.number] > before[faulty.number]
    assert after[faulty.number] > during[faulty.number]
    assert sum(after.values()) - sum(before.values()) == 2 * PHOTOS  # none was made again


@contextmanager
def by_sftp(machine: Machine, there: Path, here: Path) -> Iterator[None]:
    """A folder, mounted on a machine by a protocol with a server of its own; no network."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = subprocess.Popen([str(SFTP_SERVER)], stdin=theirs.fileno(), stdout=theirs.fileno())
        options = "passive,dir_cache=no,attr_timeout=0,entry_timeout=0"
        command = ["sshfs", "-f", "-o", options, f":{there}", str(here)]
        client = subprocess.Popen(
            machine.with_mounts(*command), stdin=ours.fileno(), stdout=ours.fileno()
        )
    try:
        listing = machine.with_mounts("test", "-d", str(here / "hot"))
        assert wait_for(lambda: subprocess.run(listing, check=False).returncode == 0)
        yield
    finally:
        client.terminate()  # it unmounts what it has mounted
        client.wait(30)
        server.wait(30)
        machine.on_mounts("mount", "--bind", str(there), str(here))


def runs(site_: Site) -> dict[int, int]:
    """How often a picture was begun on each machine, by its number: sooner than `status` has it."""
    counts = {}
    for node in site_.cluster.nodes:
        file = runs_of(node.extra[ORDER])
        counts[node.number] = len(file.read_text().splitlines()) if file.exists() else 0
    return counts


@whole
def test_stage_that_never_ends(site_: Site, faulty: Machine):
    """It answers and gets nowhere: it is replaced, and its pictures go to the other node."""
    before = faulty.actors()
    site_.order(faulty, "endless")
    site_.drop(PHOTOS)

    assert wait_for(lambda: "it makes no progress: finish of" in site_.told()), site_.told()
    site_.order(faulty, "")
    published(site_)
    assert wait_for(lambda: is_replaced(site_, faulty, before)), site_.told()


@whole
def test_worker_that_computes_for_ever(site_: Site, faulty: Machine):
    """It answers nothing while it does: as one that is stopped."""
    before = faulty.actors()
    site_.order(faulty, "spin")
    site_.drop(PHOTOS)

    assert wait_for(lambda: is_replaced(site_, faulty, before)), site_.told()
    site_.order(faulty, "")
    published(site_)


@whole
@pytest.mark.parametrize("order", ["unknown", "fields", "another"])
def test_worker_that_answers_for_something_else(site_: Site, faulty: Machine, order: str):
    """Of an unknown kind, with wrong fields, for another picture: it is replaced."""
    before = faulty.actors()
    site_.order(faulty, order)
    site_.drop(PHOTOS)

    published(site_)
    site_.order(faulty, "")
    assert wait_for(lambda: is_replaced(site_, faulty, before)), site_.told()


@whole
def test_each_gpu_has_a_worker(site_: Site):
    """Ray only counts them. Each worker sees its own, and computes on the CPU, as it is told to."""
    third = site_.cluster.nodes[2]
    third.start_node(site_.cluster.head, offers=NO_SHARES)
    site_.wait_warm(third)
    site_.drop(PHOTOS)

    published(site_)
    assert len(third.actors()) == 2
    assert sorted(Path(f"{third.extra[ORDER]}.devices").read_text().split()) == ["0", "1"]
    third.kill()
    assert wait_for(lambda: not site_.node(third), pause_s=1.0), site_.told()


@whole
def test_picture_whose_worker_is_killed(site_: Site):
    """By somebody else, four times: that is no attempt of the picture, and it comes out."""
    victim = site_.photos(1)[0]
    site_.ground.expect(victim)
    site_.order_all(f"kill {digest(victim)}")
    site_.put([victim])
    site_.drop(PHOTOS)

    assert wait_for(
        lambda: f"will retry {victim.name}" in site_.told() and KILLED_OFTEN in site_.told(),
        patience_s=2 * PATIENCE_S,
    ), site_.told()
    site_.order_all("")
    published(site_)


@whole
def test_picture_that_crashes_workers(site_: Site):
    """On three nodes: alone from its second start on, rejected after three, nobody else blamed."""
    third = site_.cluster.nodes[2]
    third.start_node(site_.cluster.head)
    site_.wait_warm(*site_.cluster.nodes)
    killer = site_.photos(1)[0]
    site_.ground.expect_bad(killer)
    site_.order_all(f"crash {digest(killer)}")
    site_.put([killer])
    site_.drop(PHOTOS)

    assert wait_for(site_.is_through, patience_s=PATIENCE_S), site_.told()
    assert [path.name for path in site_.ground.quarantined()] == [killer.name], site_.told()
    reason = json.loads(site_.ground.quarantined()[0].with_suffix(".png.json").read_text())
    assert reason["attempts"] == 3
    assert "its process has crashed: Segmentation fault" in reason["reason"]
