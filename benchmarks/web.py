"""The API beside `cvunetd batch`: the same photos over loopback, and one client that waits."""

import http.client
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server
from typing import Any

import yaml

from benchmarks import living, photos
from benchmarks.processes import BenchmarkError, Usage, children_mb
from benchmarks.programs import Program

CLIENTS = 32
SIZE = (1733, 1155)  # 2 MP
DISTINCT = 20
SINGLES = 9
#: Not the default of 500: what waits at the end has to be cut out before the figures are known.
MAX_WAITING = 64
PATIENCE_S = 600.0
LOOK_S = 0.2
HOST = "127.0.0.1"
ACCEPTED, LATER = 202, 429
LATER_S = 0.25
"""A client that is told to come later does so sooner than it is told: that is the worse case."""
KIBI = 1024
MEGA = 1_000_000


@dataclass(slots=True)
class Traffic:
    """What 32 clients met."""

    statuses: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int) -> None:
        """Count an answer."""
        with self.lock:
            self.statuses[status] += 1

    @property
    def accepted(self) -> int:
        """Pictures that were taken."""
        return self.statuses[ACCEPTED]

    @property
    def failures(self) -> int:
        """Answers that are neither a yes nor a polite not yet."""
        return sum(self.statuses.values()) - self.accepted - self.statuses[LATER]


@dataclass(frozen=True, slots=True)
class Served:
    """Figures of the API."""

    traffic: Traffic
    wall_s: float
    """From the first request until the last picture was done."""
    peak_mb: float
    waited_s: tuple[float, ...]
    """A client's time for one picture, by `POST cutouts`."""
    own_s: tuple[float, ...]
    """The worker's time for the same pictures: the sum of their stages."""
    batch: Usage
    batch_start_s: float

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self.traffic.accepted / self.wall_s

    @property
    def batch_rate(self) -> float:
        """That of `cvunetd batch` on as many of the same photos, without its start."""
        return (self.traffic.accepted - 1) / (self.batch.wall_s - self.batch_start_s)

    @property
    def beyond_s(self) -> float:
        """How much longer than 1.2 times the worker's own time a client waits; median."""
        pairs = zip(self.waited_s, self.own_s, strict=True)
        return statistics.median(waited - 1.2 * own for waited, own in pairs)


def measure(base: Path, model: dict[str, object], ours: Program, *, seconds: float) -> Served:
    """Serve clients for so long, then do the same with a batch; `BenchmarkError` if that fails."""
    base.mkdir(parents=True)
    (base / "hot").mkdir()
    source = photos.make(base / "sources", DISTINCT, SIZE)
    bodies = [path.read_bytes() for path in sorted(source.iterdir())]
    with create_server((HOST, 0)) as probe:
        port = int(probe.getsockname()[1])
    web = {"listen": f"{HOST}:{port}", "folder": "uploads", "max_waiting": MAX_WAITING}
    config = base / "config.yaml"
    config.write_text(yaml.safe_dump({"model": model, "web": web}), encoding="utf-8")
    with living.living(config) as daemon:
        waited_s, own_s = singles(port, bodies)
        before = count_done(port)
        began = time.perf_counter()
        traffic = send_for(port, bodies, seconds=seconds)
        wait_done(port, before + traffic.accepted)
        wall_s = time.perf_counter() - began
        peak_mb = peak_of(daemon.process.pid) + children_mb(daemon.process.pid)
    if traffic.accepted < 2:
        raise BenchmarkError(f"nothing was accepted: {dict(traffic.statuses)}")
    many = photos.make_linked(base / "many", traffic.accepted, DISTINCT, SIZE)
    one = photos.make_linked(base / "one", 1, 1, SIZE)
    start_s = ours.run(one, base / "one-out").wall_s
    batch = ours.run(many, base / "many-out")
    return Served(traffic, wall_s, peak_mb, waited_s, own_s, batch, start_s)


def send_for(port: int, bodies: Sequence[bytes], *, seconds: float) -> Traffic:
    """All clients send photo after photo until the time is over."""
    traffic, deadline = Traffic(), time.monotonic() + seconds
    clients = [
        threading.Thread(target=send, args=(port, bodies, number, traffic, deadline))
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return traffic


def send(
    port: int, bodies: Sequence[bytes], number: int, traffic: Traffic, deadline: float
) -> None:
    """One client: a connection that it keeps."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S)
    while time.monotonic() < deadline:
        try:
            path = f"/api/v1/pictures?name={number}.jpg"
            connection.request("POST", path, bodies[number % len(bodies)])
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            status = 0
            connection.close()
        traffic.note(status)
        number += CLIENTS
        if status == LATER:
            time.sleep(LATER_S)
    connection.close()


def singles(port: int, bodies: Sequence[bytes]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Seconds that a client waits for one picture, and those that the worker took."""
    waited, own = [], []
    for number in range(SINGLES):
        connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S)
        began = time.perf_counter()
        connection.request("POST", "/api/v1/cutouts", bodies[number % len(bodies)])
        answer = connection.getresponse()
        answer.read()
        waited.append(time.perf_counter() - began)
        connection.close()
        told = ask(port, f"/api/v1/pictures/{answer.headers['X-Picture-Id']}")
        own.append(sum(told["picture"]["seconds"].values()))
    return tuple(waited), tuple(own)


def ask(port: int, path: str) -> dict[str, Any]:  # Any: JSON
    """An answer in JSON."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S)
    connection.request("GET", path)
    content: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return content


def count_done(port: int) -> int:
    """How many pictures have come out, by the drops."""
    drops = ask(port, "/api/v1/drops?limit=200")["drops"]
    if any(drop["counts"].get("failed") for drop in drops):
        raise BenchmarkError("a picture has failed")
    return sum(drop["counts"].get("done", 0) for drop in drops)


def wait_done(port: int, count: int) -> None:
    """Wait until so many pictures have come out; `BenchmarkError` if they do not."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := count_done(port)) < count:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{found} of {count} pictures came out")
        time.sleep(LOOK_S)


def peak_of(process: int) -> float:
    """The most memory that a process has had, in megabytes."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    line = next(one for one in status.splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) * KIBI / MEGA
