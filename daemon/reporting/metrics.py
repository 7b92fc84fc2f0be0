"""The daemon's metrics for Prometheus: the only importer of prometheus_client."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import accumulate
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from daemon import __version__
from daemon.disk import free_space
from daemon.errors import printable
from daemon.reporting import clip_figures, cluster_figures
from daemon.reporting.cluster_figures import Figure
from daemon.reporting.endpoint import Page, Response
from daemon.reporting.latest_snapshot import Health, LatestSnapshot
from daemon.reporting.report import Snapshot
from daemon.worker.gauges import BUCKETS_S, Histogram

BOUNDS = (*(format(bound, "g") for bound in BUCKETS_S), "+Inf")


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time


class SnapshotCollector(Collector):
    """Turns the latest snapshot into metrics; runs in the threads of the endpoint."""

    def __init__(
        self, latest_snapshot: LatestSnapshot, *, places: Mapping[str, Path], clock: Clock
    ) -> None:
        """``places``: folders by purpose, whose free space is reported besides the outputs'."""
        self.latest_snapshot = latest_snapshot
        self.places = places
        self.clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; while the model loads, only the first ones."""
        monotonic, now = self.clock.monotonic(), self.clock.now()
        snapshot = self.latest_snapshot.snapshot
        ready = self.latest_snapshot.readiness(monotonic).is_healthy
        yield info(snapshot)
        yield gauge("ready", "1 if a picture that is dropped now is cut out.", float(ready))
        silence_s = self.latest_snapshot.silence_s(monotonic)
        yield gauge("loop_age_seconds", "Since the service loop last turned.", silence_s)
        yield from disk_families({**outputs(snapshot), **self.places})
        if snapshot is not None:
            yield from counters(snapshot)
            yield from queues(snapshot, now)
            yield from folder_states(snapshot)
            yield from memory(snapshot)
            yield from load(snapshot)
            yield from families(clip_figures.figures(snapshot))
            yield from histograms(snapshot)
            yield from hooks(snapshot)
            if snapshot.cluster is not None:
                yield from families(cluster_figures.figures(snapshot.cluster))


def info(snapshot: Snapshot | None) -> Metric:
    """Return the version and the device."""
    family = GaugeMetricFamily("cvunetd_info", "Always 1.", labels=["version", "device"])
    device = snapshot.device if snapshot is not None else ""
    family.add_metric([__version__, device], 1.0)
    return family


def gauge(name: str, text: str, value: float) -> Metric:
    """Return one number."""
    return GaugeMetricFamily(f"cvunetd_{name}", text, value=value)


def by_folder(name: str, text: str, values: Mapping[str, float]) -> Metric:
    """Return one number for each folder."""
    family = GaugeMetricFamily(f"cvunetd_{name}", text, labels=["folder"])
    for folder, value in values.items():
        family.add_metric([folder], value)
    return family


def counters(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield the outcomes of pictures, and how they were found."""
    outcomes = CounterMetricFamily(
        "cvunetd_pictures", "Pictures by what became of them.", labels=["folder", "outcome"]
    )
    found = CounterMetricFamily(
        "cvunetd_found", "Pictures by how they were found.", labels=["folder", "found_by"]
    )
    second = CounterMetricFamily(
        "cvunetd_second_opinions",
        "Doubtful pictures that a second model was asked about, by whose mask became the result.",
        labels=["folder", "outcome"],
    )
    for name, folder in snapshot.folders.items():
        for verdict, count in folder.verdicts.items():
            outcomes.add_metric([name, verdict], count)
        for verdict, count in folder.second.items():
            second.add_metric([name, verdict], count)
        for way, count in folder.found_by.items():
            found.add_metric([name, way], count)
    yield outcomes
    yield found
    yield second


def queues(snapshot: Snapshot, now: float) -> Iterator[Metric]:
    """Yield what waits, and for how long."""
    jobs = GaugeMetricFamily(
        "cvunetd_jobs", "Pictures that were taken in.", labels=["folder", "state"]
    )
    for name, folder in snapshot.folders.items():
        jobs.add_metric([name, "queued"], folder.queued)
        jobs.add_metric([name, "running"], folder.running)
    yield jobs
    yield gauge("queue_size", "So many pictures may be queued.", snapshot.queue_size)
    yield gauge("settling", "Files that may still be being written.", snapshot.settling)
    folders = snapshot.folders.items()
    unclaimed = {name: float(folder.unclaimed) for name, folder in folders}
    yield by_folder("unclaimed", "Files in the hot folder that were not taken yet.", unclaimed)
    refused = {name: float(folder.refused) for name, folder in folders}
    yield by_folder("refused", "Those that cannot be taken; `cvunetd status` says why.", refused)
    ignored = {name: float(folder.ignored) for name, folder in folders}
    yield by_folder("ignored", "Files in the hot folder that are left alone: no pictures.", ignored)
    ages = {
        name: 0.0 if folder.oldest_at is None else max(now - folder.oldest_at, 0.0)
        for name, folder in folders
    }
    text = "How long the oldest of them has lain there unchanged; 0 without any."
    yield by_folder("oldest_unclaimed_seconds", text, ages)


