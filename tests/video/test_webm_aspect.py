"""The shape of pixels in a finished WebM, however long its head is."""

from fractions import Fraction
from io import BytesIO

import pytest

from cvunet.video import endings
from cvunet.video.joining import join
from cvunet.video.webm_aspect import (
    MOST_HEAD_BYTES,
    SEEK_HEAD,
    TRACK,
    TRACKS,
    as_bytes,
    elements,
)
from tests.video.clips_kit import Clip, clip, heard, result, segments_of, shown

pytestmark = pytest.mark.video

CUES, CRC, PRIVATE = b"\x1c\x53\xbb\x6b", b"\xbf", b"\x63\xa2"
SOURCE = Clip(container="matroska", sound="libopus", aspect=Fraction(4, 3), times=(0, 40)).file()


def with_long_private(file: bytes, padding: int) -> bytes:
    """A Matroska whose sound describes itself at length, as Vorbis with a cover does.

    What tells places in the file is left out, because all of them move.
    """
    _, start = endings.segment(BytesIO(file))
    made = b""
    for part in elements(file[start:]):
        content = part.content
        if part.name in (SEEK_HEAD, CUES, CRC):
            continue
        if part.name == TRACKS:
            tracks = (track.content for track in elements(content) if track.name == TRACK)
            content = b"".join(as_bytes(TRACK, padded_track(one, padding)) for one in tracks)
        made += as_bytes(part.name, content)
    head = file[: file.index(endings.EBML_SEGMENT)]
    return head + as_bytes(endings.EBML_SEGMENT, made)


def padded_track(track: bytes, padding: int) -> bytes:
    """The sound's with zeros behind its private data; others as they are."""
    return b"".join(
        as_bytes(field.name, field.content + bytes(padding if field.name == PRIVATE else 0))
        if b"OpusHead" in field.content
        else as_bytes(field.name, field.content)
        for field in elements(track)
    )


@pytest.mark.parametrize("padding", [20_000, 2_200_000])
def test_pixel_aspect_is_written_into_a_long_head(padding: int):
    """Copied sound may have a description of any length."""
    made = result(with_long_private(SOURCE, padding), "webm")

    assert len(made) > padding
    assert clip(made).facts.pixel_aspect == Fraction(4, 3)
    assert len(shown(made, "matroska")) == 2
    assert heard(made, "matroska")[1].size


def test_pixel_aspect_is_left_out_of_an_endless_head():
    """With a warning: the clip comes out."""
    reader = clip(with_long_private(SOURCE, MOST_HEAD_BYTES))
    out = BytesIO()

    said = join(
        segments_of(reader, "webm"), out, format="webm", facts=reader.facts, sound_from=reader
    )

    assert said == ("its pixels are not square, and the head of its result is too long to say so",)
    assert clip(out.getvalue()).facts.pixel_aspect == 1
    assert len(shown(out.getvalue(), "matroska")) == 2
