"""``python -m cvunet.pictures.thumbnails [SIDE]``: a picture on standard input becomes a small PNG.

A process of its own: a large picture takes much memory for a moment, and may be hostile.
"""

import io
import resource
import sys
from typing import BinaryIO

from PIL import Image, ImageOps

from cvunet.pictures import heif

SIDE_PX = 320
MEMORY_BYTES = 2_000_000_000
CPU_S = 20
MAX_PIXELS = 250_000_000


def thumbnail(stream: BinaryIO, side_px: int = SIDE_PX) -> bytes:
    """Return a PNG with sides of at most ``side_px``; an error of Pillow's if it is no picture."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice as many
    if stream.read(8)[4:] == b"ftyp":
        heif.register()
    stream.seek(0)
    with Image.open(stream) as picture:
        picture.draft("RGB", (side_px, side_px))
        has_alpha = "A" in picture.getbands() or "transparency" in picture.info
        small = picture.convert("RGBA" if has_alpha else "RGB")
        ImageOps.exif_transpose(small, in_place=True)
    small.thumbnail((side_px, side_px), reducing_gap=2.0)
    made = io.BytesIO()
    small.save(made, "PNG")
    return made.getvalue()


def main() -> None:
    """Limit this process, then work."""
    side_px = int(sys.argv[1]) if sys.argv[1:] else SIDE_PX
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        made = thumbnail(io.BytesIO(sys.stdin.buffer.read()), side_px)
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        sys.exit(1)
    sys.stdout.buffer.write(made)


if __name__ == "__main__":
    main()
