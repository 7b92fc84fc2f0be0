"""Formats that decode although their end was never written: they wait, then come with a warning."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image, features

from daemon.errors import Blame
from daemon.jobs import Done, Failed, Outcome, Task
from daemon.worker import unfinished
from daemon.worker.engines import Engine
from tests.samples import RENDERING

NOISE = Image.fromarray(np.random.default_rng(1).integers(1, 256, (240, 320, 3), dtype=np.uint8))
UNPROVEN: dict[str, tuple[Image.Image, dict[str, Any]]] = {  # Any: options of Pillow's
    "BMP": (NOISE, {}),
    "PPM": (NOISE, {}),
    "PPM of grey": (NOISE.convert("L"), {}),
    "TIFF": (NOISE, {}),
    "WEBP": (NOISE, {"quality": 60}),
    "WEBP without loss": (NOISE, {"lossless": True}),
    "AVIF": (NOISE, {}),
}


def file_of(name: str) -> bytes:
    """A whole file of noise."""
    kind = name.split()[0]
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    image, options = UNPROVEN[name]
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def half_of(data: bytes) -> bytes:
    """Its first half, in the space that is reserved for all of it."""
    return data[: len(data) // 2] + bytes(len(data) - len(data) // 2)


Run = Callable[..., Outcome]


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Run:
    """What the worker says of a file."""

    def submit(data: bytes, *, is_old: bool) -> Outcome:
        source = tmp_path / "cat"
        source.write_bytes(data)
        part = tmp_path / "cat.part"
        task = Task("1", source, part, RENDERING, 10**6, is_old=is_old)
        return engine.submit(task).result(30)

    return submit


@pytest.mark.parametrize("name", UNPROVEN)
def test_half_a_picture_in_reserved_space_waits_while_it_is_young(run: Run, name: str):
    """Its decoder finds no fault with it."""
    outcome = run(half_of(file_of(name)), is_old=False)

    assert isinstance(outcome, Failed)
    assert outcome.blame is Blame.FILE
    assert outcome.is_unfinished  # read once more in any case
    assert "bytes of zeros: perhaps it is still being written" in outcome.reason


@pytest.mark.parametrize("name", UNPROVEN)
def test_an_old_one_is_taken_as_it_is_with_a_warning(run: Run, name: str):
    """It will not get better, and it may be meant so."""
    outcome = run(half_of(file_of(name)), is_old=True)

    assert isinstance(outcome, Done)
    assert "bytes of zeros: perhaps it is still being written" in outcome.warnings[-1]


@pytest.mark.parametrize("name", UNPROVEN)
def test_a_whole_picture_is_taken_at_once(run: Run, name: str):
    """However young it is."""
    outcome = run(file_of(name), is_old=False)

    assert isinstance(outcome, Done)
    assert outcome.warnings == ()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "JPEG2000"])
def test_other_formats_are_refused_by_their_decoders(run: Run, kind: str):
    """So nothing has to be guessed, and zeros behind a whole file do not matter."""
    stream = io.BytesIO()
    NOISE.save(stream, kind)
    data = stream.getvalue()
    half = run(half_of(data), is_old=True)
    padded = run(data + bytes(10_000), is_old=False)

    assert isinstance(half, Failed)
    assert isinstance(padded, Done)


def test_a_picture_with_a_black_bottom_comes_out(run: Run):
    """It waits until it is old, because nothing tells it from reserved space."""
    pixels = np.asarray(NOISE).copy()
    pixels[200:] = 0
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PPM")
    young = run(stream.getvalue(), is_old=False)
    old = run(stream.getvalue(), is_old=True)

    assert isinstance(young, Failed)
    assert isinstance(old, Done)


def test_a_white_bottom_is_no_reserved_space(run: Run):
    """Pictures of goods have one, and reserved space reads as zeros on every file system."""
    pixels = np.asarray(NOISE).copy()
    pixels[200:] = 255
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PPM")

    assert isinstance(run(stream.getvalue(), is_old=False), Done)


@given(before=some.binary(max_size=40), zeros=some.integers(0, 5000), chunk=some.integers(1, 900))
def test_zeros_are_counted_at_the_end(before: bytes, zeros: int, chunk: int):
    """In chunks of any size."""
    with (
        pytest.MonkeyPatch.context() as patch,
        io.FileIO(make_file(before + bytes(zeros)), closefd=True) as stream,
    ):
        patch.setattr(unfinished, "CHUNK_BYTES", chunk)
        found = unfinished.zeros_at_end(stream.fileno())

    assert found == len(before + bytes(zeros)) - len((before + bytes(zeros)).rstrip(b"\0"))


def make_file(data: bytes) -> int:
    """An open file in memory."""
    import os

    descriptor = os.memfd_create("cat")
    os.write(descriptor, data)
    return descriptor
