"""The units of a cluster under a real systemd: a head with the daemon, and a node. `make test-ray`.

One installation, a life in order. Tests build on one another's machines; the last one stops all.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import skimage

from daemon import __version__
from tests.system import memory_limits, ray_machines, systemd_machine
from tests.system.ray_machines import ALLOWED, DAEMON, HEAD, NET, NODE, PORT, UNITS, Member, Site
from tests.system.systemd_machine import SOURCE, WHEELS, wait_for

pytestmark = [
    *(pytest.mark.ray, pytest.mark.systemd_machine, pytest.mark.whole, pytest.mark.slow),
    pytest.mark.timeout(2400),
]

PHOTO = Path(skimage.__file__).parent / "data" / "chelsea.png"
#: On a busy machine Ray's processes take longer than it waits for them, and systemd starts anew.
PATIENCE_S = 900.0
FEW, MANY = 8, 30


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A head and a node that are installed and started as docs/cluster.md says."""
    with ray_machines.site() as found:
        found.start()
        yield found


@pytest.fixture
def serving(site: Site) -> Site:
    """Both machines have a warm worker."""
    assert wait_for(lambda: warm(site) == {1, 2}, patience_s=PATIENCE_S, pause_s=1.0), logs(site)
    return site


def logs(site: Site) -> str:
    """For a person."""
    return "\n".join((site.head.log(DAEMON), site.head.log(), site.node.log()))


def nodes(site: Site) -> dict[int, dict[str, object]]:
    """What the daemon says of each machine, by its number."""
    told = site.head.cvunetd("status", "--json")
    with suppress(ValueError, KeyError, TypeError):
        found = json.loads(told[told.index("{") :])["report"]["cluster"]["nodes"]
        return {int(node["address"].rpartition(".")[2]): node for node in found}
    return {}


def words(node: dict[str, object], key: str = "word") -> list[object]:
    """One figure of each worker of a machine."""
    workers = node["workers"]
    assert isinstance(workers, list)
    return [worker[key] for worker in workers]


def warm(site: Site) -> set[int]:
    """Numbers of the machines whose worker takes pictures."""
    return {number for number, node in nodes(site).items() if "warm" in words(node)}


def drop(site: Site, name: str, count: int) -> None:
    """Drop photos, as `mv` does: whole."""
    for number in range(count):
        part = site.share / "hot" / f".{number}.part"
        shutil.copy(PHOTO, part)
        part.rename(site.share / "hot" / f"{name}{number}.png")


def results(site: Site, name: str) -> list[str]:
    """Cut-outs whose names begin so, in all drops."""
    found = (site.share / "outputs").glob(f"outputs_*/{name}*.png")
    return sorted(path.name for path in found)


def come_out(site: Site, name: str, count: int) -> bool:
    """All of them, each once, and nothing of them is in quarantine."""
    expected = sorted(f"{name}{number}.png" for number in range(count))
    wait_for(lambda: len(results(site, name)) >= count, patience_s=PATIENCE_S)
    failed = [path.name for path in (site.share / "failed").rglob(f"{name}*.png")]
    return (results(site, name), failed) == (expected, [])


# --- the units -----------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [HEAD, NODE, DAEMON])
def test_units_are_sound(site: Site, unit: str):
    """With the drop-ins: systemd finds no fault, and little that they could do without."""
    member = site.node if unit == NODE else site.head
    verified = member.machine.process("systemd-analyze", "verify", "--man=no", f"{unit}.service")
    told = member.machine.run("systemd-analyze", "security", "--no-pager", f"{unit}.service")
    score = float(told.rpartition("exposure level for")[2].split(":")[1].split()[0])

    assert (verified.returncode, unit in verified.stdout) == (0, False), verified.stdout
    assert score <= (2.1 if unit == DAEMON else 1.8)
    assert member.property("StartLimitIntervalUSec", HEAD if unit == DAEMON else unit) == "0"


