"""Whether a colour profile that can be read makes sense: greys in order, primaries possible.

Some files carry profiles of impossible primaries. Every tool can apply them, and coloured noise
comes out.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Lab = NDArray[np.int16]
#: From the profile's colours to CIELAB: lightness 0..255, and both colours as signed bytes.
ToLab = Callable[[Bytes], Bytes]

MODES = ("RGB", "L")
MIDDLE = 128
STEP = 8
# Of 255 levels of lightness, or of the two colours. Greys of scanners are off by some ten; the blue
# of ACES, which no eye can see, takes 12 to 30 off.
FALL, TINT, LOSS, LEAP = 4, 60, 40, 64
#: A primary alone is darker than white by so much; the green of ProPhoto by 32.
DARKER = 8


def check(mode: str, to_lab: ToLab) -> None:
    """`ValueError` if greys or primaries are not mapped to sane, monotonous values."""
    for fault, is_found in faults(mode, to_lab):
        if is_found:
            raise ValueError(fault)


def faults(mode: str, to_lab: ToLab) -> Iterator[tuple[str, bool]]:
    """What could be wrong, and whether it is."""
    ramp = np.arange(256, dtype=np.uint8)
    if mode == "L":
        yield from faults_of_greys(mapped(ramp[None], to_lab)[0])
        return
    rows = np.full((5, 256, 3), MIDDLE, np.uint8)  # greys, one channel raised, primaries
    rows[0] = ramp[:, None]
    for channel in range(3):
        rows[1 + channel, :, channel] = np.maximum(ramp, MIDDLE)
        rows[4, channel] = [255 * (other == channel) for other in range(3)]
    greys, *raised, last = mapped(rows, to_lab)
    yield from faults_of_greys(greys)
    lights, primaries = np.stack(raised)[:, MIDDLE::STEP], last[:3]
    loss = lights[:, :1, 0] - lights[..., 0]
    yield "its primaries are impossible: more light is darker", bool((loss > LOSS).any())
    leaps = np.abs(np.diff(lights, axis=1))
    yield "its primaries are impossible: it turns small steps into leaps", bool(leaps.max() > LEAP)
    is_bright = primaries[:, 0] > greys[-1, 0] - DARKER
    yield "its primaries are impossible: one is as light as white", bool(is_bright.any())


def faults_of_greys(greys: Lab) -> Iterator[tuple[str, bool]]:
    """Yield what could be wrong with greys, and whether it is; ``greys``: all levels in order."""
    fall = np.maximum.accumulate(greys[:, 0]) - greys[:, 0]
    yield "it makes lighter greys darker", bool(fall.max() > FALL)
    yield "it makes greys colourful", bool((np.abs(greys[:, 1:]) > TINT).any())


def mapped(colours: Bytes, to_lab: ToLab) -> Lab:
    """Signed, so that differences can be taken."""
    lab = to_lab(np.ascontiguousarray(colours))
    lights = lab[..., :1].astype(np.int16)
    return np.concatenate([lights, lab[..., 1:].astype(np.int8)], axis=2)
