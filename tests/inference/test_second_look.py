"""A second look: how it is shown to the network, and when it is taken."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.inference import second_look

Uint8Array = NDArray[np.uint8]
Alpha = NDArray[np.float32]


@dataclass
class Device:
    """A device by its type."""

    type: str = "cpu"


@dataclass
class RedIsSubject:
    """A predictor that answers with the red of what it sees, and counts."""

    device: Device = field(default_factory=Device)
    asked: int = 0

    def predict(self, batch: Sequence[Uint8Array]) -> list[Alpha]:
        """See `Predictor.predict`."""
        self.asked += len(batch)
        return [(picture[..., 0] / 255).astype(np.float32) for picture in batch]


@dataclass
class Glances(RedIsSubject):
    """The same predictor, with a second pass for small pictures."""

    glance_px: int | None = 32
    glanced: list[tuple[int, ...]] = field(default_factory=list)

    def glance(self, batch: Sequence[Uint8Array]) -> list[Alpha]:
        """See `predictor.Glancing`."""
        self.glanced += [one.shape for one in batch]
        return [(picture[..., 0] / 255).astype(np.float32) for picture in batch]


def picture(height: int = 128, width: int = 128, *, grey: int = 0) -> Uint8Array:
    """A red disc left of the middle; ``grey`` is the red of its inside."""
    canvas = np.zeros((height, width, 3), np.uint8)
    cv2.circle(canvas, (width // 3, height // 2), height // 4, (255, 0, 0), -1)
    if grey:
        cv2.circle(canvas, (width // 3, height // 2), height // 12, (grey, 0, 0), -1)
    return canvas


@pytest.mark.parametrize(("height", "width"), [(128, 128), (96, 128), (129, 65)])
def test_look_comes_back_to_its_place(height: int, width: int):
    """Mirrored and smaller when it is shown, and as it was in the answer."""
    seen = picture(height, width)
    shown = second_look.away(seen)
    alpha = second_look.back((shown[..., 0] / 255).astype(np.float32))

    assert shown.shape == seen.shape
    assert shown[height // 2, width - 1 - width // 3, 0] > 200
    assert np.abs(alpha - seen[..., 0] / 255).mean() < 0.03


def test_clear_pictures_are_not_looked_at_again():
    """On a CPU a look costs as much as the first one, so it is taken only in doubt."""
    predictor: Any = RedIsSubject()  # Any: only what a look asks of a predictor
    pictures = [picture(), picture(grey=120), np.zeros((128, 128, 3), np.uint8)]
    looks = second_look.look_again(predictor, pictures, RedIsSubject().predict(pictures))

    assert [look is not None for look in looks] == [False, True, False]
    assert predictor.asked == 1


def test_gpu_looks_at_all_pictures():
    """There the question costs more than the look."""
    predictor: Any = RedIsSubject(Device("cuda"))  # Any: as above
    pictures = [picture(), picture(grey=120)]
    looks = second_look.look_again(predictor, pictures, RedIsSubject().predict(pictures))

    assert all(look is not None for look in looks)


def test_no_picture_needs_no_pass():
    """An empty batch."""
    predictor: Any = RedIsSubject()  # Any: only what a look asks of a predictor

    assert second_look.look_again(predictor, [], []) == []
    assert predictor.asked == 0


@pytest.mark.parametrize(("height", "width"), [(128, 128), (96, 128)])
def test_our_own_network_glances(height: int, width: int):
    """At a small copy, mirrored, whose answer comes back to its place; no whole pass is made."""
    predictor: Any = Glances()  # Any: only what a look asks of a predictor
    seen = picture(height, width)
    [look] = second_look.take(predictor, [seen])

    assert (predictor.asked, predictor.glanced) == (0, [(32, 32, 3)])
    assert look.shape == (height, width)
    assert np.abs(look - seen[..., 0] / 255).mean() < 0.05


def test_glance_is_mirrored():
    """A network that prefers one side must not agree with itself."""
    seen = picture()
    shown = second_look.small_mirror(seen, 32)

    assert shown[16, 31 - 32 // 3, 0] > 200
    assert shown[16, 32 // 3 - 4, 0] < 50


def test_model_of_one_size_is_asked_for_a_whole_pass():
    """Its file takes no smaller picture."""
    predictor: Any = Glances(glance_px=None)  # Any: as above
    second_look.take(predictor, [picture()])

    assert (predictor.asked, predictor.glanced) == (1, [])