def test_both_machines_cut_pictures(serving: Site):
    """By the token that systemd hands to the units; the doctor finds no fault in either."""
    drop(serving, "first", FEW)
    told = serving.head.cvunetd("doctor")

    assert come_out(serving, "first", FEW), logs(serving)
    assert wait_for(
        lambda: all(
            sum(map(int, map(str, words(node, "done")))) for node in nodes(serving).values()
        ),
        patience_s=30.0,
    ), nodes(serving)
    checked = [line for line in told.splitlines() if f"{NET}." in line]
    assert len(checked) >= 2, told
    assert [line for line in told.splitlines() if line.startswith("fail")] == [], told
    user = serving.node.property("User")
    assert (user, serving.head.property("User")) == ("cvunetd", "cvunetd")


# --- who gets in ---------------------------------------------------------------------------------


def open_ports(member: Member) -> list[int]:
    """Ports on which a process of the user listens on all addresses."""
    told = member.machine.run("ss", "--tcp", "--listening", "--numeric", "--no-header")
    places = [line.split()[3] for line in told.splitlines()]
    return sorted(
        {int(place.rpartition(":")[2]) for place in places if place.startswith(("*", "0.0.0.0"))}
    )


def test_stranger_is_shut_out(serving: Site):
    """Ray listens on all addresses; the firewall of the units drops what is not let in."""
    ports = {member: open_ports(member) for member in (serving.head, serving.node)}
    pairs = [(member, port) for member, found in ports.items() for port in found]
    heard = [pair for pair in pairs if serving.answers(pair[0].address, pair[1])]
    by_node = serving.answers(serving.head.address, PORT, asked_by=serving.node)
    by_head = serving.answers(serving.node.address, 6380, asked_by=serving.head)

    assert PORT in ports[serving.head]
    assert {6380, 6381} <= set(ports[serving.node])
    assert heard == []
    assert (by_node, by_head) == (True, True)


def test_it_is_the_firewall_that_shuts_out(serving: Site):
    """The same stranger gets in as soon as the unit lets in its address."""
    heard = []
    for allowed in (ALLOWED, f"{NET}.0/24", ALLOWED):
        lines = (f"IPAddressAllow={which}" for which in ("", "localhost", allowed))
        serving.head.systemctl("set-property", "--runtime", f"{HEAD}.service", *lines)
        heard.append(serving.answers(serving.head.address, PORT))

    assert heard == [False, True, False]


def test_node_with_another_token_is_no_member(serving: Site):
    """It is let in by its address, and refused by its token; with the right one it joins again."""
    place = serving.node.machine.path("/etc/cvunetd/ray-token")
    token = place.read_text(encoding="utf-8")
    place.write_text("0" * 64, encoding="utf-8")
    serving.node.systemctl("restart", NODE)
    try:
        refused = wait_for(
            lambda: (
                "InvalidAuthToken" in serving.node.log() or "UNAUTHENTICATED" in serving.node.log()
            ),
            patience_s=PATIENCE_S,
            pause_s=1.0,
        )
        # The daemon reports every few seconds.
        is_out = wait_for(lambda: 2 not in warm(serving), patience_s=PATIENCE_S, pause_s=1.0)
    finally:
        place.write_text(token, encoding="utf-8")
        serving.node.systemctl("restart", NODE)

    assert refused, serving.node.log()
    assert is_out, logs(serving)
    assert wait_for(lambda: warm(serving) == {1, 2}, patience_s=PATIENCE_S, pause_s=1.0)


# --- restarts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [NODE, HEAD])
def test_restart_among_photos(serving: Site, unit: str):
    """Each photo comes out once, and both machines work again."""
    name = "node" if unit == NODE else "head"
    member = serving.node if unit == NODE else serving.head
    drop(serving, name, MANY)
    assert wait_for(lambda: len(results(serving, name)) >= 3, patience_s=PATIENCE_S), logs(serving)
    before = results(serving, name)
    member.systemctl("restart", unit)

    assert len(before) < MANY
    assert come_out(serving, name, MANY), logs(serving)
    assert wait_for(lambda: warm(serving) == {1, 2}, patience_s=PATIENCE_S, pause_s=1.0), logs(
        serving
    )


