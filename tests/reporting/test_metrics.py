"""What Prometheus is told: from a snapshot, from a real service, and checked by its own tools."""

import copy
import dataclasses
import json
import re
import subprocess
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon import __version__
from daemon.disk import free_space
from daemon.notices import HookState
from daemon.reporting.endpoint import Page
from daemon.reporting.latest_snapshot import LatestSnapshot
from daemon.reporting.report import FolderState, Snapshot
from daemon.worker.gauges import Load, Memory, Timings
from tests.service.service_kit import Kit

PROMETHEUS = Path(__file__).parents[2] / "packaging/prometheus"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"
NOW = 1_800_000_000.0
SAMPLE = re.compile(r"(?P<name>[a-z_]+)(?P<labels>\{.*\})? (?P<value>\S+)")

pytestmark = pytest.mark.metrics


def histogram(*seconds: float) -> Any:  # Any: of the module under test
    """Of some times."""
    timings = Timings()
    for one in seconds:
        timings.add(one)
    return timings.histogram


SNAPSHOT = Snapshot(
    device="cuda:0",
    running=1,
    queued=2,
    settling=3,
    done=4,
    failed=5,
    found_by={"event": 4},
    standby={"scans": "disk full"},
    polled={"hot": "no watch left"},
    queue_size=64,
    folders={
        "hot": FolderState(
            "/hot", "/", 7, NOW - 90, 2, 1, {"done": 4, "failed": 5}, {"event": 4}, 3
        ),
        "scans": FolderState("/scans", "/", 0, None, 0, 0, {"done": 0, "failed": 0}, {"event": 0}),
    },
    memory={"cuda:0": Memory(100, 1000)},
    load={"cuda:0": Load(threads=1, busy_s=2.5, batches=4, pictures=20)},
    inside={"decode": 3, "network": 8},
    stages={"decode": histogram(0.02, 0.3)},
    pictures=histogram(2.0),
    hooks={"on_done:shop": HookState(waiting=3, delivered=7, failed=1, retried=2, dropped=4)},
)


def pages(
    latest_snapshot: LatestSnapshot, places: Mapping[str, Path] | None = None
) -> dict[str, Page]:
    """As the daemon serves them; the clocks stand still."""
    from daemon.reporting import metrics

    clock = metrics.Clock(monotonic=lambda: 100.0, now=lambda: NOW)
    return metrics.pages(latest_snapshot, places=places or {}, clock=clock)


def told(
    latest_snapshot: LatestSnapshot, places: Mapping[str, Path] | None = None
) -> dict[str, float]:
    """Samples by name and labels."""
    answer = pages(latest_snapshot, places)["/metrics"]("")
    found = map(SAMPLE.fullmatch, answer.body.decode().splitlines())
    return {one["name"] + (one["labels"] or ""): float(one["value"]) for one in found if one}


@pytest.fixture
def latest_snapshot() -> LatestSnapshot:
    """The snapshot above, ten seconds old."""
    latest_snapshot = LatestSnapshot()
    latest_snapshot.post(SNAPSHOT, 90.0)
    return latest_snapshot


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        (f'cvunetd_info{{device="cuda:0",version="{__version__}"}}', 1),
        ("cvunetd_ready", 1),
        ("cvunetd_loop_age_seconds", 10),
        ('cvunetd_pictures_total{folder="hot",outcome="done"}', 4),
        ('cvunetd_pictures_total{folder="hot",outcome="failed"}', 5),
        ('cvunetd_pictures_total{folder="scans",outcome="failed"}', 0),
        ('cvunetd_found_total{folder="hot",found_by="event"}', 4),
        ('cvunetd_jobs{folder="hot",state="queued"}', 2),
        ('cvunetd_jobs{folder="hot",state="running"}', 1),
        ("cvunetd_queue_size", 64),
        ('cvunetd_hook_notices_total{hook="on_done:shop",outcome="delivered"}', 7),
        ('cvunetd_hook_notices_total{hook="on_done:shop",outcome="failed"}', 1),
        ('cvunetd_hook_notices_total{hook="on_done:shop",outcome="retried"}', 2),
        ('cvunetd_hook_notices_total{hook="on_done:shop",outcome="dropped"}', 4),
        ('cvunetd_hook_waiting{hook="on_done:shop"}', 3),
        ("cvunetd_settling", 3),
        ('cvunetd_unclaimed{folder="hot"}', 7),
        ('cvunetd_ignored{folder="hot"}', 3),
        ('cvunetd_oldest_unclaimed_seconds{folder="hot"}', 90),
        ('cvunetd_oldest_unclaimed_seconds{folder="scans"}', 0),
        ('cvunetd_folder_standby{folder="hot"}', 0),
        ('cvunetd_folder_standby{folder="scans"}', 1),
        ('cvunetd_folder_polled{folder="hot"}', 1),
        ('cvunetd_device_memory_bytes{device="cuda:0"}', 100),
        ('cvunetd_device_memory_total_bytes{device="cuda:0"}', 1000),
        ('cvunetd_device_threads{device="cuda:0"}', 1),
        ('cvunetd_device_busy_seconds_total{device="cuda:0"}', 2.5),
        ('cvunetd_batches_total{device="cuda:0"}', 4),
        ('cvunetd_batch_pictures_total{device="cuda:0"}', 20),
        ('cvunetd_inside{stage="network"}', 8),
        ('cvunetd_stage_seconds_bucket{le="0.01",stage="decode"}', 0),
        ('cvunetd_stage_seconds_bucket{le="0.025",stage="decode"}', 1),
        ('cvunetd_stage_seconds_bucket{le="0.25",stage="decode"}', 1),
        ('cvunetd_stage_seconds_bucket{le="+Inf",stage="decode"}', 2),
        ('cvunetd_stage_seconds_count{stage="decode"}', 2),
        ('cvunetd_stage_seconds_sum{stage="decode"}', 0.32),
        ("cvunetd_picture_seconds_count", 1),
    ],
)
def test_figures(latest_snapshot: LatestSnapshot, sample: str, value: float):
    """By name and label: dashboards and alerts rely on them."""
    assert told(latest_snapshot)[sample] == value


