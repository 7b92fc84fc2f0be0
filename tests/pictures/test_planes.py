"""TIFF files whose channels lie one behind the other: read as they are, or refused; never noise."""

import io
import zlib
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cvunet.errors import ImageError
from cvunet.pictures import reading
from cvunet.pictures.bit_depth import Samples
from tests.pictures import pictures_kit as kit

RAW, DEFLATE = 1, 8
GREY, RGB, INKS = 1, 2, 5
NO_CHANGES: Mapping[int, int] = {}
PHOTOMETRIC, FILL_ORDER, EXTRA = 262, 266, 338
REFUSED = r"a TIFF whose channels lie apart .*: save it interleaved"


def ramps(channels: int, bits: int) -> Samples:
    """Smooth channels, each of its own direction; the fourth one is an alpha that hides nothing."""
    y, x = np.mgrid[:32, :48]
    planes = [x * 5 + 3, y * 7 + 9, x + y + 80, x * 0 + 255][:channels]
    shares = np.dstack(planes).astype(np.uint16)
    return shares.astype(np.uint8) if bits == 8 else shares * np.uint16(256) + np.uint16(77)


def planar(
    pixels: NDArray[np.generic],
    *,
    photometric: int,
    packing: int = RAW,
    order: Literal["<", ">"] = "<",
    rows: int = 32,
    changes: Mapping[int, int] = NO_CHANGES,
) -> bytes:
    """HxWxC with a plane for each channel, in strips of some rows; ``changes`` are tags."""
    height, width, channels = pixels.shape
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    strips = [
        np.ascontiguousarray(stored[at : at + rows, :, channel]).tobytes()
        for channel in range(channels)
        for at in range(0, height, rows)
    ]
    strips = [zlib.compress(strip) for strip in strips] if packing == DEFLATE else strips
    places = np.cumsum([0, *map(len, strips[:-1])]).tolist()
    tags: dict[int, int | tuple[int, ...]] = {256: width, 257: height, 259: packing}
    tags |= {258: (pixels.dtype.itemsize * 8,) * channels, 262: photometric, 273: tuple(places)}
    tags |= {277: channels, 278: rows, 279: tuple(map(len, strips)), 284: 2}
    tags |= changes
    directory = ImageFileDirectory_v2(prefix=b"II" if order == "<" else b"MM")
    for tag, value in tags.items():
        directory[tag] = value
    head = io.BytesIO()
    directory.save(head)
    return head.getvalue() + b"".join(strips)


def read(data: bytes) -> reading.Picture:
    return reading.read(io.BytesIO(data), max_pixels=kit.LIMIT, depth="auto")


@pytest.mark.parametrize("rows", [32, 8])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("channels", "photometric"), [(3, RGB), (4, RGB), (4, INKS)])
def test_unpacked_planes_of_16_bits_are_refused(
    channels: int, photometric: int, order: Literal["<", ">"], rows: int
):
    """Pillow unpacks them as if they had 8 bits, and OpenCV as if they were interleaved."""
    changes = {EXTRA: 2} if photometric == RGB and channels == 4 else NO_CHANGES
    pixels = ramps(channels, 16)
    data = planar(pixels, photometric=photometric, order=order, rows=rows, changes=changes)

    with pytest.raises(ImageError, match=REFUSED):
        read(data)
    with pytest.raises(ImageError, match=REFUSED):
        reading.read_info(io.BytesIO(data), max_pixels=kit.LIMIT)


@pytest.mark.parametrize("packing", [RAW, DEFLATE])
def test_grey_with_its_alpha_apart_is_refused(packing: int):
    """Its alpha would be lost, whatever it hides."""
    pixels = ramps(2, 8)

    with pytest.raises(ImageError, match=REFUSED):
        read(planar(pixels, photometric=GREY, packing=packing, changes={EXTRA: 2}))


@pytest.mark.parametrize(
    "changes", [{PHOTOMETRIC: 0}, {FILL_ORDER: 2}], ids=["white is zero", "bits in reverse"]
)
def test_one_unpacked_plane_is_not_read_in_another_way(changes: Mapping[int, int]):
    """Pillow would forget which end of the scale is white, or of a byte is the first bit."""
    with pytest.raises(ImageError, match=REFUSED):
        read(planar(ramps(1, 8), photometric=GREY, changes=changes))


@pytest.mark.parametrize("packing", [RAW, DEFLATE])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_planes_of_8_bits_are_read(channels: int, packing: int):
    """As they are."""
    pixels = ramps(channels, 8)
    changes = {EXTRA: 2} if channels == 4 else NO_CHANGES
    kind = GREY if channels == 1 else RGB

    picture = read(planar(pixels, photometric=kind, packing=packing, rows=8, changes=changes))

    assert (picture.alpha, picture.warnings) == (None, ())
    assert np.array_equal(picture.rgb, np.broadcast_to(pixels[..., :3], (32, 48, 3)))


def test_alpha_of_8_bits_is_read():
    """The fourth plane of colours."""
    pixels = np.dstack([ramps(3, 8), ramps(3, 8)[..., 0]])

    picture = read(planar(pixels, photometric=RGB, changes={EXTRA: 2}))

    assert picture.alpha is not None
    assert np.array_equal(np.dstack([picture.rgb, picture.alpha]), pixels)


@pytest.mark.parametrize("order", ["<", ">"])
def test_packed_planes_of_16_bits_are_read_at_8(order: Literal["<", ">"]):
    """By libtiff, which knows how wide they are."""
    pixels = ramps(3, 16)

    picture = read(planar(pixels, photometric=RGB, packing=DEFLATE, order=order))

    assert np.array_equal(picture.rgb, pixels >> 8)
    assert "only their upper 8 bits are used" in " ".join(picture.warnings)


def test_packed_plane_of_grey_is_read_whole():
    """One plane is like any other picture."""
    pixels = ramps(1, 16)

    picture = read(planar(pixels, photometric=GREY, packing=DEFLATE))

    assert np.array_equal(picture.rgb, np.repeat(pixels, 3, 2))
