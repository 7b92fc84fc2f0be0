"""Confidence: the probability that a matte is right, and what speaks against it.

"Right" means that the subject shares at least 85 % with the true one (IoU at alpha 0.5). The score
is 0 if the matte is empty or full. Otherwise `odds` computes it from the figures of `signs`, which
come from the network's own small alpha.

    parts      by group of signs, the factor by which the group lowers the odds of a typical right
               matte; 1 if it does not lower them
    measures   the figures themselves
    reasons    a text for each part of 0.75 or less
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvunet.matte import odds, signs
from cvunet.matte.odds import Odds

Alpha = NDArray[np.float32]

RIGHT_IOU = 0.85
BLANK_SHARE = 0.0005  # of the picture: less subject, or less background, counts as none
DOUBT = 0.75  # a part this low gives a reason
GROUPS = {
    "certainty": ("shaky", "inside", "faint"),
    "wholeness": ("detached", "holes"),
    "presence": ("subject",),
    "freedom": ("top",),
}


@dataclass(frozen=True, slots=True)
class Confidence:
    """The score, and the ``parts`` and ``measures`` that it is made of, by name.

    ``touches``: sides of the picture that the subject reaches. ``reasons``: why the score is low,
    for people. ``is_blank``: the matte is empty or full.
    """

    score: float
    parts: dict[str, float]
    measures: dict[str, float]
    touches: tuple[str, ...]
    reasons: tuple[str, ...]
    is_blank: bool


def judge(alpha: Alpha, *, table: Odds | None = None) -> Confidence:
    """Judge the network's alpha HxW in [0, 1]. ``table``: None is the shipped one."""
    measures = signs.measure(alpha)
    chosen = table or odds.shipped()
    share = subject_share(alpha)
    has_none = is_blank(share)
    parts = group(chosen.evidence(measures))
    return Confidence(
        score=0.0 if has_none else round(chosen.probability(measures), 4),
        parts=parts,
        measures={name: round(value, 4) for name, value in measures.items()},
        touches=signs.touches(alpha),
        reasons=(explain_blank(share),) if has_none else explain(parts, measures),
        is_blank=has_none,
    )


def subject_share(alpha: Alpha) -> float:
    """Share of the pixels of alpha HxW that are subject rather than background."""
    return float((alpha >= signs.SOLID).mean())


def is_blank(share: float) -> bool:
    """Whether a subject of this share of the picture is none, or leaves no background."""
    return share < BLANK_SHARE or 1 - share < BLANK_SHARE


def group(evidence: dict[str, float]) -> dict[str, float]:
    """The parts, each in (0, 1]."""
    return {
        name: round(min(1.0, math.exp(sum(evidence[one] for one in members))), 4)
        for name, members in GROUPS.items()
    }


def explain_blank(share: float) -> str:
    """Why there is no result."""
    what = "empty: no subject was found" if share < signs.SOLID else "full: no background was found"
    return f"the mask is {what}"


def explain(parts: dict[str, float], measures: dict[str, float]) -> tuple[str, ...]:
    """In words, what lowers the odds by a quarter or more; the worst comes first."""
    doubtful = sorted((part, name) for name, part in parts.items() if part <= DOUBT)
    return tuple(word(name, measures) for _, name in doubtful)


def word(name: str, measures: dict[str, float]) -> str:
    """A part in words, with the figure that weighs most in it."""
    if name == "wholeness" and measures["holes"] > measures["detached"]:
        return f"the subject has holes ({measures['holes']:.0%} of its area)"
    return {
        "certainty": (
            f"large regions are undecided (soft inside: {measures['inside']:.0%} of the subject,"
            f" soft in all: {measures['shaky']:.0%})"
        ),
        "wholeness": f"there are detached parts ({measures['detached']:.0%} of the subject)",
        "presence": f"the subject is small ({measures['subject']:.1%} of the picture)",
        "freedom": (
            f"the subject covers {measures['top']:.0%} of the picture's upper side and"
            f" {measures['border']:.0%} of its border"
        ),
    }[name]
