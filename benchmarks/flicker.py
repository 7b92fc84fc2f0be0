"""How much edges and colours flicker, on clips whose matte is known, beside frame by frame.

dtSSD (Erofeev et al., Perceptually Motivated Benchmark for Video Matting, BMVC 2015): the root of
the mean square of how the error changes from one frame to the next, times 100. MAD: mean absolute
difference, in levels of 255.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.moving import Moving
from benchmarks.tables import table
from cvunet.pictures.bit_depth import Uint8Array
from cvunet.video.clips import Frame
from cvunet.video.looks import Predict
from cvunet.video.pipeline import ClipRendering, CutFrame, cut_segment
from cvunet.video.steadying import Steady

Floats = NDArray[np.float32]

#: The first is what the others are compared with.
WAYS: dict[str, ClipRendering] = {
    "frame by frame": ClipRendering(steady=Steady(0), look="whole"),
    "averaged along the flow": ClipRendering(look="whole"),
    "close look": ClipRendering(steady=Steady(0)),
    "close look, averaged (default)": ClipRendering(),
}
DEFAULT = list(WAYS)[-1]


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one clip, or means of several."""

    mad: float
    dtssd: float
    colours: float
    """dtSSD of the premultiplied colours."""


def restlessness(errors: Sequence[Floats]) -> float:
    """DtSSD of errors NxHxW or NxHxWxC."""
    steps = [np.square(b - a).mean() for a, b in pairwise(errors)]
    return float(np.sqrt(steps).mean()) * 100


def score(clip: Moving, predict: Predict, way: ClipRendering) -> Scores:
    """Cut a clip out in one way and compare it with the truth."""
    errors: list[Floats] = []

    def write(cut: CutFrame) -> None:
        made = (cut.pixels / np.float32(255)).astype(np.float32)
        made[..., :3] *= made[..., 3:]
        errors.append(made - clip.layers[cut.frame.index])

    frames = [Frame(index, index, 1, rgb) for index, rgb in enumerate(clip.frames)]
    cut_segment(frames, first=0, count=len(frames), predict=predict, rendering=way, write=write)
    alphas = [error[..., 3] for error in errors]
    mad = float(np.mean([np.abs(alpha).mean() for alpha in alphas])) * 255
    return Scores(mad, restlessness(alphas), restlessness([error[..., :3] for error in errors]))


def remembering(predict: Predict) -> Predict:
    """The same network, which does not compute one picture twice: several ways see the same."""
    known: dict[bytes, Floats] = {}

    def ask(pictures: Sequence[Uint8Array]) -> list[Floats]:
        new = [picture for picture in pictures if picture.tobytes() not in known]
        for picture, alpha in zip(new, predict(new) if new else [], strict=True):
            known[picture.tobytes()] = alpha
        return [known[picture.tobytes()] for picture in pictures]

    return ask


def measure(
    clips: Iterable[Moving], predict: Predict, tell: Callable[[str], None] = print
) -> dict[str, list[tuple[str, Scores]]]:
    """By way, the name of each clip and its scores."""
    found: dict[str, list[tuple[str, Scores]]] = {way: [] for way in WAYS}
    for clip in clips:
        ask = remembering(predict)
        for name, way in WAYS.items():
            found[name].append((clip.name, score(clip, ask, way)))
        base, best = found["frame by frame"][-1][1], found[DEFAULT][-1][1]
        ratio = best.dtssd / base.dtssd
        tell(f"{clip.name}: MAD {best.mad / base.mad:.2f} x, dtSSD {ratio:.2f} x")
    return found


def ratios(found: dict[str, list[tuple[str, Scores]]], way: str, kind: str = "") -> Scores:
    """Means over the clips whose name has ``kind`` in it of ratios to frame by frame."""
    pairs = [
        (one, base)
        for (name, one), (_, base) in zip(found[way], found["frame by frame"], strict=True)
        if kind in name
    ]
    return Scores(
        float(np.mean([one.mad / base.mad for one, base in pairs])),
        float(np.mean([one.dtssd / base.dtssd for one, base in pairs])),
        float(np.mean([one.colours / base.colours for one, base in pairs])),
    )


def as_table(found: dict[str, list[tuple[str, Scores]]]) -> str:
    """Ratios, by way and speed."""
    rows = []
    for way in WAYS:
        for kind in ("", "fast", "slow", "cut"):
            if not any(kind in name for name, _ in found[way]):
                continue
            mean = ratios(found, way, kind)
            rows.append(
                (
                    way,
                    kind or "all",
                    f"{mean.mad:.2f}",
                    f"{mean.dtssd:.2f}",
                    f"{mean.colours:.2f}",
                )
            )
    return table(("way", "clips", "MAD", "dtSSD", "dtSSD of colours"), rows)
