"""A second look at a picture: mirrored and smaller.

A network that is sure of its subject finds it again. Our own network glances: its trunk sees a
small copy, which costs a third of a pass. Every other model has one size, so it is shown the
picture at three quarters of its size, in the middle of its own continuation. Both differ from the
first look even if the predictor averages mirrored pictures.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from cvunet.inference.predictor import Alpha, Glancing, Predictor
from cvunet.matte import confidence
from cvunet.pictures.bit_depth import Uint8Array

SHARE = 3 / 4


def look_again(
    predictor: Predictor, pictures: Sequence[Uint8Array], alphas: Sequence[Alpha]
) -> list[Alpha | None]:
    """Second alphas HxW of prepared pictures HxWx3, in order; None where one look is enough.

    On a CPU one look is enough if it is clear (`confidence.is_clear`). On a GPU a look costs less
    than that question. Errors as `Predictor.predict`.
    """
    is_cheap = predictor.device.type != "cpu"
    wanted = [
        index
        for index, alpha in enumerate(alphas)
        if is_cheap or not confidence.is_clear(confidence.judge(alpha))
    ]
    answers: list[Alpha | None] = [None] * len(pictures)
    if wanted:
        found = take(predictor, [pictures[index] for index in wanted])
        for index, answer in zip(wanted, found, strict=True):
            answers[index] = answer
    return answers


def take(predictor: Predictor, pictures: Sequence[Uint8Array]) -> list[Alpha]:
    """The second alphas HxW of all these prepared pictures HxWx3, in order.

    Errors as `Predictor.predict`.
    """
    if isinstance(predictor, Glancing) and predictor.glance_px is not None:
        side = predictor.glance_px
        found = predictor.glance([small_mirror(picture, side) for picture in pictures])
        return [
            mirror_back(answer, picture.shape[0], picture.shape[1])
            for answer, picture in zip(found, pictures, strict=True)
        ]
    return [back(answer) for answer in predictor.predict([away(one) for one in pictures])]


def small_mirror(picture: Uint8Array, side: int) -> Uint8Array:
    """The picture HxWx3 mirrored and squeezed, SxSx3."""
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[:, ::-1], np.uint8)


def mirror_back(alpha: Alpha, height: int, width: int) -> Alpha:
    """The answer SxS for such a picture, as an alpha HxW of the picture itself."""
    grown = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(grown[:, ::-1], np.float32)


def away(picture: Uint8Array) -> Uint8Array:
    """The picture HxWx3 mirrored, smaller, in the middle of its own continuation."""
    height, width = picture.shape[:2]
    rows, columns = round(height * SHARE), round(width * SHARE)
    small = cv2.resize(picture[:, ::-1], (columns, rows), interpolation=cv2.INTER_AREA)
    top, left = (height - rows) // 2, (width - columns) // 2
    shown = cv2.copyMakeBorder(
        small, top, height - rows - top, left, width - columns - left, cv2.BORDER_REFLECT_101
    )
    return np.asarray(shown, np.uint8)


def back(alpha: Alpha) -> Alpha:
    """The answer HxW for such a picture, as an alpha HxW of the picture itself."""
    height, width = alpha.shape
    rows, columns = round(height * SHARE), round(width * SHARE)
    top, left = (height - rows) // 2, (width - columns) // 2
    return mirror_back(alpha[top : top + rows, left : left + columns], height, width)
