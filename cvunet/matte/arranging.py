"""``python -m cvunet.matte.arranging WISH``: a cut-out on standard input, a result on output.

``WISH`` is JSON: the fields of an `Arrangement`, with ``format`` (auto, png, jpeg, webp or zip),
``channels`` (rgba or alpha) and ``background``, the number of an open file with a picture, or null.
The output is a line of JSON (``type``, ``width``, ``height``, ``foreground``), then the file.
Exit code 1 is a cut-out that cannot be arranged, 3 a background that is no picture.

A process of its own: a large picture takes much memory for a moment, and may be hostile.
"""

import io
import json
import os
import resource
import sys
import zipfile
from typing import Any, BinaryIO

import numpy as np

from cvunet.errors import CvunetError
from cvunet.matte import arrangements, extent, foreground
from cvunet.matte.arrangements import Pixels
from cvunet.pictures import encoding, profiles, reading

MAX_PIXELS = 250_000_000
BACKGROUND_PIXELS = 50_000_000
MEMORY_BYTES = 3_200_000_000  # less than MemoryMax= of cvunetd-web.service
CPU_S = 120
BAD_PICTURE, BAD_BACKGROUND = 1, 3
TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "zip": "application/zip"}
#: In a zip nothing can be compressed further; and its times say nothing.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class BadBackground(Exception):
    """The background is no picture."""


def arranged(cutout: BinaryIO, wish: dict[str, Any]) -> tuple[dict[str, Any], bytes]:  # Any: JSON
    """Return what is told of the result, and its bytes.

    An error of ours or of numpy's if the cut-out cannot be arranged, `BadBackground` for that.
    """
    given = dict(wish)
    kind, channels, number = (given.pop(name) for name in ("format", "channels", "background"))
    wanted = arrangements.read(given)
    rgba = arrangements.arrange(rgba_of(cutout), wanted)
    told: dict[str, Any] = {
        "width": rgba.shape[1],
        "height": rgba.shape[0],
        "foreground": extent.subject_rectangle(rgba, threshold=arrangements.THRESHOLD),
    }
    if kind == "zip":
        return told | {"type": TYPES[kind]}, zipped(rgba)
    pixels = rgba
    if channels == "alpha":
        pixels = np.ascontiguousarray(rgba[..., 3])
    elif number is not None:
        pixels = arrangements.lay_on_picture(rgba, background(number))
    elif wanted.colour is not None:
        pixels = arrangements.lay_on_colour(rgba, wanted.colour)
    if kind == "auto":
        kind = "jpeg" if pixels.ndim == 3 and pixels.shape[2] == 3 else "png"
    if kind == "jpeg" and pixels.shape[2:] == (4,):
        pixels = arrangements.flatten(pixels, foreground.WHITE)
    return told | {"type": TYPES[kind]}, encoding.encode(pixels, format=kind)


def rgba_of(stream: BinaryIO) -> Pixels:
    """Return a cut-out in sRGB; the stream is closed, because its bytes are memory, too."""
    with stream:
        picture = reading.read(stream, max_pixels=MAX_PIXELS, depth=8)
    rgb = profiles.to_srgb(picture.rgb.astype(np.uint8, copy=False), picture.profile)
    rgba = np.full((*rgb.shape[:2], 4), arrangements.OPAQUE, np.uint8)
    rgba[..., :3] = rgb
    if picture.alpha is not None:
        rgba[..., 3] = picture.alpha
    return rgba


def background(number: int) -> Pixels:
    """Return the background of an open file, in sRGB."""
    try:
        with os.fdopen(number, "rb") as stream:
            picture = reading.read(stream, max_pixels=BACKGROUND_PIXELS, depth=8)
        return foreground.background_of(picture)
    except (CvunetError, OSError) as error:
        raise BadBackground(str(error)) from error


def zipped(rgba: Pixels) -> bytes:
    """Return colours and alpha as two files."""
    files = {
        "color.jpg": encoding.encode(arrangements.bled(rgba), format="jpeg"),
        "alpha.png": encoding.encode(np.ascontiguousarray(rgba[..., 3]), format="png"),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_TIME), content)
    return made.getvalue()


def main() -> None:
    """Limit this process, then work."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        told, content = arranged(io.BytesIO(sys.stdin.buffer.read()), json.loads(sys.argv[1]))
    except BadBackground:
        sys.exit(BAD_BACKGROUND)
    except (CvunetError, OSError, ValueError, MemoryError):
        sys.exit(BAD_PICTURE)
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + content)


if __name__ == "__main__":
    main()
