"""Clips and models of other programs, whose descriptions say how a picture becomes their input."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import cvunet
from cvunet.errors import CvunetError
from cvunet.inference import onnx_predictor
from cvunet.inference.onnx_predictor import OnnxPredictor
from cvunet.inference.preparation import Preparation
from cvunet.models.description import Description, Fit
from cvunet.video.pipeline import ClipRendering
from cvunet.video.steadying import Steady
from tests.inference import onnx_kit
from tests.video.moving_disc import ALPHA, find_red, moving, results

#: How the input is filled, its sides in the file and its description (width, height).
FITS: list[tuple[Fit, tuple[int | str, int | str], tuple[int, int]]] = [
    ("squeeze", (64, 96), (96, 64)),
    ("letterbox", (96, 96), (96, 96)),
    ("letterbox", (96, 64), (64, 96)),
    ("shorter", ("height", "width"), (64, 64)),
]
every_fit = pytest.mark.parametrize(("fit", "sides", "own"), FITS)
needs_clips = pytest.mark.video


@dataclass
class Seeing:
    """A session that keeps what it is shown."""

    inner: Any
    seen: list[NDArray[np.float32]] = field(default_factory=list)

    def run(self, image: NDArray[np.float32], output: str) -> NDArray[np.float32]:
        """As the real one."""
        self.seen.append(image.copy())
        answer: NDArray[np.float32] = self.inner.run(image, output)
        return answer


def opened(
    folder: Path, fit: Fit, sides: tuple[int | str, int | str], own: tuple[int, int]
) -> OnnxPredictor:
    """A model whose alpha is how bright the red of its input is."""
    path = onnx_kit.write(folder / "tiny.onnx", shape=(1, 3, *sides), gain=1.0)
    described = Description(
        sha256="",
        bytes=1,
        width=own[0],
        height=own[1],
        mean=(0.2, 0.3, 0.4),
        deviation=(1.0, 1.0, 1.0),
        answer="probabilities",
        fit=fit,
    )
    return onnx_predictor.open_predictor(path, described, device="cpu", threads=1)


def write_clip(path: Path) -> NDArray[np.uint8]:
    """Three equal frames 90x160 without loss; returns them."""
    rgb = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    first, *others = (Image.fromarray(np.roll(rgb, shift, 1)) for shift in range(3))
    first.save(path, save_all=True, append_images=others, duration=100, lossless=True)
    return rgb


@every_fit
@needs_clips
def test_a_frame_is_shown_as_the_same_picture(
    tmp_path: Path, fit: Fit, sides: tuple[int | str, int | str], own: tuple[int, int]
):
    """Whole, with its margins if there are any, and in its own shape if the model wants that."""
    pytest.importorskip("av")
    rgb = write_clip(tmp_path / "in.webp")
    predictor = opened(tmp_path, fit, sides, own)
    shown: Any = Seeing(predictor.session)
    predictor.session = shown

    cvunet.cut_out(predictor, cvunet.read_picture(rgb))
    (of_picture,) = shown.seen
    made = cvunet.cut_out_clip(predictor, tmp_path / "in.webp", tmp_path / "out.zip")

    assert made.frames == 3
    np.testing.assert_array_equal(shown.seen[1], of_picture)


@every_fit
def test_the_mask_of_a_close_look_lies_where_the_subject_is(
    fit: Fit, sides: tuple[int | str, int | str], own: tuple[int, int]
):
    """The alpha belongs to the box that was looked at, whatever shape either has."""
    frames = moving(18, step=2.0)
    shapes: set[tuple[int, ...]] = set()

    def predict(pictures: Any) -> Any:
        shapes.update(picture.shape[:2] for picture in pictures)
        return find_red(pictures)

    how = ClipRendering(ALPHA, Steady(0), prepare=Preparation(*own, fit))
    found = results(frames, how, predict=predict)

    for frame, alpha in zip(frames, found, strict=True):
        is_red = frame.rgb[..., 0].astype(int) - frame.rgb[..., 1] > 100
        is_subject = alpha > 127
        assert (is_red & is_subject).sum() / (is_red | is_subject).sum() > 0.9
    assert all(how.prepare.can_be(*shape) for shape in shapes)  # type: ignore[attr-defined]
    assert (len(shapes) > 1) == (fit != "squeeze")


@pytest.mark.parametrize("kind", ["picture", pytest.param("clip", marks=needs_clips)])
def test_what_the_runtime_refuses_is_an_error_of_the_library(tmp_path: Path, kind: str):
    """With words of the runtime, and what to do."""
    predictor = opened(tmp_path, "squeeze", (64, 96), (96, 64))
    predictor.preparation = Preparation(64, 64)  # not what its input is
    rgb = write_clip(tmp_path / "in.webp")

    with pytest.raises(CvunetError, match=r"INVALID_ARGUMENT.*description"):
        if kind == "picture":
            cvunet.cut_out(predictor, cvunet.read_picture(rgb))
        else:
            pytest.importorskip("av")
            cvunet.cut_out_clip(predictor, tmp_path / "in.webp", tmp_path / "out.zip")

    assert not (tmp_path / "out.zip").exists()
