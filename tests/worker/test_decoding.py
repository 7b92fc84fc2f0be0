"""What a picture will cost is known before it is decoded."""

import dataclasses
import os
from pathlib import Path
from typing import BinaryIO, Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvunet.matte.framing import ALIGNMENTS, MAX_PIXELS, frame
from cvunet.matte.framing import Framing as LibraryFraming
from cvunet.pictures.reading import PictureInfo
from daemon.errors import PictureError
from daemon.jobs import Task
from daemon.renderings import Format, Framing
from daemon.worker import decoding
from tests.samples import RENDERING

SIDE = 50


def written(path: Path, kind: type[np.unsignedinteger], channels: int) -> Path:
    """A PNG of noise."""
    noise = np.random.default_rng(1).integers(0, 200, (SIDE, SIDE, channels), kind)
    assert cv2.imwrite(str(path), noise)
    return path


def task_of(source: Path, **rendering: object) -> Task:
    """A picture and how its result is wanted."""
    wanted = dataclasses.replace(RENDERING, **rendering)  # type: ignore[arg-type]
    return Task("1", source, source.with_suffix(".part"), wanted, 10**8)


def looked_at(stream: BinaryIO, task: Task) -> decoding.FileFacts:
    """What is known of an open file."""
    identity = decoding.identify(stream, max_file_bytes=10**9)
    return decoding.inspect(decoding.DecodingHere(stream, task), identity, task)


def cost(source: Path, **rendering: object) -> float:
    """Bytes for each pixel."""
    with source.open("rb") as stream:
        outlook = looked_at(stream, task_of(source, **rendering))
    assert outlook.identity.size == source.stat().st_size
    return outlook.cost / SIDE**2


def test_depth_and_alpha_cost(tmp_path: Path):
    """As much as was measured, for results that keep the depth; the deep one to be decoded."""
    plain, clear = (written(tmp_path / f"{n}.png", np.uint8, n) for n in (3, 4))
    deep = written(tmp_path / "deep.png", np.uint16, 3)

    costs = [cost(each, depth="auto", format="png") for each in (plain, clear, deep)]

    assert costs == [19, 24, 38]


def test_deep_file_for_a_shallow_result_still_has_to_be_read(tmp_path: Path):
    """Its decoding takes more than what is left of it."""
    deep = written(tmp_path / "deep.png", np.uint16, 3)

    assert cost(deep, depth=8) > 30


@pytest.mark.parametrize(
    ("framing", "times"),
    [
        (Framing(), 1),
        (Framing(mode="subject"), 1),
        (Framing(canvas=(500, 500)), 100),
        (Framing(canvas=(20, 10), aspect=2.0, margin=0.45), 1),
        (Framing(aspect=4.0), 4),
        (Framing(aspect=0.25), 4),
        (Framing(mode="subject", margin=0.25), 4),
        (Framing(mode="subject", margin=0.4, aspect=2.0), 50),
    ],
    ids=str,
)
def test_large_result_costs(tmp_path: Path, framing: Framing, times: int):
    """Canvas, aspect and margin may make it larger than the picture; a canvas is the exact size."""
    small = written(tmp_path / "a.png", np.uint8, 3)
    with small.open("rb") as stream:
        pixels = looked_at(stream, task_of(small, framing=framing)).pixels

    assert pixels == times * SIDE**2
    assert cost(small, framing=framing) == 19 + decoding.RESULT_BYTES * (times - 1)


def test_result_that_is_refused_costs_no_more_than_the_largest(tmp_path: Path):
    """It is never made."""
    strip = tmp_path / "a.png"
    assert cv2.imwrite(str(strip), np.zeros((1, 20_000, 3), np.uint8))
    with strip.open("rb") as stream:
        outlook = looked_at(stream, task_of(strip, framing=Framing(aspect=1.0)))

    assert outlook.pixels == MAX_PIXELS < 20_000**2


