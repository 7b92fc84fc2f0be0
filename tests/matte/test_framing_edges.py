"""Rounding to whole pixels: nothing of the subject is cut off, what touches an edge stays there."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cvunet.matte.framing import ALIGNMENTS, Framing, frame, whole_pixels

Pixels = NDArray[np.uint8]
ASPECTS = (None, 2 / 3, 0.8, 1.0, 1.5, 9 / 16, 0.7123)
SIDES = st.integers(1, 60)


def picture(size: tuple[int, int], box: tuple[int, int, int, int]) -> Pixels:
    """Transparent, but for an opaque subject of (left, top, right, bottom)."""
    left, top, right, bottom = box
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    pixels[top:bottom, left:right] = 255
    return pixels


def seen(result: Pixels) -> tuple[list[int], list[int]]:
    """The columns and the rows that show something of the subject, first and last."""
    alpha = result[..., 3] > 127
    rows, columns = np.flatnonzero(alpha.any(1)).tolist(), np.flatnonzero(alpha.any(0)).tolist()
    return [columns[0], columns[-1]], [rows[0], rows[-1]]


@pytest.mark.parametrize(
    ("size", "box", "options", "expected"),
    [
        ((200, 101), (50, 41, 116, 101), {"aspect": 0.8}, ((66, 82), [0, 65], [22, 81])),
        ((200, 101), (50, 41, 112, 101), {"aspect": 0.8}, ((62, 78), [0, 61], [18, 77])),
        (
            (100, 100),
            (21, 20, 31, 31),
            {"aspect": 1.5, "align": "right"},
            ((16, 11), [6, 15], [0, 10]),
        ),
    ],
)
def test_half_pixels_cost_no_row(
    size: tuple[int, int], box: tuple[int, int, int, int], options: Any, expected: Any
):
    """One edge on a whole pixel, free space of k + 0.5: these lost a row, or floated above it."""
    result = frame(picture(size, box), Framing(mode="subject", **options))

    assert (result.shape[1::-1], *seen(result)) == expected


def test_a_portrait_stands_on_the_lower_edge_of_its_canvas():
    """Place and size were rounded each by itself: the last row was empty."""
    pixels = picture((200, 320), (50, 260, 110, 320))

    result = frame(pixels, Framing(mode="subject", aspect=1.0, canvas=(100, 100), margin=0.05))

    assert result[-1, 50].tolist() == [255] * 4
    assert seen(result)[1] == [10, 99]


@st.composite
def subjects(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """A picture's size, and the box of its subject."""
    across, down = draw(st.tuples(SIDES, SIDES)), draw(st.tuples(SIDES, SIDES))
    spare = st.sampled_from((0, 0, 1, 7, 30))
    after = draw(spare), draw(spare)
    left, top = across[0] - 1, down[0] - 1
    right, bottom = left + across[1], top + down[1]
    return (right + after[0], bottom + after[1]), (left, top, right, bottom)


@st.composite
def framings(draw: st.DrawFn, *, with_canvas: bool) -> Framing:
    """Any framing of the subject."""
    canvas = draw(st.tuples(st.integers(5, 90), st.integers(5, 90))) if with_canvas else None
    return Framing(
        mode="subject",
        margin=draw(st.sampled_from((0.0, 0.05, 0.075, 1 / 3, 0.45))),
        aspect=canvas[0] / canvas[1] if canvas else draw(st.sampled_from(ASPECTS)),
        canvas=canvas,
        align=draw(st.sampled_from(sorted(ALIGNMENTS))),
        enlarge=draw(st.booleans()),
    )


def lone_edges(size: tuple[int, int], box: tuple[int, int, int, int]) -> list[tuple[int, bool]]:
    """Edges of the picture that the subject touches, but for two that face each other.

    Each as its axis (0: across) and whether it is the far one.
    """
    touched = [(box[axis] == 0, box[2 + axis] == size[axis]) for axis in (0, 1)]
    return [(axis, far) for axis, (near, far) in enumerate(touched) if near != far]


@given(subjects(), framings(with_canvas=False))
def test_no_row_of_the_subject_is_lost(subject: Any, framing: Framing):
    """It has all of its rows and columns, and touches the edges that it touched."""
    size, box = subject

    result = frame(picture(size, box), framing)

    for (first, last), begin, end in zip(seen(result), box[:2], box[2:], strict=True):
        assert last - first + 1 == end - begin
    if framing.aspect is not None:
        assert abs(result.shape[1] - result.shape[0] * framing.aspect) <= 1 + framing.aspect
    for axis, is_far in lone_edges(size, box):
        assert seen(result)[axis][is_far] == (result.shape[1 - axis] - 1 if is_far else 0)


@given(subjects(), framings(with_canvas=True))
def test_nothing_is_cut_off_a_canvas(subject: Any, framing: Framing):
    """The size is exact; the subject is as large as it may be, and at the edges that it touched."""
    size, box = subject
    assert framing.canvas is not None

    result = frame(picture(size, box), framing)

    assert result.shape[1::-1] == framing.canvas
    scale = scale_of(size, box, framing)
    for axis in (0, 1):  # its size is rounded, and so is each end
        profile = result[..., 3].sum(axis, dtype=float)
        length = (profile > profile.max() / 2).sum()
        assert length >= (box[2 + axis] - box[axis]) * scale - 1.51
    for axis, is_far in lone_edges(size, box):
        profile = result[..., 3].sum(axis, dtype=float)
        assert profile[-1 if is_far else 0] > 0.9 * profile.max()


def scale_of(size: tuple[int, int], box: tuple[int, int, int, int], framing: Framing) -> float:
    """Pixels of the canvas for each of the picture."""
    assert framing.canvas is not None
    scales = [] if framing.enlarge else [1.0]
    lone = [axis for axis, _ in lone_edges(size, box)]
    for axis in (0, 1):
        is_cut = box[axis] == 0 and box[2 + axis] == size[axis]
        margins = 0 if is_cut else 1 if axis in lone else 2
        shown = 1 - margins * framing.margin
        scales.append(framing.canvas[axis] * shown / (box[2 + axis] - box[axis]))
    return min(scales)


@given(
    st.floats(-1e5, 1e5), st.floats(0, 1e5), st.booleans(), st.sampled_from((0.0, 1e-10, -1e-10))
)
def test_ends_on_whole_pixels_stay(start: float, length: float, is_end: bool, noise: float):
    """Either end; the other one moves by less than a pixel, and the length is rounded."""
    length = max(length, 1.0)
    start = round(start + length) - length if is_end else float(round(start))

    first, count = whole_pixels(start + noise, length)

    assert count == round(length)
    assert abs(first - start) < 1
    assert abs(first + count - (start + length)) < 1
    assert (first + count == round(start + length)) if is_end else (first == start)
