"""Colours at the edge, and the pixels that users get."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvunet.matte import foreground, layers, transparency
from cvunet.matte.soft_band import soft_band
from cvunet.pictures.bit_depth import Samples

Bytes = NDArray[np.uint8]
Alpha = NDArray[np.float32]
Colours = NDArray[np.float64]


def scene(height: int, width: int) -> tuple[Bytes, Bytes, Alpha]:
    """Photo, true foreground and true alpha: a warm disc of soft edge before a cold gradient."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    reach = min(height, width) / 3
    distance = np.hypot(x - width / 2, y - height / 2) - reach
    alpha = np.clip(0.5 - distance / (reach / 5), 0, 1).astype(np.float32)
    front = np.dstack([220 + 30 * np.sin(x / reach * 3), 120 + 40 * y / height, 0 * x + 40])
    back = np.dstack([20 + 30 * y / height, 90 + 50 * x / width, 0 * x + 200])
    photo = front * alpha[..., None] + back * (1 - alpha[..., None])
    return np.round(photo).astype(np.uint8), np.round(front).astype(np.uint8), alpha


@pytest.mark.parametrize(("height", "width"), [(300, 400), (1500, 2000)])
def test_background_colour_leaves_the_edge(height: int, width: int):
    """The colour error in the soft band falls to half at most, in small and large pictures."""
    photo, truth, alpha = scene(height, width)
    soft = soft_band(alpha)

    estimated = foreground.estimate(photo, alpha)

    before, after = (
        float(np.abs(colours[soft].astype(float) - truth[soft]).mean())
        for colours in (photo, estimated)
    )
    assert after < before / 2


def test_large_pictures_are_treated_like_small_ones():
    """The same scene at twice the reference size gets the same colours, twice as large."""
    (small, _, alpha), (large, _, large_alpha) = scene(768, 1024), scene(1536, 2048)
    soft = soft_band(alpha)

    expected = foreground.estimate(small, alpha)
    actual = cv2.resize(
        foreground.estimate(large, large_alpha), (1024, 768), interpolation=cv2.INTER_AREA
    )

    assert np.abs(expected[soft].astype(float) - actual[soft]).mean() < 1


def test_opaque_pixels_keep_their_colours():
    """Where alpha is 1, or 0, not a level changes."""
    photo, _, alpha = scene(300, 400)
    plateau = ~soft_band(alpha)

    assert np.array_equal(photo[plateau], foreground.estimate(photo, alpha)[plateau])


def test_estimate_leaves_its_input():
    """The photo that was given is not written to."""
    photo, _, alpha = scene(300, 400)
    before = photo.copy()

    foreground.estimate(photo, alpha)

    assert np.array_equal(before, photo)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_no_edge_is_no_change(value: float):
    """A photo without a soft band comes back as it was."""
    photo, _, _ = scene(60, 80)

    estimated = foreground.estimate(photo, np.full((60, 80), value, np.float32))

    assert np.array_equal(photo, estimated)


def test_estimate_follows_the_papers_at_its_own_size():
    """Small photos are not made smaller: blur fusion pass by pass, corrected by least squares."""
    photo, _, alpha = scene(180, 250)
    soft, weight = soft_band(alpha), alpha[..., None].astype(np.float64)
    image = photo.astype(np.float64) / 255
    front = back = image
    for box in (box for _, boxes in layers.LEVELS for box in boxes):
        front, back = least_squares(image, weight, front, back)
        share = cv2.blur(alpha.astype(np.float64), (box, box))[..., None]
        front = cv2.blur(front * weight, (box, box)) / (share + 1e-5)
        back = cv2.blur(back * (1 - weight), (box, box)) / (1 - share + 1e-5)
    front, _ = least_squares(image, weight, front, back)

    estimated = foreground.estimate(photo, alpha)

    difference = np.abs(estimated.astype(float) - front * 255)[soft]
    assert difference.max() <= 1.5


def least_squares(
    image: Colours, weight: Colours, front: Colours, back: Colours
) -> tuple[Colours, Colours]:
    """Each pixel's two colours by solving for them, without the closed form."""
    rows = [np.concatenate([weight, 1 - weight], axis=2)]
    root = np.sqrt(layers.REGULARISATION)
    rows += [np.broadcast_to(np.array(unit) * root, rows[0].shape) for unit in ([1, 0], [0, 1])]
    matrix = np.stack(rows, axis=2)
    wanted = np.stack([image, front * root, back * root], axis=2)
    solved = np.linalg.pinv(matrix) @ wanted
    clipped = np.clip(solved, 0, 1)
    return clipped[..., 0, :], clipped[..., 1, :]


def test_a_copy_at_hand_gives_the_same_colours():
    """The network's square input serves as the small photo, whatever the photo's shape."""
    photo, _, alpha = scene(900, 1400)
    square = cv2.resize(photo, (512, 512), interpolation=cv2.INTER_AREA)

    estimated, spared = (
        foreground.estimate(photo, alpha, small_rgb=small).astype(float)
        for small in (None, square.astype(np.uint8))
    )

    assert np.abs(estimated - spared).mean() <= 0.05
    assert np.abs(estimated - spared).max() <= 6


@pytest.mark.parametrize("colours", ["fast", None])
def test_nothing_hides_under_transparency(colours: foreground.Estimator | None):
    """All four channels are 0 where the 8 bit alpha is 0."""
    photo, _, alpha = scene(100, 120)

    rgba = foreground.compose_rgba(photo, alpha, colours=colours)

    assert not rgba[rgba[..., 3] == 0].any()