@given(
    margin=st.floats(0, 0.45),
    aspect=st.none() | st.floats(0.1, 9),
    align=st.sampled_from(sorted(ALIGNMENTS)),
    mode=st.sampled_from(["none", "subject"]),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    subject=st.tuples(*[st.integers(0, 29)] * 4),
)
def test_result_is_never_larger_than_was_counted(
    margin: float,
    aspect: float | None,
    align: str,
    mode: Literal["none", "subject"],
    size: tuple[int, int],
    subject: tuple[int, int, int, int],
):
    """Wherever the subject is, and whatever sides cut it off."""
    wanted = Framing(mode=mode, margin=margin, aspect=aspect, align=align)
    width, height = size
    alpha = np.zeros((height, width), np.uint8)
    top, left, rows, columns = subject
    alpha[top : top + rows, left : left + columns] = 255
    framed = frame(alpha, LibraryFraming(**dataclasses.asdict(wanted)))

    # Its head says the sides before it is turned.
    for sides in ((width, height), (height, width)):
        assert framed.size <= max(1, decoding.result_pixels(wanted, PictureInfo(*sides, 3, 8)))


@pytest.mark.parametrize(("format", "each"), [("png", 13), ("webp", 28), ("avif", 28)])
def test_what_only_the_result_has_costs_less(tmp_path: Path, format: Format, each: int):
    """A margin is empty; how much its encoder takes depends on the format."""
    small = written(tmp_path / "a.png", np.uint8, 3)

    wide, plain = (
        cost(small, framing=one, format=format) for one in (Framing(aspect=4.0), Framing())
    )
    assert wide - plain == 3 * each


@pytest.mark.parametrize(
    ("rendering", "more"),
    [
        ({"colours": "refine"}, decoding.REFINE_BYTES),
        ({"colours": "refine", "decontaminate": False}, 0),
        ({"hair": "exact"}, decoding.EXACT_BYTES),
        ({"hair": "fast"}, 0),
        (
            {"colours": "refine", "hair": "exact"},
            decoding.REFINE_BYTES + decoding.EXACT_BYTES,
        ),
    ],
)
def test_slow_ways_to_an_edge_cost(tmp_path: Path, rendering: dict[str, object], more: int):
    """Many times what the picture itself takes; only if they are used."""
    small = written(tmp_path / "a.png", np.uint8, 3)

    assert cost(small, **rendering) == 19 + more


def test_exact_hair_costs_no_more_for_a_large_picture():
    """It is found in a small copy."""
    wanted = dataclasses.replace(RENDERING, hair="exact")
    costs = [
        decoding.matting_bytes(wanted, PictureInfo(*sides, 3, 8))
        for sides in ((1024, 512), (4096, 2048), (2048, 4096))
    ]

    assert costs == [decoding.EXACT_BYTES * 1024 * 512] * 3


def test_turned_strip():
    """A phone's panorama is stored upright, and turned by EXIF."""
    assert decoding.result_pixels(Framing(aspect=10.0), PictureInfo(600, 60, 3, 8)) == 3_600_000


def test_what_is_no_picture_is_told_before_it_costs(tmp_path: Path):
    """The head is enough."""
    source = tmp_path / "a.png"
    source.write_bytes(b"no picture at all")

    with source.open("rb") as stream, pytest.raises(PictureError):
        looked_at(stream, task_of(source))


def test_picture_and_hash_are_of_the_same_bytes(tmp_path: Path):
    """What was hashed is what was decoded."""
    source = written(tmp_path / "a.png", np.uint8, 3)

    with source.open("rb") as stream:
        picture, sha256 = decoding.DecodingHere(stream, task_of(source)).picture()

    expected = np.asarray(cv2.imread(str(source)))[..., ::-1]
    assert np.array_equal(picture.rgb, expected)
    assert len(sha256) == 64


def test_sparse_file_is_refused_before_it_is_read(tmp_path: Path):
    """Two terabytes of nothing, which would be hashed for hours."""
    source = tmp_path / "a.png"
    source.write_bytes(b"\x89PNG\r\n\x1a\n")
    os.truncate(source, 2 * 10**12)

    with (
        source.open("rb") as stream,
        pytest.raises(PictureError, match=r"2,000,000 MB.*max_file_mb"),
    ):
        decoding.identify(stream, max_file_bytes=2 * 10**9)


def test_file_within_the_limit_is_identified(tmp_path: Path):
    """By its own version."""
    source = tmp_path / "a.png"
    source.write_bytes(bytes(100_000))

    with source.open("rb") as stream:
        identity = decoding.identify(stream, max_file_bytes=200_000)

    assert identity.size == 100_000
