"""What was asked of the speed, and whether it holds."""

from dataclasses import dataclass

from benchmarks.processes import Usage

SPEED_UP = 5.0
MEMORY_SHARE = 0.7
CPU_SHARE = 0.25
SERVICE_SHARE = 0.05
IDLE_SHARE = 0.005
READY_S = 5.0
LATENCY_S = 0.6
SOAK_GROWTH = 1.05
WEB_FAILURES = 0
WEB_RATE = 0.95
WEB_BEYOND_S = 0.05
WEB_MEMORY = 1.2
NETWORK_RATE = 1500
PIPELINE_RATE = 100


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


def against(ours: Usage, theirs: Usage) -> list[Bar]:
    """Beside the peer, on the same pictures in one run."""
    return [
        Bar("pictures per second, divided by rembg's", theirs.wall_s / ours.wall_s, SPEED_UP, True),
        Bar("peak memory, divided by rembg's", ours.peak_mb / theirs.peak_mb, MEMORY_SHARE),
        Bar("CPU seconds per picture, divided by rembg's", ours.cpu_s / theirs.cpu_s, CPU_SHARE),
    ]


def service(many: Usage, one: Usage) -> Bar:
    """The service's own thread, without its start, over all CPU time without the start's."""
    share = (many.main_s - one.main_s) / max(many.cpu_s - one.cpu_s, 1e-9)
    return Bar("the service itself, share of the CPU time", share, SERVICE_SHARE)


def life(ready_s: float, idle_share: float, latency_s: float) -> list[Bar]:
    """Of a daemon that lives."""
    return [
        Bar("start to READY, seconds", ready_s, READY_S),
        Bar("CPU use while idle, share of one core", idle_share, IDLE_SHARE),
        Bar("rename to result, beyond settle_s, seconds", latency_s, LATENCY_S),
    ]


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


def accelerated(network_rate: float, pipeline_rate: float) -> list[Bar]:
    """Of an H200 with 16 cores, in pictures per second."""
    return [
        Bar("network alone at 512 px, pictures/s", network_rate, NETWORK_RATE, True),
        Bar("1080p JPEG to PNG, pictures/s", pipeline_rate, PIPELINE_RATE, True),
    ]
