"""What can be the beginning of a picture waits; what cannot is no picture, however young."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image, features

from cvunet.errors import ImageError, UnreadableKindError
from cvunet.pictures import reading, signatures
from cvunet.pictures.signatures import HEAD_BYTES, may_become_picture

NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (16, 24, 3), dtype=np.uint8))
READABLE = reading.READABLE
NO_PICTURES = {
    "text": b"Dear Sir or Madam, ",
    "one letter": b"x",
    "HTML": b"<!DOCTYPE html><html>",
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "zip": b"PK\x03\x04\x14\0\0\0\x08\0abcdef",
    "MP4": b"\0\0\0\x20ftypisom\0\0\x02\0",
    "QuickTime": b"\0\0\0\x14ftypqt  \0\0\0\0",
    "ELF": b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
    "WAV": b"RIFF\x24\0\0\0WAVEfmt ",
    "EPS": b"%!PS-Adobe-3.0 EPSF",
    "Photoshop": b"8BPS\0\x01\0\0\0\0\0\0\0\x03",
    "JPEG XL": b"\xff\x0a\xfa\x1f\x01\x90\x08\x10",
}


@pytest.mark.parametrize("kind", READABLE)
def test_every_beginning_of_a_picture_may_become_one(kind: str):
    """From no byte at all to all of it."""
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    stream = io.BytesIO()
    NOISE.save(stream, kind)
    head = stream.getvalue()[:HEAD_BYTES]

    assert all(may_become_picture(head[:length], READABLE) for length in range(len(head) + 1))


@given(head=some.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES))
def test_all_that_pillow_accepts_may_become_a_picture(head: bytes):
    """A new format of Pillow's, or a wider one, must not be called no picture."""
    Image.init()
    starts = [dict(one) for kinds in signatures.SIGNATURES.values() for one in kinds]
    for start in starts:
        written = bytearray(head)
        for at, expected in start.items():
            written[at : at + len(expected)] = expected
        is_accepted = any(Image.OPEN[name][1](bytes(written)) is True for name in READABLE)  # type: ignore[misc]
        is_video = bytes(written[4:8]) == b"ftyp"
        assert not is_accepted or is_video or may_become_picture(bytes(written), READABLE)


@pytest.mark.parametrize("length", [1, 16, 5000])
def test_zeros_may_become_a_picture(length: int):
    """They are reserved, and not written yet."""
    with pytest.raises(ImageError) as caught:
        reading.read(io.BytesIO(bytes(length)), max_pixels=100)

    assert not isinstance(caught.value, UnreadableKindError)


@pytest.mark.parametrize("data", NO_PICTURES.values(), ids=NO_PICTURES)
def test_what_begins_otherwise_is_no_picture(data: bytes):
    """Nothing that is added can change that."""
    with pytest.raises(UnreadableKindError, match="not a picture in a known format"):
        reading.read(io.BytesIO(data), max_pixels=100)


def test_heic_is_final_only_where_nothing_reads_it():
    """Where pillow-heif is missing, waiting does not bring it."""
    head = b"\0\0\0\x18ftypheic\0\0\0\0"

    assert not may_become_picture(head, READABLE)
    assert may_become_picture(head, (*READABLE, "HEIF"))


def test_a_truncated_picture_may_grow():
    """Its error is not final."""
    stream = io.BytesIO()
    NOISE.save(stream, "PNG")
    with pytest.raises(ImageError) as caught:
        reading.read(io.BytesIO(stream.getvalue()[:60]), max_pixels=1000)

    assert not isinstance(caught.value, UnreadableKindError)
