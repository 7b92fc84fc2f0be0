"""Confidence: how far a matte can be trusted, judged by the matte alone.

It is computed from the network's own small square alpha, in a few milliseconds for photos of any
size. The score is a product of parts, so that one bad sign is enough:

    score = 0                                               if the matte is empty or full
    score = certainty * wholeness * presence * freedom      else

    certainty  1 - U / 0.4   U: area of wide soft regions divided by the subject's area. An edge is
               soft over a few pixels, hair over some more. In a large grey region the network
               could not decide
    wholeness  1 - C / 0.3   C: share of the subject that lies in small fragments ("crumbs"). A
               fragment is smaller than a tenth of the largest piece: two people who stand apart
               are no fragments
    presence   S / 0.01      S: the subject's share of the picture. A smaller subject is more often
               a spot of the background than the subject of the photo. For a very large subject:
               (1 - S) / 0.02
    freedom    1 - 0.6 * (B - 0.5) / 0.5   B: share of the picture's border that the subject covers.
               A person cut off by the lower edge is usual; a "subject" that covers three sides is
               a background

Each part is limited to 0..1.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Alpha = NDArray[np.float32]
Mask = NDArray[np.uint8]

SOLID = 0.5
SOFT = (0.1, 0.9)
WIDE_SIDE_SHARE = 1 / 50  # of the side: a soft region that contains such a square is no edge
FRAGMENT_AREA = 0.1  # of the largest piece; smaller pieces are fragments
BLANK_SHARE = 0.0005  # of the picture: less subject, or less background, counts as none
UNCERTAIN_LIMIT, FRAGMENTS_LIMIT = 0.4, 0.3
SMALL_SHARE, LARGE_REST = 0.01, 0.02
BORDER_FREE, BORDER_WEIGHT = 0.5, 0.6
SIDES = ("top", "bottom", "left", "right")
TOUCH_SHARE = 0.01  # of a side


@dataclass(frozen=True, slots=True)
class Confidence:
    """The score, and the ``parts`` and ``measures`` of the formula by name.

    ``touches``: sides of the picture that the subject reaches. ``reasons``: why the score is low,
    for people. ``is_blank``: the matte is empty or full.
    """

    score: float
    parts: dict[str, float]
    measures: dict[str, float]
    touches: tuple[str, ...]
    reasons: tuple[str, ...]
    is_blank: bool


def judge(alpha: Alpha) -> Confidence:
    """Judge the network's alpha SxS in [0, 1]; the photo was resized to a square."""
    solid = (alpha >= SOLID).astype(np.uint8)
    share = float(solid.mean())
    measures = {
        "subject": share,
        "uncertain": uncertain_share(alpha) / max(share, 1e-6),
        "crumbs": fragment_share(solid),
        "border": border_share(solid),
    }
    touches = tuple(
        side for side, line in zip(SIDES, border_lines(solid), strict=True) if is_touched(line)
    )
    is_blank = share < BLANK_SHARE or 1 - share < BLANK_SHARE
    parts = {name: round(part, 4) for name, part in score_parts(measures).items()}
    score = 0.0 if is_blank else float(np.prod(list(parts.values())))
    return Confidence(
        score=round(score, 4),
        parts=parts,
        measures={name: round(value, 4) for name, value in measures.items()},
        touches=touches,
        reasons=explain(parts, measures, is_blank=is_blank),
        is_blank=is_blank,
    )


def score_parts(measures: dict[str, float]) -> dict[str, float]:
    """The parts of the score by name, each 0 to 1."""
    share = measures["subject"]
    over = max(0.0, measures["border"] - BORDER_FREE) / (1 - BORDER_FREE)
    parts = {
        "certainty": 1 - measures["uncertain"] / UNCERTAIN_LIMIT,
        "wholeness": 1 - measures["crumbs"] / FRAGMENTS_LIMIT,
        "presence": min(share / SMALL_SHARE, (1 - share) / LARGE_REST),
        "freedom": 1 - BORDER_WEIGHT * over,
    }
    return {name: min(max(part, 0.0), 1.0) for name, part in parts.items()}


def explain(
    parts: dict[str, float], measures: dict[str, float], *, is_blank: bool
) -> tuple[str, ...]:
    """In words, each part that lowers the score by a quarter or more."""
    share = measures["subject"]
    if is_blank:
        what = "empty: no subject was found" if share < SOLID else "full: no background was found"
        return (f"the mask is {what}",)
    size = "small" if share < SOLID else "large"
    texts = {
        "certainty": f"large regions are undecided ({measures['uncertain']:.0%} of the subject)",
        "wholeness": f"the mask is in fragments ({measures['crumbs']:.0%} of it in small pieces)",
        "presence": f"the subject is very {size} ({share:.1%} of the picture)",
        "freedom": f"the subject covers {measures['border']:.0%} of the picture's border",
    }
    return tuple(texts[name] for name, part in parts.items() if part <= 0.75)


def uncertain_share(alpha: Alpha) -> float:
    """The share of the picture that lies in wide soft regions."""
    side = max(3, round(alpha.shape[0] * WIDE_SIDE_SHARE) | 1)
    soft = ((alpha > SOFT[0]) & (alpha < SOFT[1])).astype(np.uint8)
    square = np.ones((side, side), np.uint8)
    wide = cv2.morphologyEx(soft, cv2.MORPH_OPEN, square, borderValue=0)
    return float(wide.mean())


def fragment_share(solid: Mask) -> float:
    """The share of the subject that lies in pieces much smaller than the largest one."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]  # without the background
    if areas.size == 0:
        return 0.0
    return float(areas[areas < FRAGMENT_AREA * areas.max()].sum() / areas.sum())


def border_lines(solid: Mask) -> tuple[Mask, Mask, Mask, Mask]:
    """The outermost pixels of each side."""
    return solid[0], solid[-1], solid[:, 0], solid[:, -1]


def border_share(solid: Mask) -> float:
    """The share of the picture's border that the subject covers."""
    return float(np.concatenate(border_lines(solid)).mean())


def is_touched(line: Mask) -> bool:
    """Whether the subject reaches this side; a few pixels do not count."""
    return float(line.mean()) > TOUCH_SHARE
