"""Means over areas, which are OpenCV's."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvunet.matte import area

SIDES = st.integers(1, 40)
#: Tells the processor time of its own thread and of all its threads.
TIMED = """
import time
import cv2
import numpy as np
from cvunet.matte import area
cv2.setNumThreads(1)
pixels = np.zeros((1500, 5000, 3), np.uint8)
area.shrink(pixels, width=512, height=512)
time.sleep(0.2)  # OpenBLAS has threads that wait in a loop for a moment after they were made
own_s, all_s = time.thread_time(), time.process_time()
for _ in range(10):
    area.shrink(pixels, width=512, height=512)
print(time.thread_time() - own_s, time.process_time() - all_s)
"""


@settings(max_examples=200, deadline=None)
@given(
    small=st.tuples(SIDES, SIDES),
    large=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    bits=st.sampled_from([8, 16]),
    seed=st.integers(0, 1 << 16),
)
def test_shrinks_as_inter_area(
    small: tuple[int, int], large: tuple[int, int], bits: int, seed: int
):
    """Within one level for any sizes."""
    width, height = (min(each) for each in zip(small, large, strict=True))
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 2, (large[1], large[0], 3), f"uint{bits}") * np.uint16(2**bits - 1)
    pixels = pixels.astype(f"uint{bits}")

    shrunk = area.shrink(pixels, width=width, height=height)

    expected = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    difference = np.abs(shrunk.astype(np.int64) - expected.reshape(shrunk.shape))
    assert shrunk.dtype == pixels.dtype
    assert difference.max() <= 1


@pytest.mark.parametrize("shape", [(2999, 1001, 3), (1067, 1600, 3), (1600, 1067, 3)])
def test_a_photo_is_nearly_always_equal(shape: tuple[int, int, int]):
    """Only ties of the rounding differ: fewer than one sample in a thousand."""
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)

    shrunk = area.shrink(pixels, width=512, height=512)

    expected = cv2.resize(pixels, (512, 512), interpolation=cv2.INTER_AREA)
    assert (shrunk != expected).mean() < 0.001


@pytest.mark.parametrize(
    "rows", [2 * 33, 2 * 33 + 1, 4 * 33 - 1, 4 * 33, 4 * 33 + 1, 5 * 33 - 1, 20_000]
)
def test_parts_of_rows_count_in_part(rows: int):
    """A white line is spread by its share, and the whole keeps its mean."""
    pixels = np.zeros((rows, 3, 3), np.uint16)
    pixels[rows // 2] = 65535

    shrunk = area.shrink(pixels, width=3, height=33)

    assert shrunk.sum(dtype=np.int64) * rows / 33 == pytest.approx(
        pixels.sum(dtype=np.int64), rel=0.01
    )


def test_views_and_same_size():
    """A view with gaps between its rows; a picture of the size itself is returned as it is."""
    whole = np.random.default_rng(0).integers(0, 256, (200, 90, 3), np.uint8)
    view = whole[::2, 5:-5]

    shrunk = area.shrink(view, width=11, height=7)

    assert np.array_equal(shrunk, area.shrink(view.copy(), width=11, height=7))
    assert area.shrink(view, width=80, height=100) is view


def test_products_start_no_threads_of_their_own():
    """They would wait in a loop, on a core that another picture needs."""
    environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", TIMED], env=environment, capture_output=True, check=True, text=True
    )
    own_s, all_s = map(float, done.stdout.split())

    assert all_s < 1.3 * own_s