def test_bleeding_takes_the_nearest_colour():
    """Transparent pixels get what the nearest visible pixel has; alpha and the rest stay."""
    photo = np.zeros((5, 9, 3), np.uint8)
    photo[:, 1], photo[:, 7] = (10, 20, 30), (70, 80, 90)
    alpha = np.zeros((5, 9), np.float32)
    alpha[:, 1], alpha[:, 7] = 1, 0.5

    rgba = foreground.compose_rgba(photo, alpha, colours=None, bleed=True)

    assert rgba[2, [0, 1, 3], :3].tolist() == [[10, 20, 30]] * 3
    assert rgba[2, [5, 7, 8], :3].tolist() == [[70, 80, 90]] * 3
    assert np.array_equal(foreground.alpha_levels(alpha), rgba[..., 3])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_bleeding_of_one_plateau(value: float):
    """Nothing to bleed from, or into: the colours stay."""
    photo, _, _ = scene(30, 40)

    rgba = foreground.compose_rgba(photo, np.full((30, 40), value, np.float32), bleed=True)

    assert np.array_equal(photo, rgba[..., :3])


def test_sixteen_bits_are_estimated_like_eight():
    """The same photo in another depth gets the same colours."""
    photo, _, alpha = scene(200, 240)

    eight = foreground.estimate(photo, alpha)
    sixteen = foreground.estimate(photo.astype(np.uint16) * 257, alpha)

    assert sixteen.dtype == np.uint16
    assert np.abs(sixteen / 257 - eight).max() <= 1


def test_alpha_is_rounded():
    """Half a level up is the next level; less than half a level is nothing."""
    photo = np.full((1, 3, 3), 9, np.uint8)
    alpha = np.array([[0.4 / 255, 0.6 / 255, 1.0]], np.float32)

    rgba = foreground.compose_rgba(photo, alpha, colours=None)

    assert rgba[0].tolist() == [[0, 0, 0, 0], [9, 9, 9, 1], [9, 9, 9, 255]]


def test_source_alpha_multiplies():
    """What was transparent in the source stays so; where it is evenly half, colours are mixed."""
    photo, truth, alpha = scene(100, 120)
    source = np.zeros((100, 120), np.uint8)
    source[:, 60:] = 128

    rgba = foreground.compose_rgba(photo, alpha, colours="fast", source_alpha=source)

    soft = soft_band(alpha)
    soft[:, :72] = False  # at the border of both halves the photo's own colours stay
    assert (int(rgba[50, 40, 3]), int(rgba[50, 70, 3])) == (0, 128)
    before, after = (
        float(np.abs(colours[soft].astype(float) - truth[soft]).mean())
        for colours in (photo, rgba[..., :3])
    )
    assert after < before / 2


@pytest.mark.parametrize("colours", ["fast", "refine"])
@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (0, 90, 255)])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_an_earlier_cut_out_keeps_its_colours(
    colours: foreground.Estimator,
    hidden: tuple[int, int, int],
    depth: type[np.uint8] | type[np.uint16],
):
    """Straight alpha: soft pixels are pure, and what is hidden means nothing."""
    if colours == "refine":
        pytest.importorskip("pymatting")
    _, truth, alpha = scene(300, 400)
    levels = int(np.iinfo(depth).max) // 255
    own: Samples = (np.round(alpha * 255) * levels).astype(depth)
    below = np.array(hidden, np.uint8)
    photo: Samples = (np.where(own[..., None] > 0, truth, below) * depth(levels)).astype(depth)
    # The network's edge is a little softer than the true one.
    seen: Alpha = cv2.GaussianBlur(alpha, (0, 0), 3).astype(np.float32)

    made = foreground.compose_rgba(photo, seen, colours=colours, source_alpha=own)

    shown = made[..., 3] > 0
    change = np.abs(made[..., :3].astype(int) - truth.astype(int) * levels).max(-1)[shown]
    assert int(change.max()) <= 12 * levels
    assert float(change.mean()) < 0.5 * levels


def test_an_opaque_alpha_of_its_own_changes_nothing():
    """Many programs write RGBA whatever the picture is."""
    photo, _, alpha = scene(200, 240)
    own = np.full(alpha.shape, 255, np.uint8)

    plain, opaque = (
        foreground.compose_rgba(photo, alpha, source_alpha=each) for each in (None, own)
    )
    assert np.array_equal(plain, opaque)


@pytest.mark.parametrize("size", [(41, 53), (300, 400), (1100, 1403), (64, 9001), (9001, 64)])
def test_a_small_copy_shows_what_is_visible(size: tuple[int, int]):
    """Of a picture whose hidden half is white; the rest has the nearest visible colours."""
    rgb = np.full((*size, 3), 255, np.uint8)
    own = np.zeros(size, np.uint8)
    own[: size[0] // 2], rgb[: size[0] // 2] = 255, (10, 200, 90)

    small = transparency.visible_copy(rgb, own, (40, 32))

    assert small.shape == (32, 40, 3)
    assert np.abs(small.astype(int) - (10, 200, 90)).max() <= 1


def test_flatten_mixes_by_alpha():
    """Opaque, half and empty pixels over white."""
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 128], [0, 0, 0, 0]]], np.uint8)

    flat = foreground.flatten(rgba, (255, 255, 255))

    assert flat[0].tolist() == [[10, 20, 30], [132, 137, 142], [255, 255, 255]]


def test_flatten_over_a_picture():
    """Each pixel gets its own background."""
    rgba = np.zeros((1, 2, 4), np.uint8)
    background = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)

    assert background.tolist() == foreground.flatten(rgba, background).tolist()


def test_background_of_another_size_is_refused():
    """A background picture must have been resized before."""
    with pytest.raises(ValueError, match="broadcast"):
        foreground.flatten(np.zeros((4, 4, 4), np.uint8), np.zeros((5, 4, 3), np.uint8))
