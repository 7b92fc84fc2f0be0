"""What a release must reach, and whether it does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cvunet.training.tables import Figures

OURS, PEER = "ours", "U2-Net"


@dataclass(frozen=True, slots=True)
class Bar:
    """One line: a figure with what is asked of weights trained on a GPU and on a CPU."""

    name: str
    found: float
    gpu: float
    cpu: float
    is_floor: bool = False
    """Whether more is better."""

    def __str__(self) -> str:
        sign = "≥" if self.is_floor else "≤"
        marks = (
            f"{sign} {bar:.3f} {'held' if self.holds(bar) else 'MISSED'}"
            for bar in (self.gpu, self.cpu)
        )
        return f"{self.name:<48}{self.found:>8.4f}   " + "   ".join(f"{m:<16}" for m in marks)

    def holds(self, bar: float) -> bool:
        """Whether the figure reaches a bar."""
        return self.found >= bar if self.is_floor else self.found <= bar


def bars(
    summaries: Mapping[str, Mapping[str, Figures]], seconds: Mapping[str, Sequence[float]]
) -> Iterator[Bar]:
    """All bars that can be told; those against a peer need it in the same run."""
    ours, peer = summaries[OURS], summaries.get(PEER)
    if "salient" in ours:
        yield Bar("salient MAE", ours["salient"].mae, 0.025, 0.038)
        yield Bar("salient IoU", ours["salient"].iou, 0.925, 0.88, is_floor=True)
    if "people" in ours:
        yield Bar("people IoU", ours["people"].iou, 0.965, 0.945, is_floor=True)
    if "composites" in ours:
        yield Bar("composites MAD", ours["composites"].mae, 0.020, 0.030)
        if peer:
            ratio = ours["composites"].gradient / peer["composites"].gradient
            yield Bar("composites gradient error, share of U2-Net's", ratio, 0.5, 0.8)
    if PEER in seconds:
        ratio = median(seconds[OURS]) / median(seconds[PEER])
        yield Bar("forward time, share of U2-Net's", ratio, 0.2, 0.2)


def report(
    summaries: Mapping[str, Mapping[str, Figures]], seconds: Mapping[str, Sequence[float]]
) -> str:
    """All bars as text, with the median forward times."""
    lines = [f"{'bar':<48}{'found':>8}   {'with a GPU':<16}   on a CPU"]
    lines += [str(bar) for bar in bars(summaries, seconds)]
    lines += [
        f"forward, median of {len(times)}: {name} {1000 * median(times):.0f} ms"
        for name, times in seconds.items()
    ]
    return "\n".join(lines)
