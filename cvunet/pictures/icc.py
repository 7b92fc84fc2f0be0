"""Make ICC profiles: RGB spaces for pictures that describe their colour space in another way.

Matrix profiles of the monitor class (ICC.1:2001-04 and ICC.1:2010, section 8.3.3).
"""

import struct
from collections.abc import Iterable, Sequence

import numpy as np

XYZ = tuple[float, float, float]

# Columns of the matrix to XYZ at D50, the white point of all profiles. They add up to D50.
SRGB_PRIMARIES = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1430, 0.0606, 0.7139))
ADOBE_PRIMARIES = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7445))
D50 = (0.9642, 1.0, 0.8249)
#: From XYZ to cone responses, by Bradford (ICC.1:2010, annex E.3).
BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))

HEADER_BYTES = 128
TAG = struct.Struct(">4sII")
COPYRIGHT = "No copyright, use freely"


def rgb_profile(
    name: str, primaries: Sequence[XYZ], curve: bytes, *, version: bytes = b"\2\x40\0\0"
) -> bytes:
    """An RGB profile from three primaries (XYZ at D50) and a curve (the content of a TRC tag)."""
    tags = {
        b"desc": _text_tag(name, version=version, is_description=True),
        b"cprt": _text_tag(COPYRIGHT, version=version, is_description=False),
        b"wtpt": _xyz_tag(D50),
        b"rXYZ": _xyz_tag(primaries[0]),
        b"gXYZ": _xyz_tag(primaries[1]),
        b"bXYZ": _xyz_tag(primaries[2]),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    start = HEADER_BYTES + 4 + TAG.size * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    offsets: dict[bytes, int] = {}  # the three curves share their bytes
    for tag, content in tags.items():
        if content not in offsets:
            offsets[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += TAG.pack(tag, offsets[content], len(content))
    header = struct.pack(">I4x4s", start + len(body), version) + b"mntrRGB XYZ " + bytes(12)
    header += b"acsp" + bytes(28) + b"".join(map(_s15_fixed_16, D50))
    return header.ljust(HEADER_BYTES, b"\0") + table + body


def primaries_at_d50(chromaticities: Sequence[float]) -> list[XYZ]:
    """Primaries in XYZ at D50, from x and y of white, red, green and blue.

    `ValueError` if these are not the primaries of a colour space.
    """
    xy = np.array(chromaticities, np.float64).reshape(4, 2)
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


def gamma_curve(value: float) -> bytes:
    """A power curve, as the content of a TRC tag."""
    return b"curv" + struct.pack(">4xIH", 1, round(value * 256))


def sampled_curve(shares: Iterable[float]) -> bytes:
    """A curve by its values 0..1 at equally spaced levels, as the content of a TRC tag."""
    levels = [round(share * 65535) for share in shares]
    return b"curv" + struct.pack(f">4xI{len(levels)}H", len(levels), *levels)


# Sampled, because sRGB's formula is a parametric curve, which needs a profile of version 4.
SRGB_CURVE = sampled_curve(
    level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4
    for level in (step / 1023 for step in range(1024))
)


def rgb_profile_from_grey(profile: bytes) -> bytes | None:
    """An RGB profile that shows equal channels as the grey profile shows that level.

    None if the grey profile is more than a curve to XYZ. `struct.error` if it is cut short.
    """
    version, connection = profile[8:12], profile[20:24]
    curve = read_tags(profile).get(b"kTRC")
    if connection != b"XYZ " or curve is None or curve[:4] not in (b"curv", b"para"):
        return None
    return rgb_profile("Grey as RGB", SRGB_PRIMARIES, curve, version=version)


def read_tags(profile: bytes) -> dict[bytes, bytes]:
    """The tags of a profile, with their contents."""
    (count,) = struct.unpack_from(">I", profile, HEADER_BYTES)
    tags = {}
    for serial in range(min(count, 100)):  # ten are usual
        at = HEADER_BYTES + 4 + TAG.size * serial
        tag, offset, size = TAG.unpack_from(profile, at)
        tags[tag] = profile[offset : offset + size]
    return tags


def _text_tag(text: str, *, version: bytes, is_description: bool) -> bytes:
    if version[0] >= 4:
        words = text.encode("utf-16-be")
        return b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", len(words), 28) + words
    words = text.encode("ascii") + b"\0"
    if not is_description:
        return b"text\0\0\0\0" + words
    return b"desc" + struct.pack(">4xI", len(words)) + words + bytes(4 + 4 + 2 + 1 + 67)


def _xyz_tag(values: XYZ) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_s15_fixed_16, values))


def _s15_fixed_16(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))
