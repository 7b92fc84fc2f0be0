"""What a picture will cost is known before it is decoded."""

import dataclasses
import os
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pytest

from daemon.errors import PictureError
from daemon.jobs import Task
from daemon.renderings import Framing
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
    assert outlook.pixels == SIDE * SIDE
    assert outlook.identity.size == source.stat().st_size
    return outlook.cost / outlook.pixels


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


def test_large_canvas_costs(tmp_path: Path):
    """The result may be larger than the picture."""
    small = written(tmp_path / "a.png", np.uint8, 3)
    canvas = Framing(canvas=(500, 500))

    assert cost(small, framing=canvas) == 19 * 100


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
