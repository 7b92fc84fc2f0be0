"""Signs of a wrong matte: figures of a small alpha.

All of them are computed at 256x256, so they cost a few milliseconds for photos of any size, and
mean the same for networks of any input size. "Subject" is alpha >= 0.5; lengths are in pixels of
256x256. `measure` names the figures.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Alpha = NDArray[np.float32]
Mask = NDArray[np.uint8]
Flags = NDArray[np.bool_]

SIDE_PX = 256
SOLID = 0.5
OUTSIDE = 0.1  # less alpha is background
INNER_PX = 7  # the side of the square round a pixel that holds no background: it lies inside
SHAKY = (0.2, 0.8)
FRAGMENT_AREA = 0.1  # of the largest piece; smaller pieces are fragments
TOUCH_SHARE = 0.01  # of a side
SIDES = ("top", "bottom", "left", "right")


def measure(alpha: Alpha) -> dict[str, float]:
    """Figures by name, each 0 or more, of an alpha HxW in [0, 1].

    subject       its share of the picture
    shaky         1 - (area of alpha >= 0.8) / (area of alpha >= 0.2)
    inside        softness, 4 a (1 - a), of pixels that lie inside: none of the 7x7 pixels round
                  them is background (alpha < 0.1)
    faint         alpha outside the subject
    detached      subject that is not in its largest piece
    crumbs        subject in pieces smaller than a tenth of the largest one
    holes         background that the subject encloses
    top, border   share of the picture's upper side, of its whole border, that is subject

    inside, faint, detached, crumbs and holes are divided by the subject's area.
    """
    alpha = shrink(alpha)
    solid = alpha >= SOLID
    area = max(1.0, float(solid.sum()))
    above = float((alpha >= SHAKY[0]).sum())
    background = (alpha < OUTSIDE).astype(np.uint8)
    is_inside = cv2.dilate(background, np.ones((INNER_PX, INNER_PX), np.uint8)) == 0
    lines = border_lines(solid)
    return {
        "subject": float(solid.mean()),
        "shaky": 1 - float((alpha >= SHAKY[1]).sum()) / max(1.0, above),
        "inside": float((4 * alpha * (1 - alpha))[is_inside].sum()) / area,
        "faint": float(alpha[~solid].sum()) / area,
        **pieces(solid.astype(np.uint8), area),
        "top": float(lines[0].mean()),
        "border": float(np.concatenate(lines).mean()),
    }


def shrink(alpha: Alpha) -> Alpha:
    """An alpha of any shape squeezed to 256x256, by means over areas."""
    return np.asarray(
        cv2.resize(alpha, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), np.float32
    )


def pieces(solid: Mask, area: float) -> dict[str, float]:
    """The shares of detached parts, of crumbs and of holes."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]  # without the background
    largest = int(areas.max()) if areas.size else 0
    # Background that is not joined to a margin laid round the picture is a hole.
    empty = cv2.copyMakeBorder(1 - solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, labels, empty_stats, _ = cv2.connectedComponentsWithStats(empty, connectivity=4)
    enclosed = empty_stats[1:count, cv2.CC_STAT_AREA].sum() - empty_stats[labels[0, 0]][-1]
    return {
        "detached": float(areas.sum() - largest) / area,
        "crumbs": float(areas[areas < FRAGMENT_AREA * largest].sum()) / area,
        "holes": float(enclosed) / area,
    }


def border_lines(solid: Flags) -> tuple[Flags, ...]:
    """The outermost pixels of each of `SIDES`."""
    return solid[0], solid[-1], solid[:, 0], solid[:, -1]


def touches(alpha: Alpha) -> tuple[str, ...]:
    """The sides that the subject reaches; a few pixels do not count."""
    lines = border_lines(alpha >= SOLID)
    reached = zip(SIDES, lines, strict=True)
    return tuple(side for side, line in reached if float(line.mean()) > TOUCH_SHARE)
