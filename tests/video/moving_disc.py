"""Clips of a disc on a pattern, made by code, and a network that finds the disc by its colour."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.inference.matting import FinishSettings
from cvunet.inference.preparation import Preparation
from cvunet.pictures.bit_depth import Samples
from cvunet.video.clips import Frame
from cvunet.video.pipeline import ClipRendering, cut_segment
from cvunet.video.steadying import Steady

WIDTH, HEIGHT = 96, 64
#: What a network of few pixels sees.
SMALL = Preparation(64, 64)
ALPHA = FinishSettings(content="alpha")


def frame(index: int, *, x: float = 40, y: float = 32, radius: int = 10, seed: int = 0) -> Frame:
    """A red disc with its centre at (x, y), on a grey pattern of its own for each seed."""
    shades = np.random.default_rng(seed).integers(60, 200, (HEIGHT // 8, WIDTH // 8), np.uint8)
    rgb = np.dstack([cv2.resize(shades, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)] * 3)
    cv2.circle(rgb, (round(x * 16), round(y * 16)), radius * 16, (220, 20, 20), -1, cv2.LINE_AA, 4)
    return Frame(index, index, 1, np.ascontiguousarray(rgb))


def moving(count: int, *, step: float = 1.5, first: int = 0) -> list[Frame]:
    """A disc that moves to the right."""
    return [frame(k, x=15 + step * k) for k in range(first, first + count)]


def find_red(pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """A network: alpha is how red a pixel is."""
    return [
        np.clip((picture[..., 0].astype(np.float32) - picture[..., 1]) / 200, 0, 1)
        for picture in pictures
    ]


def flickering(pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """The same with an error that is another one in each picture; equal pictures get equal ones."""
    found = []
    for picture, alpha in zip(pictures, find_red(pictures), strict=True):
        rng = np.random.default_rng(int(picture.astype(np.int64).sum()))
        wrong = cv2.GaussianBlur(rng.normal(0, 3, alpha.shape).astype(np.float32), (0, 0), 6)
        found.append(np.where((alpha > 0) & (alpha < 1), np.clip(alpha + wrong, 0, 1), alpha))
    return found


def rendering(
    window: int = 2, *, strength: float = 1.0, finish: FinishSettings = ALPHA
) -> ClipRendering:
    """Alphas, from a network of few pixels."""
    return ClipRendering(finish, Steady(window, strength), prepare=SMALL)


def results(
    frames: Sequence[Frame],
    how: ClipRendering,
    *,
    predict=find_red,
    first: int = 0,
    count: int | None = None,
) -> list[Samples]:
    """The pixels of a segment, or of all frames."""
    found: list[Samples] = []
    begin = max(0, first - how.lead)
    cut_segment(
        frames[begin:],
        first=first,
        count=len(frames) - first if count is None else count,
        predict=predict,
        rendering=how,
        write=lambda made: found.append(made.pixels),
    )
    return found
