"""What was asked of the speed, and whether it holds."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.processes import Usage

SERVICE_SHARE = 0.02
RATE = 400
LINEAR_SHARE = 0.05
IDLE_SHARE = 0.005
LATENCY_S = 0.6
SOAK_GROWTH = 1.05
WEB_FAILURES = 0
WEB_RATE = 0.95
WEB_BEYOND_S = 0.05
WEB_MEMORY = 1.2
RUNTIME_SAVES_MB = 250.0
NETWORK_RATE = 3000
PIPELINE_RATE = 150
LARGE_RATE = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What is asked of one runtime: the first three beside rembg's figures, on two cores."""

    speed_up: float
    cpu_share: float
    memory_share: float
    ready_s: float


LIMITS = {
    "onnxruntime": Limits(speed_up=8.0, cpu_share=0.12, memory_share=0.35, ready_s=2.0),
    "torch": Limits(speed_up=6.0, cpu_share=0.12, memory_share=0.45, ready_s=4.0),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One demand."""

    demand: str
    measured: float
    limit: float
    is_least: bool = False
    """The limit is to be reached, not to be kept under."""

    @property
    def holds(self) -> bool:
        """Whether it was met."""
        if self.is_least:
            return self.measured >= self.limit
        return self.measured <= self.limit

    @property
    def row(self) -> tuple[str, ...]:
        """For a table."""
        sign = "≥" if self.is_least else "≤"
        verdict = "met" if self.holds else "MISSED"
        return (self.demand, f"{self.measured:.3g}", f"{sign} {self.limit:g}", verdict)


def against(ours: Usage, theirs: Usage, *, runtime: str) -> list[Bar]:
    """Beside the peer, on the same pictures in one run; ``runtime`` is a key of `LIMITS`."""
    limits = LIMITS[runtime]
    speed_up, memory = theirs.wall_s / ours.wall_s, ours.peak_mb / theirs.peak_mb
    cpu_s = ours.cpu_s / theirs.cpu_s
    return [
        Bar(f"{runtime}: pictures/s, divided by rembg's", speed_up, limits.speed_up, True),
        Bar(f"{runtime}: CPU seconds, divided by rembg's", cpu_s, limits.cpu_share),
        Bar(f"{runtime}: peak memory, divided by rembg's", memory, limits.memory_share),
    ]


def saved(onnxruntime_mb: float, torch_mb: float) -> Bar:
    """Memory that onnxruntime saves, of daemons that have just become ready, children included."""
    difference = torch_mb - onnxruntime_mb
    return Bar("memory that onnxruntime saves, MB", difference, RUNTIME_SAVES_MB, True)


def linear(counts: Mapping[int, Usage]) -> list[Bar]:
    """CPU seconds of each further picture among the most, over those among fewer; start left out.

    Empty with fewer than three numbers of pictures. CPU time, because other programs change the
    wall time.
    """
    if len(counts) < 3:
        return []
    *_, few, some, most = sorted(counts)
    first = (counts[some].cpu_s - counts[few].cpu_s) / (some - few)
    last = (counts[most].cpu_s - counts[some].cpu_s) / (most - some)
    text = f"CPU seconds of a picture, {some} to {most} over {few} to {some}: growth"
    return [Bar(text, last / first - 1, LINEAR_SHARE)]


def service(many: Usage, one: Usage) -> Bar:
    """The service's own thread, without its start, over all CPU time without the start's."""
    share = (many.main_s - one.main_s) / max(many.cpu_s - one.cpu_s, 1e-9)
    return Bar("the service itself, share of the CPU time", share, SERVICE_SHARE)


def service_rate(place: str, rate: float) -> Bar:
    """Pictures that go through the service in a CPU second of its whole process."""
    return Bar(f"{place}: pictures through the service on one core, a second", rate, RATE, True)


def service_share(share: float) -> Bar:
    """The service's own thread, over all CPU time of a picture that comes out alone."""
    return Bar("the service's share of a picture, one by one", share, SERVICE_SHARE)


def service_growth(cpu_s: Mapping[int, float], worker_s: float) -> Bar:
    """CPU time of each further picture, as `linear`; a worker takes the same for each."""
    few, some, most = sorted(cpu_s)
    first = worker_s + (cpu_s[some] - cpu_s[few]) / (some - few)
    last = worker_s + (cpu_s[most] - cpu_s[some]) / (most - some)
    text = f"CPU seconds of a picture, {some} to {most} over {few} to {some}: growth"
    return Bar(text, last / first - 1, LINEAR_SHARE)


def life(idle_share: float, latency_s: float) -> list[Bar]:
    """Of a daemon that lives."""
    return [
        Bar("CPU use while idle, share of one core", idle_share, IDLE_SHARE),
        Bar("rename to result, beyond settle_s, seconds", latency_s, LATENCY_S),
    ]


def ready(ready_s: float, *, runtime: str) -> Bar:
    """From the process's start, with files that have been read before."""
    return Bar(f"{runtime}: start to READY, seconds", ready_s, LIMITS[runtime].ready_s)


def web(failures: int, rate: float, beyond_s: float, memory: float) -> list[Bar]:
    """Of the API: ``rate`` and ``memory`` divided by those of a batch on the same photos."""
    return [
        Bar("32 clients: answers that are neither 202 nor 429", failures, WEB_FAILURES),
        Bar("32 clients: pictures per second, divided by a batch's", rate, WEB_RATE, True),
        Bar("one client: wait beyond 1.2 x the worker's time, seconds", beyond_s, WEB_BEYOND_S),
        Bar("32 clients: peak memory, divided by a batch's", memory, WEB_MEMORY),
    ]


def soak(first_mb: float, last_mb: float) -> Bar:
    """Of many pictures of all sizes: medians of the first and the last quarter."""
    return Bar("memory, last quarter divided by first", last_mb / first_mb, SOAK_GROWTH)


def accelerated(network_rate: float, pipeline_rate: float, large_rate: float) -> list[Bar]:
    """Of an H200 with 16 cores, in pictures per second."""
    return [
        Bar("network alone at 512 px, pictures/s", network_rate, NETWORK_RATE, True),
        Bar("1080p JPEG to PNG, pictures/s", pipeline_rate, PIPELINE_RATE, True),
        Bar("24 MP JPEG to PNG, pictures/s", large_rate, LARGE_RATE, True),
    ]
