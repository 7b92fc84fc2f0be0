"""TIFF files whose first picture is a preview: the full picture is read, or the reason is true."""

import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvunet.errors import ImageError
from cvunet.pictures import previews, reading, tiff_directories
from tests.pictures.tiff_kit import FULL, MASK, REDUCED, Page, flat, tiff_of

LIMIT = 10**6
SMALL, MIDDLE, LARGE = flat(16, 12, 60), flat(80, 60, 90), flat(160, 120, 120)
SEVERAL = "has several frames or pages; only the first is used"


def small(**tags: int) -> Page:
    """A thumbnail that says so."""
    return Page(SMALL, {254: REDUCED} | {int(name[1:]): value for name, value in tags.items()})


PREVIEWS = {
    "a thumbnail, then the picture": [small(), Page(LARGE, {254: FULL})],
    "TIFF 5.0's tag": [Page(SMALL, {255: 2}), Page(LARGE, {255: 1})],
    "a mask in front": [Page(SMALL, {254: MASK, 262: 4}), Page(LARGE)],
    "a child": [Page(SMALL, {254: REDUCED}, [Page(LARGE, {254: FULL})])],
    "a child of a picture that says nothing": [Page(SMALL, {}, [Page(LARGE)])],
    "levels from small to large": [small(), Page(MIDDLE, {254: REDUCED}), Page(LARGE)],
    "nothing but previews": [small(), Page(LARGE, {254: REDUCED}), Page(MIDDLE, {254: REDUCED})],
}
FIRSTS = {
    "one picture": [Page(LARGE)],
    "levels behind the picture": [Page(LARGE), Page(MIDDLE, {254: REDUCED}), small()],
    "levels as children": [Page(LARGE, {}, [Page(MIDDLE, {254: REDUCED}), small()])],
    "pages of several sizes": [Page(LARGE), Page(np.tile(LARGE, (2, 2, 1)))],
    "layers of Photoshop": [Page(LARGE, {37724: b"Adobe Photoshop Document Data Block\0"})],
    "a child of the same size": [Page(LARGE, {}, [Page(LARGE)])],
}


def read(data: bytes) -> reading.Picture:
    return reading.read(io.BytesIO(data), max_pixels=LIMIT, depth="auto", policy="keep")


@pytest.mark.parametrize(("order", "is_big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("name", PREVIEWS)
def test_full_picture_is_read(name: str, order: str, is_big: bool):
    """In place of the preview in front of it; the head tells its size already."""
    data = tiff_of(*PREVIEWS[name], order=order, is_big=is_big)
    info = reading.read_info(io.BytesIO(data), max_pixels=LIMIT)

    assert np.array_equal(LARGE, read(data).rgb)
    assert LARGE.shape[:2] == (info.height, info.width)


@pytest.mark.parametrize("name", FIRSTS)
def test_first_picture_is_read(name: str):
    """It is no preview: smaller copies, other pages and layers behind it change nothing."""
    assert np.array_equal(LARGE, read(tiff_of(*FIRSTS[name])).rgb)


def test_pages_are_told():
    """Of a document, and of one with a preview in front of it."""
    assert read(tiff_of(Page(LARGE), Page(MIDDLE))).warnings == (SEVERAL,)
    assert read(tiff_of(small(), Page(LARGE), Page(MIDDLE))).warnings == (SEVERAL,)
    assert read(tiff_of(small(), Page(LARGE))).warnings == ()


def test_only_picture_may_be_called_a_preview():
    """There is no other: it is used, with a warning."""
    found = read(tiff_of(small()))

    assert np.array_equal(SMALL, found.rgb)
    assert found.warnings == ("the file calls its only picture a preview",)


def test_packed_picture_is_read_behind_a_preview():
    """libtiff gets the same file as Pillow."""
    rows = LARGE.tobytes()
    packed = b"".join(
        bytes([len(piece) - 1]) + piece
        for piece in (rows[at : at + 120] for at in range(0, len(rows), 120))
    )
    tags = {256: 160, 257: 120, 259: 32773, 278: 120, 279: len(packed)}
    page = Page(np.frombuffer(packed, np.uint8).reshape(1, -1), tags)

    assert np.array_equal(LARGE, read(tiff_of(small(), page)).rgb)


def test_full_picture_of_unknown_kind_is_refused():
    """With the true reason, not with the preview."""
    with pytest.raises(ImageError, match="whose first picture is only a preview"):
        read(tiff_of(small(), Page(LARGE, {262: 32845})))


def test_damaged_full_picture_is_refused():
    """The preview is whole, but it is not the picture."""
    data = tiff_of(small(), Page(LARGE, {273: 10**6}))

    with pytest.raises(ImageError, match="the TIFF is truncated or damaged"):
        read(data)


def test_size_of_the_full_picture_counts():
    """The limit is for what is decoded."""
    with pytest.raises(ImageError, match="160x120 is"):
        reading.read_info(io.BytesIO(tiff_of(small(), Page(LARGE))), max_pixels=1000)


def test_orientation_and_credits_of_the_first_directory_count():
    """Cameras and scanners say them once, for all pictures of the file."""
    first = Page(SMALL, {254: REDUCED, 274: 6, 33432: b"(c) Ann\0"}, [Page(LARGE, {254: FULL})])

    found = read(tiff_of(first))

    assert np.array_equal(np.rot90(LARGE, -1), found.rgb)
    assert b"(c) Ann" in found.metadata.exif


def test_own_orientation_wins():
    """What the full picture says of itself."""
    first = Page(SMALL, {254: REDUCED, 274: 6}, [Page(LARGE, {254: FULL, 274: 1})])

    assert np.array_equal(LARGE, read(tiff_of(first)).rgb)


def test_endless_chain_ends():
    """A directory that leads to itself, and children that are their parents."""
    data = bytearray(tiff_of(small(), Page(LARGE)))
    tree = tiff_directories.read(io.BytesIO(data))
    assert tree is not None
    start = tree.chain[0].next
    struct.pack_into("<I", data, len(data) - 4, start)

    assert np.array_equal(LARGE, read(bytes(data)).rgb)


@given(st.data())
def test_redirected_file_reads_as_its_bytes(data: st.DataObject):
    """At every place, in pieces of any size."""
    content = tiff_of(small(), Page(MIDDLE))
    shown = previews.skipped(io.BytesIO(content), [])
    whole = shown.read()
    assert whole[16 : len(content)] == content[16:]
    for _ in range(5):
        at = data.draw(st.integers(0, len(whole) + 10))
        size = data.draw(st.integers(-1, 300))
        shown.seek(at)

        assert whole[at:][: size if size >= 0 else None] == shown.read(size)


@given(st.data())
def test_broken_directories_never_raise_anything_else(data: st.DataObject):
    """A picture, or `ImageError`."""
    content = bytearray(tiff_of(small(), Page(SMALL, {254: FULL}), Page(MIDDLE, {}, [Page(SMALL)])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        reading.read(io.BytesIO(bytes(content)), max_pixels=LIMIT)
