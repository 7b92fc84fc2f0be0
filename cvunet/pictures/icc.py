"""ICC profiles made here: RGB spaces for pictures that say their space in another way.

Matrix profiles of the monitor class (ICC.1:2001-04 and ICC.1:2010, section 8.3.3).
"""

import struct
from collections.abc import Iterable, Sequence

import numpy as np

Triple = tuple[float, float, float]

# Columns of a matrix to the D50 white that connects all profiles; they add up to it.
SRGB_PRIMARIES = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1430, 0.0606, 0.7139))
ADOBE_PRIMARIES = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7445))
D50 = (0.9642, 1.0, 0.8249)
#: To the responses of the eye's cones by Bradford (ICC.1:2010, annex E.3).
BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))

HEADER_BYTES = 128
TAG = struct.Struct(">4sII")
NOBODY = "No copyright, use freely"


def rgb_profile(
    name: str, primaries: Sequence[Triple], curve: bytes, *, version: bytes = b"\2\x40\0\0"
) -> bytes:
    """An RGB space of three primaries (XYZ at D50) and one curve, the content of a TRC tag."""
    tags = {
        b"desc": _text(name, version=version, is_description=True),
        b"cprt": _text(NOBODY, version=version, is_description=False),
        b"wtpt": _xyz(D50),
        b"rXYZ": _xyz(primaries[0]),
        b"gXYZ": _xyz(primaries[1]),
        b"bXYZ": _xyz(primaries[2]),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    start = HEADER_BYTES + 4 + TAG.size * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    places: dict[bytes, int] = {}  # the three curves are one
    for tag, content in tags.items():
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += TAG.pack(tag, places[content], len(content))
    header = struct.pack(">I4x4s", start + len(body), version) + b"mntrRGB XYZ " + bytes(12)
    header += b"acsp" + bytes(28) + b"".join(map(_fixed, D50))
    return header.ljust(HEADER_BYTES, b"\0") + table + body


def adapted(places: Sequence[float]) -> list[Triple]:
    """Primaries (XYZ at D50) of x and y of white, red, green and blue; `ValueError` if of none."""
    xy = np.array(places, np.float64).reshape(4, 2)
    if not (np.isfinite(xy).all() and (xy[:, 1] > 0.01).all() and (np.abs(xy) <= 2).all()):
        raise ValueError("its primaries are no colours")
    white, *rows = np.column_stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    colours = np.array(rows).T
    if abs(np.linalg.det(colours)) < 1e-3:
        raise ValueError("its primaries lie on a line")
    matrix = colours * np.linalg.solve(colours, white)
    cones = np.array(BRADFORD)
    gains = (cones @ D50) / (cones @ white)
    at_d50 = np.linalg.solve(cones, gains[:, None] * (cones @ matrix))
    return [(float(x), float(y), float(z)) for x, y, z in at_d50.T]


def gamma(value: float) -> bytes:
    """A curve that is a power."""
    return b"curv" + struct.pack(">4xIH", 1, round(value * 256))


def sampled(shares: Iterable[float]) -> bytes:
    """A curve by its values 0..1 at levels that are equally far apart."""
    levels = [round(share * 65535) for share in shares]
    return b"curv" + struct.pack(f">4xI{len(levels)}H", len(levels), *levels)


# Its own formula is a parametric curve, which needs a profile of version 4.
SRGB_CURVE = sampled(
    level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4
    for level in (step / 1023 for step in range(1024))
)


def grey_twin(profile: bytes) -> bytes | None:
    """The RGB profile by which equal channels mean what the grey profile says of their level.

    None if the grey profile is more than a curve to XYZ. `struct.error` if it is cut short.
    """
    version, connection = profile[8:12], profile[20:24]
    curve = tags_of(profile).get(b"kTRC")
    if connection != b"XYZ " or curve is None or curve[:4] not in (b"curv", b"para"):
        return None
    return rgb_profile("Grey as RGB", SRGB_PRIMARIES, curve, version=version)


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    """Tags and their contents."""
    (count,) = struct.unpack_from(">I", profile, HEADER_BYTES)
    tags = {}
    for serial in range(min(count, 100)):  # ten are usual
        at = HEADER_BYTES + 4 + TAG.size * serial
        tag, offset, size = TAG.unpack_from(profile, at)
        tags[tag] = profile[offset : offset + size]
    return tags


def _text(text: str, *, version: bytes, is_description: bool) -> bytes:
    if version[0] >= 4:
        words = text.encode("utf-16-be")
        return b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", len(words), 28) + words
    words = text.encode("ascii") + b"\0"
    if not is_description:
        return b"text\0\0\0\0" + words
    return b"desc" + struct.pack(">4xI", len(words)) + words + bytes(4 + 4 + 2 + 1 + 67)


def _xyz(values: Triple) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))
