"""Picture files and colour profiles built by hand, and how far apart two colours look."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvunet.inference import matting
from cvunet.pictures import encoding, reading
from cvunet.pictures.metadata import Policy

LIMIT = 10**6
Floats = NDArray[np.float64]

# --- files ---------------------------------------------------------------------------------------


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:  # Any: as the formats differ
    """An image's file by Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """One of PNG's."""
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def deep_png(pixels: NDArray[np.uint16], *chunks: bytes) -> bytes:
    """16 bits, HxWxC of 1 to 4 channels; other chunks stand before the pixels."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def deep_tiff(pixels: NDArray[np.uint16], *, order: str = "<", **changes: int) -> bytes:
    """16 bits in one strip, HxWxC; ``changes`` are tags as ``t262=1``, -1 leaves one out."""
    height, width, channels = pixels.shape
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: 2 if channels > 2 else 1}
    tags |= {273: 0, 277: channels, 278: height, 279: pixels.size * 2}
    if channels in (2, 4):
        tags[338] = 2
    tags |= {int(name[1:]): value for name, value in changes.items()}
    tags = {tag: value for tag, value in tags.items() if value >= 0}
    start = 8 + 2 + 12 * len(tags) + 4
    extra = struct.pack(f"{order}{channels}H", *[16] * channels)
    tags[273] = start + len(extra)
    directory = struct.pack(order + "H", len(tags))
    for tag, value in sorted(tags.items()):
        if tag == 258 and channels > 2:
            directory += struct.pack(order + "HHII", tag, 3, channels, start)
        elif tag == 258 and channels == 2:
            directory += struct.pack(order + "HHIHH", tag, 3, 2, 16, 16)
        else:
            directory += struct.pack(order + "HHII", tag, 4, 1, value)
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "I", 8)
    return head + directory + bytes(4) + extra + pixels.astype(order + "u2").tobytes()


def cut(
    data: bytes,
    *,
    format: encoding.Format = "png",
    depth: reading.Depth = "auto",
    policy: Policy = "strip",
    settings: matting.FinishSettings = matting.FinishSettings(filter="none"),  # noqa: B008 - frozen
    alpha: NDArray[np.float32] | None = None,
) -> tuple[bytes, reading.Picture]:
    """The result's file for an original's, by an alpha of 1 unless given; and what was read."""
    picture = reading.read(
        io.BytesIO(data),
        max_pixels=LIMIT,
        depth=encoding.depth_for_format(depth, format),
        policy=policy,
    )
    alpha = np.ones((64, 64), np.float32) if alpha is None else alpha
    pixels = matting.finish(picture, alpha, settings=settings)
    return encoding.encode(pixels, format=format, source=picture), picture


# --- profiles ------------------------------------------------------------------------------------


def s15(value: float) -> bytes:
    """ICC's fixed point number."""
    return struct.pack(">i", round(value * 65536))


def xyz(x: float, y: float, z: float) -> bytes:
    """The content of a tag with one colour."""
    return b"XYZ \0\0\0\0" + s15(x) + s15(y) + s15(z)


def gamma(value: float) -> bytes:
    """A curve that is a power."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


SRGB_CURVE = b"para\0\0\0\0\0\3\0\0" + b"".join(
    map(s15, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)


def icc(
    space: bytes, tags: dict[bytes, bytes], *, kind: bytes = b"mntr", connection: bytes = b"XYZ "
) -> bytes:
    """A profile of version 2.4 with the given tags."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    white = s15(0.9642) + s15(1.0) + s15(0.8249)
    header = struct.pack(">I", start + len(body)) + bytes(4) + b"\x02\x40\0\0" + kind + space
    header += connection + bytes(12) + b"acsp" + bytes(28) + white
    return header.ljust(128, b"\0") + table + body


# Columns of matrices to XYZ at D50.
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
ADOBE = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])


def rgb_profile(matrix: Floats, curve: bytes) -> bytes:
    """A monitor of three primaries and one curve."""
    columns = {b"rXYZ": matrix[:, 0], b"gXYZ": matrix[:, 1], b"bXYZ": matrix[:, 2]}
    return icc(
        b"RGB ",
        {
            b"wtpt": xyz(0.9642, 1.0, 0.8249),
            **{name: xyz(*map(float, column)) for name, column in columns.items()},
            **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
        },
    )


# --- colours -------------------------------------------------------------------------------------


def srgb_to_linear(shares: Floats) -> Floats:
    """IEC 61966-2-1, on shares of white in [0, 1]."""
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: Floats) -> Floats:
    """Its inverse."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def lab_of(light: Floats, matrix: Floats) -> Floats:
    """CIELAB at D50 of linear RGB, Nx3."""
    ratios = light @ matrix.T / np.array([0.9642, 1.0, 0.8249])
    cubes = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = cubes.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def delta_e(first: Floats, second: Floats) -> Floats:
    """CIEDE2000 between rows of CIELAB (Sharma, Wu and Dalal 2005, equations 2 to 22)."""
    chroma = (np.hypot(first[:, 1], first[:, 2]) + np.hypot(second[:, 1], second[:, 2])) / 2
    stretch = 1.5 - 0.5 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    a1, a2 = first[:, 1] * stretch, second[:, 1] * stretch
    c1, c2 = np.hypot(a1, first[:, 2]), np.hypot(a2, second[:, 2])
    h1 = np.degrees(np.arctan2(first[:, 2], a1)) % 360
    h2 = np.degrees(np.arctan2(second[:, 2], a2)) % 360
    turn = np.where(c1 * c2 == 0, 0, (h2 - h1 + 180) % 360 - 180)
    lightness = (first[:, 0] + second[:, 0]) / 2
    c, h = (c1 + c2) / 2, np.where(c1 * c2 == 0, h1 + h2, h1 + turn / 2)
    t = 1 - 0.17 * _cos(h - 30) + 0.24 * _cos(2 * h)
    t += 0.32 * _cos(3 * h + 6) - 0.20 * _cos(4 * h - 63)
    light = (second[:, 0] - first[:, 0]) / (
        1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2)
    )
    colour = (c2 - c1) / (1 + 0.045 * c)
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * c * t)
    rotation = -2 * np.sqrt(c**7 / (c**7 + 25.0**7))
    rotation *= np.sin(np.radians(60 * np.exp(-((((h % 360) - 275) / 25) ** 2))))
    total = light**2 + colour**2 + hue**2 + rotation * colour * hue
    return np.asarray(np.sqrt(total), np.float64)


def _cos(degrees: Floats) -> Floats:
    return np.asarray(np.cos(np.radians(degrees)), np.float64)
