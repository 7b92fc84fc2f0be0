"""What a release must reach, and whether it does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from cvunet.training.tables import Figures

OURS, PEER, AGAINST = "ours", "U2-Net", "against"
SHARP_PEOPLE = "  ccp640"  # as `measuring.summary` names a source of a set


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
    ours, peer, today = (summaries.get(name, {}) for name in (OURS, PEER, AGAINST))
    if "salient" in ours:
        yield Bar("salient MAE", ours["salient"].mae, 0.025, 0.031)
        yield Bar("salient IoU", ours["salient"].iou, 0.92, 0.895, is_floor=True)
    if "people" in ours:
        name = "people IoU, sharp photos count double"
        yield Bar(name, people_iou(ours), 0.965, 0.95, is_floor=True)
    if "composites" in ours:
        yield Bar("composites MAD", ours["composites"].mae, 0.007, 0.008)
        if peer:
            ratio = ours["composites"].gradient / peer["composites"].gradient
            yield Bar("composites gradient error, share of U2-Net's", ratio, 0.45, 0.55)
    for name in ("leaving", "contrast"):
        if name not in ours or name not in today:
            continue
        ratio = (1 - ours[name].iou) / (1 - today[name].iou)
        yield Bar(f"{name} 1 - IoU, share of the other weights'", ratio, 0.5, 0.75)
    if PEER in seconds:
        ratio = median(seconds[OURS]) / median(seconds[PEER])
        yield Bar("forward time, share of U2-Net's", ratio, 1 / 6, 1 / 6)


def people_iou(rows: Mapping[str, Figures]) -> float:
    """Mean IoU over the photos of people; a photo of a sharp shard counts as two."""
    sharp = rows.get(SHARP_PEOPLE)
    total, weight = rows["people"].iou * rows["people"].photos, rows["people"].photos
    if sharp is not None:
        total, weight = total + sharp.iou * sharp.photos, weight + sharp.photos
    return total / weight


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