def folder_states(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield which folders do not work normally; `cvunetd status` says why."""
    standby = {name: float(name in snapshot.standby) for name in snapshot.folders}
    yield by_folder("folder_standby", "1 if nothing is taken from the folder now.", standby)
    polled = {name: float(name in snapshot.polled) for name in snapshot.folders}
    yield by_folder("folder_polled", "1 if the folder is looked at instead of watched.", polled)


def load(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield how busy devices are: rate(busy) over threads is the share of time."""
    numbers = {
        "cvunetd_device_threads": (GaugeMetricFamily, "Threads that ask the network.", "threads"),
        "cvunetd_device_busy_seconds": (
            CounterMetricFamily,
            "Time in the network, of all threads together.",
            "busy_s",
        ),
        "cvunetd_batches": (CounterMetricFamily, "Passes of the network.", "batches"),
        "cvunetd_batch_pictures": (CounterMetricFamily, "Pictures in those.", "pictures"),
    }
    for name, (kind, text, key) in numbers.items():
        family = kind(name, text, labels=["device"])
        for device, asked in snapshot.load.items():
            family.add_metric([device], getattr(asked, key))
        yield family
    inside = GaugeMetricFamily(
        "cvunetd_inside", "Pictures at each stage, or waiting before it.", labels=["stage"]
    )
    for stage, count in snapshot.inside.items():
        inside.add_metric([stage], count)
    yield inside


def memory(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield the memory of devices; the process's is in process_resident_memory_bytes."""
    used = GaugeMetricFamily(
        "cvunetd_device_memory_bytes", "Held for the model and its batches.", labels=["device"]
    )
    total = GaugeMetricFamily(
        "cvunetd_device_memory_total_bytes", "All that the device has.", labels=["device"]
    )
    for device, held in snapshot.memory.items():
        used.add_metric([device], held.used_bytes)
        total.add_metric([device], held.total_bytes)
    yield used
    yield total


def families(figures: Iterable[Figure]) -> Iterator[Metric]:
    """Yield figures in the library's form."""
    for one in figures:
        kind = CounterMetricFamily if one.is_counter else GaugeMetricFamily
        family = kind(f"cvunetd_{one.name}", one.text, labels=one.labels)
        for values, number in one.values:
            family.add_metric(values, number)
        yield family


def histograms(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield how long things take."""
    stages = HistogramMetricFamily(
        "cvunetd_stage_seconds", "Wall time of one picture in a stage.", labels=["stage"]
    )
    for stage, histogram in snapshot.stages.items():
        stages.add_metric([stage], buckets(histogram), histogram.sum_s)
    yield stages
    if snapshot.pictures is not None:
        yield HistogramMetricFamily(
            "cvunetd_picture_seconds",
            "From being taken out of the hot folder to being published.",
            buckets=buckets(snapshot.pictures),
            sum_value=snapshot.pictures.sum_s,
        )


def hooks(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield the outcomes of hooks' notices, and how many wait."""
    notices = CounterMetricFamily(
        "cvunetd_hook_notices", "Events by what became of telling them.", labels=["hook", "outcome"]
    )
    waiting = GaugeMetricFamily(
        "cvunetd_hook_waiting", "Events that a hook has still to be told.", labels=["hook"]
    )
    for name, state in snapshot.hooks.items():
        for outcome in ("delivered", "retried", "failed", "dropped"):
            notices.add_metric([name, outcome], getattr(state, outcome))
        waiting.add_metric([name], state.waiting)
    yield notices
    yield waiting


def buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Return upper bounds with how many took no longer, cumulative as in Prometheus."""
    return list(zip(BOUNDS, accumulate(map(float, histogram.counts)), strict=True))


def outputs(snapshot: Snapshot | None) -> dict[str, Path]:
    """Return where results go, by folder, as of now: a reload may change it."""
    folders = snapshot.folders if snapshot is not None else {}
    return {f"output of {name}": Path(folder.output_root) for name, folder in folders.items()}


def disk_families(places: Mapping[str, Path]) -> Iterator[Metric]:
    """Yield free space for results and state; skips a place that cannot be read."""
    labels = ["place", "path"]
    free = GaugeMetricFamily("cvunetd_free_bytes", "Free space.", labels=labels)
    inodes = GaugeMetricFamily(
        "cvunetd_free_inodes", "Files that may still be made.", labels=labels
    )
    for name, path in places.items():
        try:
            path.stat()  # of a share that is gone, the disk below its mount point says nothing
            space, files = free_space.free_bytes(path), free_space.free_inodes(path)
        except OSError:
            continue  # monitors see a gap, and the folder is on standby meanwhile
        free.add_metric([name, printable(path)], space)
        if files is not None:
            inodes.add_metric([name, printable(path)], files)
    yield free
    yield inodes


def pages(
    latest_snapshot: LatestSnapshot, *, places: Mapping[str, Path], clock: Clock | None = None
) -> dict[str, Page]:
    """Return the pages by path."""
    clock = clock or Clock()
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(latest_snapshot, places=places, clock=clock))
    ProcessCollector(registry=registry, pid=os.getpid)

    def metrics(accept: str) -> Response:
        encode, content_type = choose_encoder(accept)
        return Response(HTTPStatus.OK, encode(registry), content_type)

    return {
        "/metrics": metrics,
        "/healthz": lambda accept: health(latest_snapshot.liveness(clock.monotonic())),
        "/readyz": lambda accept: health(latest_snapshot.readiness(clock.monotonic())),
    }


def health(health: Health) -> Response:
    """Return 200 or 503, with the reason."""
    status = HTTPStatus.OK if health.is_healthy else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(status, f"{printable_lines(health.text)}\n".encode())


def printable_lines(text: str) -> str:
    """Return printable lines: reasons hold paths, and paths may hold anything."""
    return "\n".join(map(printable, text.split("\n")))