def test_disks(latest_snapshot: LatestSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By what they are for; one that cannot be asked leaves a gap and hides nothing else."""
    dead = tmp_path / "dead"
    dead.mkdir()
    ask = free_space.free_bytes

    def free_bytes(folder: Path) -> int:
        if folder == dead:
            raise OSError(116, "Stale file handle", str(folder))
        return ask(folder)

    monkeypatch.setattr(free_space, "free_bytes", free_bytes)
    unmounted = tmp_path / "of a disk" / "that is gone"
    places = {"state": tmp_path, "quarantine": dead, "output of cards": unmounted}
    found = told(latest_snapshot, places)
    told_of = {name for name in found if name.startswith("cvunetd_free_bytes")}

    assert told_of == {
        f'cvunetd_free_bytes{{path="{tmp_path}",place="state"}}',
        'cvunetd_free_bytes{path="/",place="output of hot"}',
        'cvunetd_free_bytes{path="/",place="output of scans"}',
    }
    assert all(found[name] > 0 for name in told_of)


def test_process(latest_snapshot: LatestSnapshot):
    """Its memory, time and files come with the library."""
    assert told(latest_snapshot)["process_resident_memory_bytes"] > 1e6


def test_model_that_loads():
    """Not ready; nothing is claimed of pictures."""
    found = told(LatestSnapshot())

    assert found["cvunetd_ready"] == 0
    assert not [name for name in found if name.startswith("cvunetd_pictures")]


@pytest.mark.parametrize("accept", ["", OPEN_METRICS, "text/plain;version=0.0.4", "*/*"])
def test_format_is_what_is_asked_for(latest_snapshot: LatestSnapshot, accept: str):
    """Prometheus's own text, or OpenMetrics with its end mark."""
    answer = pages(latest_snapshot)["/metrics"](accept)

    assert answer.status == HTTPStatus.OK
    assert answer.body.endswith(b"# EOF\n") == answer.content_type.startswith("application/")


@pytest.mark.parametrize(
    ("path", "snapshot", "status", "body"),
    [
        ("/healthz", SNAPSHOT, 200, b"alive\n"),
        ("/readyz", SNAPSHOT, 200, b"ready\nfolder scans stands by: disk full\n"),
        ("/readyz", None, 503, b"the model is loading\n"),
        ("/healthz", None, 200, b"the model is loading\n"),
    ],
)
def test_health(path: str, snapshot: Snapshot | None, status: int, body: bytes):
    """200 or 503 with the reason."""
    latest_snapshot = LatestSnapshot()
    if snapshot is not None:
        latest_snapshot.post(snapshot, 99.0)
    answer = pages(latest_snapshot)[path]("")

    assert (answer.status, answer.body) == (status, body)


def test_odd_names_are_escaped():
    """A reason may name a file, and a file anything."""
    latest_snapshot = LatestSnapshot()
    latest_snapshot.post(dataclasses.replace(SNAPSHOT, standby={"hot": "a\x1b[2J\udcff"}), 99.0)

    assert rb"a\x1b[2J\udcff" in pages(latest_snapshot)["/readyz"]("").body


def test_real_service(tmp_path: Path):
    """What its snapshot holds reaches the figures."""
    kit, latest_snapshot = Kit(tmp_path), LatestSnapshot()
    kit.drop("cat.jpg")
    kit.pass_time(3)
    latest_snapshot.post(kit.service.snapshot(), 99.0)
    found = told(latest_snapshot)

    assert found['cvunetd_pictures_total{folder="hot",outcome="done"}'] == 1
    assert found['cvunetd_stage_seconds_count{stage="decode"}'] == 1
    assert found["cvunetd_picture_seconds_count"] == 1


# --- what ships beside it -----------------------------------------------------------------------


def expressions() -> list[str]:
    """Those of the dashboard, its variables filled in."""
    dashboard = json.loads((PROMETHEUS / "dashboard.json").read_text(encoding="utf-8"))
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [one.replace("$__rate_interval", "5m").replace("$instance", ".*") for one in found]


def alerts() -> list[str]:
    """Their expressions."""
    rules = yaml.safe_load((PROMETHEUS / "cvunetd.rules.yml").read_text(encoding="utf-8"))
    return [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def promtool(*arguments: str | Path) -> None:
    """Fails with what it says."""
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_dashboard_and_alerts_ask_for_what_is_told(latest_snapshot: LatestSnapshot):
    """A figure that was renamed would leave an empty panel, or an alert that never comes."""
    names = {sample.partition("{")[0] for sample in told(latest_snapshot, {"state": PROMETHEUS})}
    asked = {
        name
        for one in [*expressions(), *alerts()]
        for name in re.findall(r"\b(?:cvunetd|process)_[a-z_]+", one)
    }

    assert len(asked) > 10
    assert asked - names == set()


def test_dashboard_is_whole():
    """No panel lies on another, each says where its figures come from, and in which unit."""
    panels = json.loads((PROMETHEUS / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in panels)


def test_there_are_three_alerts():
    """Each with what to do."""
    assert len(alerts()) == 3
    assert (PROMETHEUS / "cvunetd.rules.yml").read_text().count("Run: ") == 3


@pytest.mark.promtool
def test_alerts_are_valid():
    """A real Prometheus takes them."""
    promtool("check", "rules", PROMETHEUS / "cvunetd.rules.yml")


@pytest.mark.promtool
def test_alerts_fire_when_they_should():
    """And only then: promtool steps through an hour."""
    promtool("test", "rules", PROMETHEUS / "cvunetd.test.yml")


@pytest.mark.promtool
def test_scrape_configuration_is_valid():
    """With the rules that it names."""
    promtool("check", "config", PROMETHEUS / "scrape.yml")


@pytest.mark.promtool
def test_dashboard_is_valid(tmp_path: Path):
    """Each expression, as a rule of its own."""
    rules = [{"record": f"panel:{number}", "expr": one} for number, one in enumerate(expressions())]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    promtool("check", "rules", path)


@pytest.mark.grafana
def test_dashboard_fits_grafanas_own_model():
    """Read and written by its library it stays the same: Grafana knows every key."""
    from grafana_foundation_sdk.cog import encoder, plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    plugins.register_default_plugins()  # what panels and queries may hold
    content = json.loads((PROMETHEUS / "dashboard.json").read_text(encoding="utf-8"))
    written = json.loads(encoder.JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(content))))

    assert lost(content, written) == []
    content["panels"][0]["options"]["bogus"] = 1
    assert lost(content, written) == [".panels[0].options.bogus"]


def lost(one: Any, other: Any, place: str = "") -> list[str]:  # Any: JSON
    """Where the other lacks something of the one, or has something else there."""
    if isinstance(one, dict) and isinstance(other, dict):
        inner = [(one[key], other.get(key), f"{place}.{key}") for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        inner = [(a, b, f"{place}[{at}]") for at, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return [] if one == other else [place]
    return [where for parts in inner for where in lost(*parts)]


@pytest.mark.promtool
def test_figures_are_well_named(latest_snapshot: LatestSnapshot):
    """By the rules of Prometheus's own linter."""
    body = pages(latest_snapshot)["/metrics"]("").body
    ran = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, check=False
    )

    assert (ran.returncode, ran.stderr.decode()) == (0, "")