def test_worker_without_memory_does_not_end_its_node(serving: Site):
    """Killed as the kernel does it, it is replaced beside the same Ray."""
    node = serving.node
    before = [node.property(name) for name in ("MainPID", "NRestarts")]
    [worker] = node.machine.run("pgrep", "--full", "^ray::NodeWorker").split()
    node.machine.run("kill", "-KILL", worker)
    memory_limits.tell_systemd(node.machine, f"{NODE}.service")
    lost = wait_for(lambda: 2 not in warm(serving), patience_s=PATIENCE_S)
    drop(serving, "without", FEW)

    assert lost, nodes(serving)
    assert come_out(serving, "without", FEW), logs(serving)
    assert wait_for(lambda: warm(serving) == {1, 2}, patience_s=PATIENCE_S, pause_s=1.0), logs(
        serving
    )
    assert [node.property(name) for name in ("MainPID", "NRestarts")] == before, node.log()


def test_upgrade_node_by_node(serving: Site):
    """The node first: it is not used, and says why. The daemon next: both work. Nothing is lost."""
    newer = "0.1.999"
    for member in (serving.node, serving.head):
        source = member.machine.path(SOURCE)
        place = source / "daemon/__init__.py"
        text = place.read_text(encoding="utf-8")
        place.write_text(text.replace(__version__, newer), encoding="utf-8")
        shutil.rmtree(member.machine.path(WHEELS))
        systemd_machine.build_wheel(source, member.machine.path(WHEELS))

    drop(serving, "before", FEW)
    serving.node.systemctl("stop", NODE)
    serving.node.upgrade()
    serving.node.systemctl("start", NODE)
    told = wait_for(
        lambda: newer in str(nodes(serving).get(2, {}).get("workers")),
        patience_s=PATIENCE_S,
        pause_s=1.0,
    )
    assert told, (nodes(serving), logs(serving))
    drop(serving, "during", FEW)
    during = come_out(serving, "before", FEW) and come_out(serving, "during", FEW)
    serving.head.systemctl("stop", DAEMON)
    serving.head.upgrade()
    serving.head.systemctl("start", DAEMON)
    drop(serving, "after", FEW)

    assert during, logs(serving)
    assert come_out(serving, "after", FEW), logs(serving)
    assert wait_for(lambda: 2 in warm(serving), patience_s=PATIENCE_S, pause_s=1.0), logs(serving)
    for member in (serving.node, serving.head):
        found = member.machine.path("/opt/cvunetd/lib").glob("python*/site-packages/daemon")
        assert [newer in (path / "__init__.py").read_text("utf-8") for path in found] == [True]


# --- ends ----------------------------------------------------------------------------------------


def test_node_waits_for_its_head(serving: Site):
    """Ray tries again and again, and so does systemd: it joins a head that is back."""
    serving.head.systemctl("stop", DAEMON, HEAD)
    serving.node.systemctl("restart", NODE)
    tried = wait_for(
        lambda: serving.node.log().count("Failed to connect to GCS") >= 2,
        patience_s=PATIENCE_S,
        pause_s=1.0,
    )
    state = serving.node.property("ActiveState")
    serving.head.systemctl("start", HEAD, DAEMON)

    assert tried, serving.node.log()
    assert state in ("active", "activating")
    assert wait_for(lambda: 2 in warm(serving), patience_s=PATIENCE_S, pause_s=1.0), logs(serving)


def test_stop_leaves_nothing(serving: Site):
    """No process, no socket, no object in shared memory, no part; each unit has ended well."""
    serving.head.systemctl("stop", DAEMON)
    serving.node.systemctl("stop", NODE)
    serving.head.systemctl("stop", HEAD)
    ends = {
        unit: (member.property("ActiveState", unit), member.property("Result", unit))
        for member, unit in (
            (serving.head, DAEMON),
            (serving.head, HEAD),
            (serving.node, NODE),
        )
    }
    members = (serving.head, serving.node)

    assert set(ends.values()) == {("inactive", "success")}, ends
    assert [command for member in members for command in member.commands()] == []
    for member in members:
        left = member.machine.run("ls", "-A", "/dev/shm", "/run/cvunetd-ray", check=False)
        assert "plasma" not in left, left
        assert "cannot access '/run/cvunetd-ray'" in left, left
    assert [path.name for path in serving.share.rglob("*.part")] == []
    assert serving.head.machine.path(f"{UNITS}/{HEAD}.service").exists()
