"""How far a matte can be trusted, as far as it tells by itself.

Judged on the network's own small square alpha, which takes a few milliseconds whatever the photo's
size. The score is a product of parts, so that one bad sign is enough:

    score = 0                                               if the matte is empty or full
    score = certainty * wholeness * presence * freedom      else

    certainty  1 - U / 0.4   U: area of wide soft regions by the subject's area. An edge is soft
               over a few pixels, hair over some more; a large grey region is a network that cannot
               decide
    wholeness  1 - C / 0.3   C: share of the subject that lies in crumbs. A crumb is a piece smaller
               than a tenth of the largest one: two people who stand apart are none
    presence   S / 0.01      S: the subject's share of the picture; what is smaller is more often a
               spot of the background than what the photo was taken for. At the other end of the
               scale (1 - S) / 0.02
    freedom    1 - 0.6 * (B - 0.5) / 0.5   B: share of the picture's border that the subject covers.
               A person cut off by the lower edge is usual; what covers three sides is a background

Each part is held between 0 and 1.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Alpha = NDArray[np.float32]
Mask = NDArray[np.uint8]

SOLID = 0.5
SOFT = (0.1, 0.9)
WIDE_SHARE = 1 / 50  # of the side: soft regions that hold such a square are no edge
CRUMB = 0.1
BLANK_SHARE = 0.0005  # of the picture: fewer pixels of subject, or of background, are none
UNCERTAIN_LIMIT, CRUMBS_LIMIT = 0.4, 0.3
SMALL_SHARE, LARGE_REST = 0.01, 0.02
BORDER_FREE, BORDER_WEIGHT = 0.5, 0.6
SIDES = ("top", "bottom", "left", "right")
TOUCH_SHARE = 0.01  # of a side


@dataclass(frozen=True, slots=True)
class Confidence:
    """The verdict; ``parts`` and ``measures`` are those of the formula, by name."""

    score: float
    parts: dict[str, float]
    measures: dict[str, float]
    touches: tuple[str, ...]
    reasons: tuple[str, ...]
    is_blank: bool


def judge(alpha: Alpha) -> Confidence:
    """Judge a matte, SxS in [0, 1], the photo squeezed to a square."""
    solid = (alpha >= SOLID).astype(np.uint8)
    share = float(solid.mean())
    measures = {
        "subject": share,
        "uncertain": uncertain(alpha) / max(share, 1e-6),
        "crumbs": crumbs(solid),
        "border": border(solid),
    }
    touches = tuple(side for side, line in zip(SIDES, lines(solid), strict=True) if touched(line))
    is_blank = share < BLANK_SHARE or 1 - share < BLANK_SHARE
    parts = {name: round(part, 4) for name, part in rated(measures).items()}
    score = 0.0 if is_blank else float(np.prod(list(parts.values())))
    return Confidence(
        score=round(score, 4),
        parts=parts,
        measures={name: round(value, 4) for name, value in measures.items()},
        touches=touches,
        reasons=told(parts, measures, is_blank=is_blank),
        is_blank=is_blank,
    )


def rated(measures: dict[str, float]) -> dict[str, float]:
    """The parts of the formula, each 0 to 1."""
    share = measures["subject"]
    over = max(0.0, measures["border"] - BORDER_FREE) / (1 - BORDER_FREE)
    parts = {
        "certainty": 1 - measures["uncertain"] / UNCERTAIN_LIMIT,
        "wholeness": 1 - measures["crumbs"] / CRUMBS_LIMIT,
        "presence": min(share / SMALL_SHARE, (1 - share) / LARGE_REST),
        "freedom": 1 - BORDER_WEIGHT * over,
    }
    return {name: min(max(part, 0.0), 1.0) for name, part in parts.items()}


def told(parts: dict[str, float], measures: dict[str, float], *, is_blank: bool) -> tuple[str, ...]:
    """Every part that lowers the score by a quarter or more, in words."""
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


def uncertain(alpha: Alpha) -> float:
    """Share of the picture that lies in wide soft regions."""
    side = max(3, round(alpha.shape[0] * WIDE_SHARE) | 1)
    soft = ((alpha > SOFT[0]) & (alpha < SOFT[1])).astype(np.uint8)
    square = np.ones((side, side), np.uint8)
    wide = cv2.morphologyEx(soft, cv2.MORPH_OPEN, square, borderValue=0)
    return float(wide.mean())


def crumbs(solid: Mask) -> float:
    """Share of the subject that lies in pieces much smaller than the largest one."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]  # without the background
    if areas.size == 0:
        return 0.0
    return float(areas[areas < CRUMB * areas.max()].sum() / areas.sum())


def lines(solid: Mask) -> tuple[Mask, Mask, Mask, Mask]:
    """The outermost pixels of each side."""
    return solid[0], solid[-1], solid[:, 0], solid[:, -1]


def border(solid: Mask) -> float:
    """Share of the picture's border that the subject covers."""
    return float(np.concatenate(lines(solid)).mean())


def touched(line: Mask) -> bool:
    """The subject reaches a side; a stray pixel does not count."""
    return float(line.mean()) > TOUCH_SHARE
