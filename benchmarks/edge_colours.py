"""Colours of the soft band: how far the estimates are from a known foreground's."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.edge_seconds import has_refine
from benchmarks.mattes import Sample
from cvunet.inference import matting
from cvunet.inference.matting import FinishSettings
from cvunet.matte import foreground, multilevel, postprocess
from cvunet.matte.soft_band import soft_band

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Estimate = Callable[[Pixels, Floats], Pixels]

RIGHT = 0.1  # an alpha so near the true one counts as right
SHOWN = 1 / 510  # less is no level of the result, whose colour is then nobody's
PARTS = ("true alpha", "shipped alpha", "shipped alpha where it is right")


@dataclass(frozen=True, slots=True)
class Task:
    """One picture and the small alpha to be brought up: the network's, or the truth made small."""

    sample: Sample
    small: Floats


@dataclass(frozen=True, slots=True)
class Errors:
    """``levels`` of 255 for each of `PARTS` by way; ``right`` is the last part's share.

    Levels are sums over a part by the pixels of the whole band, so that a picture in which little
    is right counts little there.
    """

    levels: dict[str, tuple[float, float, float]]
    right: float


def shipped(small: Floats, rgb: Pixels, *, settings: FinishSettings) -> Floats:
    """What the daemon does with such settings, cleared haze included."""
    large = postprocess.enlarge(small, rgb, kernel=settings.kernel)
    return matting.filter_edges(large, rgb, settings=settings)


def measure(task: Task) -> Errors:
    """Mean error of the true soft band's colours: all of it, and where the shipped alpha is right.

    With the true alpha, and with the shipped default's of the small one.
    """
    cv2.setNumThreads(1)
    sample = task.sample
    soft = soft_band(sample.alpha) & (sample.alpha > 1 / 255)
    own = shipped(task.small, sample.rgb, settings=FinishSettings())
    right = soft & (own > SHOWN) & (np.abs(own - sample.alpha) <= RIGHT)
    ways: dict[str, Estimate] = {"photo": lambda rgb, _: rgb, "fast": foreground.estimate}
    if has_refine():
        ways["refine"] = multilevel.estimate

    def error(colours: Pixels, part: NDArray[np.bool_]) -> float:
        differences = np.abs(colours[part].astype(np.float32) - sample.colours[part])
        return float(differences.mean(1).sum() / max(soft.sum(), 1))

    levels = {}
    for name, way in ways.items():
        of_truth, of_own = way(sample.rgb, sample.alpha), way(sample.rgb, own)
        levels[name] = error(of_truth, soft), error(of_own, soft), error(of_own, right)
    return Errors(levels, float(right.sum() / max(soft.sum(), 1)))


def table(rows: dict[str, list[Errors]]) -> str:
    """Markdown: levels of 255, and the share of the photo's error that is left."""
    lines = [
        "| colours | " + " | ".join(f"{title}: " + " | ".join(PARTS) for title in rows) + " |",
        "|---|" + "---|" * (len(PARTS) * len(rows)),
    ]
    for name in next(iter(rows.values()))[0].levels:
        cells = []
        for answers in rows.values():
            shares = 1.0, 1.0, float(np.mean([answer.right for answer in answers]))
            for index, share in enumerate(shares):
                left = float(np.mean([answer.levels[name][index] for answer in answers]))
                photo = float(np.mean([answer.levels["photo"][index] for answer in answers]))
                cells.append(f"{left / share:.1f} ({left / photo:.2f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    told = ", ".join(
        f"{title}: {np.mean([answer.right for answer in answers]):.0%}"
        for title, answers in rows.items()
    )
    return "\n".join(
        [
            *lines,
            "",
            f"The shipped alpha is within {RIGHT} of the truth in this share of the band: {told}.",
        ]
    )
