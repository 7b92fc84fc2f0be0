"""Crop, margin, aspect, canvas: which part of a cut-out is shown, and how large."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.errors import ImageError
from cvunet.matte.framing import ALIGNMENTS, Framing, cover, frame, subject_box

Pixels = NDArray[Any]  # Any: uint8 or uint16
WIDTH, HEIGHT = 60, 40
#: The subject: columns 10 to 29, rows 5 to 14.
LEFT, TOP, RIGHT, BOTTOM = 10, 5, 30, 15
DTYPES = (np.uint8, np.uint16)


def top(dtype: Any) -> int:
    """The level that means white."""
    return int(np.iinfo(dtype).max)


def cutout(dtype: Any = np.uint8, *, haze: int = 0) -> Pixels:
    """A red block on nothing; ``haze`` levels of alpha everywhere else."""
    pixels = np.zeros((HEIGHT, WIDTH, 4), dtype)
    pixels[..., 3] = haze
    pixels[TOP:BOTTOM, LEFT:RIGHT] = (top(dtype), 0, 0, top(dtype))
    return pixels


def extent(pixels: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is more than half opaque."""
    alpha = pixels if pixels.ndim == 2 else pixels[..., 3]
    rows, columns = np.nonzero(alpha > top(pixels.dtype) // 2)
    return (
        int(columns.min()),
        int(rows.min()),
        int(columns.max()) + 1,
        int(rows.max()) + 1,
    )


# --- the whole picture -------------------------------------------------------------------------


def test_nothing_asked_for_changes_nothing():
    """Not even a copy is made."""
    pixels = cutout()

    assert frame(pixels, Framing()) is pixels


def test_a_wide_canvas_holds_the_whole_picture():
    """Without a crop the picture is fitted in, the rest is transparent."""
    result = frame(cutout(), Framing(canvas=(120, 120), aspect=1.0))

    assert result.shape == (120, 120, 4)
    assert extent(result) == (20, 30, 60, 50)  # twice as large, 20 px down for the middle


# --- the subject -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_crop_is_the_subjects_box(dtype: Any):
    """To the pixel, in its own type."""
    result = frame(cutout(dtype), Framing(mode="subject"))

    assert (result.shape, result.dtype) == ((10, 20, 4), np.dtype(dtype))
    assert (result == (top(dtype), 0, 0, top(dtype))).all()


@pytest.mark.parametrize(("haze", "is_cropped"), [(9, True), (10, False)])
def test_haze_under_the_threshold_is_no_subject(haze: int, is_cropped: bool):
    """rembg's users ask for this: a box round a faint haze is the picture."""
    result = frame(cutout(haze=haze), Framing(mode="subject", threshold=10))

    assert (result.shape == (10, 20, 4)) is is_cropped


def test_threshold_of_16_bits_is_the_same_share():
    """10 of 255 are 2570 of 65535."""
    box = subject_box(cutout(np.uint16, haze=2569), threshold=10)

    assert box is not None
    assert (box.left, box.top, box.width, box.height) == (LEFT, TOP, 20, 10)
    assert subject_box(cutout(np.uint16, haze=2570), threshold=10) != box


def test_a_mask_is_cropped_like_its_cutout():
    """One channel that is alpha itself."""
    framing = Framing(mode="subject", margin=0.1)

    assert (frame(cutout()[..., 3], framing) == frame(cutout(), framing)[..., 3]).all()


def test_without_a_subject_the_picture_stays_whole():
    """An empty matte is flagged elsewhere; it is no reason to fail."""
    empty = np.zeros((HEIGHT, WIDTH, 4), np.uint8)

    assert frame(empty, Framing(mode="subject")).shape == empty.shape


def test_margin_is_a_share_of_the_result():
    """10 % on each side: the subject's 20 px are 80 % of 25."""
    result = frame(cutout(), Framing(mode="subject", margin=0.1))

    assert result.shape == (12, 25, 4)
    assert extent(result)[2] - extent(result)[0] == 20


def test_a_frame_beyond_the_picture_is_transparent():
    """The subject stands near a corner."""
    result = frame(cutout(), Framing(mode="subject", margin=0.4))

    assert result.shape == (50, 100, 4)
    assert extent(result) == (40, 20, 60, 30)
    assert result[0].max() == 0


@pytest.mark.parametrize(("aspect", "shape"), [(1.0, (20, 20, 4)), (4.0, (10, 40, 4))])
def test_aspect_adds_room(aspect: float, shape: tuple[int, ...]):
    """It never cuts the subject."""
    result = frame(cutout(), Framing(mode="subject", aspect=aspect))

    assert result.shape == shape
    assert (result[..., 3] > 0).sum() == 200


@pytest.mark.parametrize(
    ("align", "expected"),
    [
        ("center", (0, 5)),
        ("top", (0, 0)),
        ("bottom", (0, 10)),
        ("left", (0, 5)),
        ("bottom-right", (0, 10)),
    ],
)
def test_align_in_the_room_above_and_below(align: str, expected: tuple[int, int]):
    """A wide subject in a square: there is room above and below only."""
    assert extent(frame(cutout(), Framing(mode="subject", aspect=1.0, align=align)))[:2] == expected


@pytest.mark.parametrize(
    ("align", "left"), [("left", 0), ("center", 10), ("right", 20), ("top", 10), ("top-right", 20)]
)
def test_align_in_the_room_beside(align: str, left: int):
    """The same to the sides."""
    assert extent(frame(cutout(), Framing(mode="subject", aspect=4.0, align=align)))[0] == left


def test_align_keeps_the_margin():
    """At the bottom means on the margin's edge."""
    framing = Framing(mode="subject", aspect=1.0, margin=0.1, align="bottom", canvas=(100, 100))

    assert extent(frame(cutout(), framing)) == (10, 50, 90, 90)


def cut_off(*, at: str, dtype: Any = np.uint8) -> Pixels:
    """The subject goes on beyond one edge of the photo."""
    whole = np.zeros((HEIGHT, WIDTH), dtype)
    rows = {"top": slice(0, 10), "bottom": slice(30, HEIGHT)}.get(at, slice(15, 25))
    columns = {"left": slice(0, 20), "right": slice(40, WIDTH)}.get(at, slice(20, 40))
    whole[rows, columns] = top(dtype)
    return whole


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("align", ["center", "bottom", "top-left"])
@pytest.mark.parametrize(
    ("at", "index", "edge"), [("left", 0, 0), ("top", 1, 0), ("right", 2, 90), ("bottom", 3, 90)]
)
def test_what_the_photo_cuts_off_stays_at_the_edge(
    dtype: Any, align: str, at: str, index: int, edge: int
):
    """No margin and no room there, whatever the alignment: it would hang in the air."""
    framing = Framing(mode="subject", margin=0.1, aspect=1.0, canvas=(90, 90), align=align)

    assert extent(frame(cut_off(at=at, dtype=dtype), framing))[index] == edge


def test_haze_at_the_edge_cuts_nothing_off():
    """A box may reach the edge for a haze's sake; the subject is whole, and gets its margin."""
    pixels = cut_off(at="none")
    pixels[25:, 20:40] = 30
    result = frame(pixels, Framing(mode="subject", margin=0.2))

    assert result.shape[0] == round(25 / 0.6)


def test_all_places_are_known():
    """The configuration offers nine; a wrong one would raise at the first picture."""
    assert len(ALIGNMENTS) == 9


# --- the canvas --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(10, 10), (400, 400), (200, 100), (33, 77)])
def test_canvas_has_its_size(dtype: Any, size: tuple[int, int]):
    """To the pixel, whatever is in it; the subject fills 80 % of the tighter side."""
    framing = Framing(mode="subject", margin=0.1, canvas=size, aspect=size[0] / size[1])
    result = frame(cutout(dtype), framing)
    left, above, right, below = extent(result)

    assert (result.shape, result.dtype) == ((size[1], size[0], 4), np.dtype(dtype))
    filled = max((right - left) / size[0], (below - above) / size[1])
    assert filled == pytest.approx(0.8, abs=max(1.5 / min(size), 0.006))


def test_marketplace_preset_fills_85_per_cent():
    """What shops ask for."""
    framing = Framing(mode="subject", margin=0.075, canvas=(2000, 2000), aspect=1.0)
    left, _, right, _ = extent(frame(cutout(), framing))

    assert (right - left) / 2000 == pytest.approx(0.85, abs=0.006)


def test_small_subject_is_not_enlarged_if_forbidden():
    """It gets more room instead: every pixel as it was."""
    framing = Framing(mode="subject", canvas=(100, 100), aspect=1.0, enlarge=False)
    result = frame(cutout(), framing)

    assert extent(result) == (40, 45, 60, 55)
    assert (result[result[..., 3] > 0] == (255, 0, 0, 255)).all()


def test_large_subject_shrinks_though_enlarging_is_forbidden():
    """The canvas is never smaller than it should be, nor larger."""
    framing = Framing(mode="subject", canvas=(10, 10), aspect=1.0, enlarge=False)
    result = frame(cutout(), framing)

    assert result.shape == (10, 10, 4)
    assert extent(result)[::2] == (0, 10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [7, 90])
def test_edges_keep_their_colour_when_scaled(dtype: Any, size: int):
    """Black under alpha 0 must not creep into half transparent pixels."""
    result = frame(
        cutout(dtype), Framing(mode="subject", margin=0.2, canvas=(size, size), aspect=1)
    )
    soft = (result[..., 3] > top(dtype) * 0.05) & (result[..., 3] < top(dtype) * 0.95)

    assert soft.any()
    assert (result[soft][:, 0] > top(dtype) * 0.98).all()
    assert (result[result[..., 3] == 0] == 0).all()


def test_opaque_pictures_are_scaled_too():
    """Three channels have no alpha; all of them is shown."""
    result = frame(np.full((40, 60, 3), 200, np.uint8), Framing(canvas=(30, 20), aspect=1.5))

    assert result.shape == (20, 30, 3)
    assert (result == 200).all()


def test_a_frame_that_is_too_large_is_refused():
    """Margin and aspect can ask for more pixels than memory has."""
    pixels = np.full((3000, 3000), 255, np.uint8)

    with pytest.raises(ImageError, match="canvas"):
        frame(pixels, Framing(margin=0.45))


# --- backgrounds -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (300, 20), (9, 9), (20, 300)])
def test_background_covers(size: tuple[int, int]):
    """Any shape is filled wholly, from the middle of the picture."""
    picture = np.zeros((50, 90, 3), np.uint8)
    picture[:, 40:50] = 255
    result = cover(picture, width=size[0], height=size[1])

    assert result.shape == (size[1], size[0], 3)
    assert result[size[1] // 2, size[0] // 2].min() > 200


@pytest.mark.parametrize("aspect", [0.002, 0.5, 1.0, 2.0, 999.0])
def test_background_covers_pixels_that_are_not_square(aspect: float):
    """A circle is shown as one: it has fewer of the wide pixels across than down."""
    picture = np.zeros((200, 200, 3), np.uint8)
    rows, columns = np.mgrid[:200, :200] - 99.5
    picture[rows**2 + columns**2 < 40**2] = 255

    result = cover(picture, width=96, height=96, aspect=aspect)[..., 0] > 127

    assert result.shape == (96, 96)
    if 0.4 < aspect < 3:
        across, down = result.any(axis=0).sum(), result.any(axis=1).sum()
        assert across * aspect == pytest.approx(down, abs=3)
