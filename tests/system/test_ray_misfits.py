"""Nodes of a real cluster that do not fit: each is told by `status`, `doctor` and the journal."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.daemon_process import WEIGHTS, Daemon, wait_for
from tests.system.ray_kit import Site, program, settings, site
from tests.torture.ray_nodes import ONE_SHARE, PORT, Machine

pytestmark = [
    pytest.mark.ray,
    pytest.mark.root,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        os.environ.get("CVUNETD_RAY") != "whole", reason="takes minutes: make test-ray"
    ),
]
LATE = "\nimport types\ntime = types.SimpleNamespace(time=lambda real=time.time: real() - 60.0)\n"
GPUS = ("--num-gpus=2",)
PHOTOS = 4


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A head with the daemon beside it, a node that works, and a machine that becomes one node
    after the other.
    """
    with site(tmp_path_factory.mktemp("site"), 2, device="auto") as opened:
        opened.cluster.nodes[0].start_node(opened.cluster.head)
        opened.daemon.wait_ready()
        yield opened
        assert opened.daemon.terminate() == 0


def with_another_version(machine: Machine, base: Path) -> None:
    """Upgraded before the daemon was."""
    ends = {"__init__.py": '\n__version__ = "9.9"\n'}
    machine.code = program(base / "newer", ends=ends)


def with_a_late_clock(machine: Machine, base: Path) -> None:
    """Its program reads a clock that is a minute behind."""
    machine.code = program(base / "late", ends={"worker/engines/cluster/node_checks.py": LATE})


def with_other_weights(machine: Machine, base: Path) -> None:
    """Another file lies where ours does."""
    other = base / "other.pth"
    other.write_bytes(WEIGHTS.read_bytes() + b"\0")
    machine.before = f"mount --bind {other} {WEIGHTS}"


def without_the_share(machine: Machine, base: Path) -> None:
    """It was never mounted."""
    machine.before = f"umount --lazy {base / 'share'}"


def as_it_should_be(machine: Machine, base: Path) -> None:
    """Nothing else is changed."""


Change = Callable[[Machine, Path], None]


@pytest.mark.parametrize(
    ("change", "offers", "text", "mend"),
    [
        (
            with_another_version,
            (ONE_SHARE,),
            "runs cvunetd 9.9",
            "pip install cvunet-daemon[ray]==",
        ),
        (with_a_late_clock, (ONE_SHARE,), "its clock is at least", "timedatectl set-ntp true"),
        (with_other_weights, (ONE_SHARE,), "is not the same file there", f"copy {WEIGHTS} to"),
        (without_the_share, (ONE_SHARE,), "No such file or directory", "mount it there"),
        (as_it_should_be, GPUS, "Ray has a GPU for it", "nvidia-smi must list the GPU"),
    ],
    ids=["version", "clock", "weights", "share", "gpu"],
)
def test_node_that_does_not_fit(
    opened: Site, change: Change, offers: tuple[str, ...], text: str, mend: str
):
    """It loads no model and gets no picture; the reason and what mends it are told everywhere."""
    if offers is GPUS and Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has a GPU")
    machine = opened.cluster.nodes[1]
    machine.code, machine.before = Machine.code, Machine.before
    change(machine, opened.base)
    machine.start_node(opened.cluster.head, offers=offers)
    try:
        assert wait_for(lambda: text in opened.why(machine), pause_s=1.0), opened.told()
        assert mend in opened.why(machine)
        assert any(
            machine.address in line and "is not used" in line and text in line and mend in line
            for line in opened.told().splitlines()
        )
        doctor = opened.call("doctor")
        told = [line for line in doctor.splitlines() if line.startswith("fail  node ")]
        assert any(text in line for line in told), doctor
        assert mend in doctor
        opened.drop(PHOTOS)
        assert wait_for(opened.is_through), opened.told()
        assert opened.ground.quarantined() == []
    finally:
        machine.kill()
    assert wait_for(lambda: not opened.node(machine), pause_s=1.0), opened.told()


def other_ray(base: Path) -> str:
    """Ray of another number: links to ours, with another version in it; what to look in."""
    found = importlib.util.find_spec("ray")
    assert found is not None
    assert found.origin is not None
    place = base / "other-ray" / "ray"
    shutil.copytree(
        Path(found.origin).parent,
        place,
        copy_function=os.symlink,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (place / "_version.py").unlink()
    (place / "_version.py").write_text('commit = "other"\nversion = "2.59.0"\n')
    return str(place.parent)


def test_node_with_another_ray(opened: Site):
    """It does not join: Ray itself refuses it, and says why where it was started."""
    machine = opened.cluster.nodes[1]
    machine.before = Machine.before
    machine.code = f"{other_ray(opened.base)}:{Machine.code}"
    machine.start(f"--address={opened.cluster.head.address}:{PORT}", ONE_SHARE)

    assert wait_for(machine.has_ended, patience_s=120.0)
    assert "Version mismatch" in machine.told()
    assert "Ray: 2.59.0" in machine.told()
    assert opened.node(machine) == {}
    machine.kill()


def test_daemon_with_another_ray(opened: Site, tmp_path: Path):
    """Exit 78 with both versions and what to do; no picture is touched."""
    head = opened.cluster.head
    path = f"{other_ray(tmp_path)}:{Machine.code}"
    wanted = settings(opened.cluster, opened.ground, "cpu") | {
        "folders": [{"path": str(tmp_path / "hot"), "name": "hot"}],
        "output": {"root": str(tmp_path / "outputs")},
        "quarantine_dir": str(tmp_path / "failed"),
    }
    daemon = Daemon(tmp_path, wanted, wrapper=head.wrapper, extra_environment={"PYTHONPATH": path})

    assert daemon.process.wait(180) == 78, daemon.told()
    assert "runs Ray 2.60" in daemon.told()
    assert "and this machine Ray 2.59.0 on Python" in daemon.told()
    assert "install the same on all machines" in daemon.told()
