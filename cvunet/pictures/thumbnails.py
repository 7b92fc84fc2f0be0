"""``python -m cvunet.pictures.thumbnails``: pictures become small ones, in a process of its own.

A large picture takes much memory for a moment, and may be hostile. The program serves one client
by the socket on its standard input. A request is `REQUEST` with the descriptor of a file; the
answer is a length and the small picture. The length is 0 if none can be made. The program ends when
its client hangs up.
"""

import io
import os
import resource
import socket
import struct
import time
from typing import BinaryIO

from PIL import Image, ImageCms, ImageOps

from cvunet.pictures import headers, heif, ppm, samples, signatures
from cvunet.pictures.bit_depth import to_8_bits
from cvunet.pictures.headers import Header

#: The longest side in pixels, and whether WebP is wanted instead of PNG.
REQUEST = struct.Struct(">I?")
LENGTH = struct.Struct(">I")
MEMORY_BYTES = 2_000_000_000
CPU_S = 20
MAX_PIXELS = 250_000_000
#: Of WebP: a fifth of PNG's bytes, in less time.
QUALITY = 80
METHOD = 2
ERRORS = (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError)


def thumbnail(stream: BinaryIO, side_px: int, *, is_webp: bool = False) -> bytes:
    """Return a small picture with sides of at most ``side_px``; one of `ERRORS` for no picture."""
    head = stream.read(8)
    if head[4:] == b"ftyp":
        heif.register()
    ppm.register()
    header = headers.read(stream, "PNG" if head == signatures.PNG else None)
    stream.seek(0)
    with Image.open(stream) as picture:
        picture.draft("RGB", (side_px, side_px))
        if picture.mode == "L":
            header.scale_transparent(picture.info)
        has_alpha = "A" in picture.getbands() or "transparency" in picture.info
        is_deep = samples.is_deep_grey(picture)
        whole = of_8_bits(picture, header, side_px) if is_deep else picture
        small = whole.convert("RGBA" if has_alpha else "RGB")
        ImageOps.exif_transpose(small, in_place=True)
    small.thumbnail((side_px, side_px), reducing_gap=2.0)
    small = in_srgb(small)
    made = io.BytesIO()
    if is_webp:
        small.save(made, "WEBP", quality=QUALITY, method=METHOD)
    else:
        small.save(made, "PNG", icc_profile=None)
    return made.getvalue()


def of_8_bits(picture: Image.Image, header: Header, side_px: int) -> Image.Image:
    """Return a picture in deep grey with 8 bits, and small already: it takes less memory.

    One level may mean transparent.
    """
    alpha = samples.read_alpha(picture, header)
    picture.info.pop("transparency", None)  # a level of the deep grey
    small = Image.fromarray(to_8_bits(samples.read_grey(picture)))
    small.info = picture.info
    small.thumbnail((side_px, side_px), reducing_gap=2.0)
    if alpha is not None:
        faint = Image.fromarray(alpha)
        faint.thumbnail((side_px, side_px), reducing_gap=2.0)
        small.putalpha(faint)  # it becomes grey with alpha
    return small


def in_srgb(picture: Image.Image) -> Image.Image:
    """Return a picture in sRGB, which a browser takes it for; as it is if its profile is unusable.

    A profile of another kind, such as one for inks, is none for the RGB that was made of it.
    """
    profile = picture.info.get("icc_profile")
    if not profile:
        return picture
    try:
        theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        made = ImageCms.profileToProfile(picture, theirs, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    return picture if made is None else made


def serve(channel: socket.socket) -> None:
    """Answer requests until the client hangs up."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(channel, REQUEST.size, 1)
        if not request:
            return
        side_px, is_webp = REQUEST.unpack(request)
        limit_time()
        with os.fdopen(descriptors[0], "rb") as stream:
            stream.seek(0)
            try:
                made = thumbnail(stream, side_px, is_webp=is_webp)
            except ERRORS:
                made = b""
        channel.sendall(LENGTH.pack(len(made)) + made)


def limit_time() -> None:
    """Let one picture take `CPU_S` of this process, beside what earlier ones have taken."""
    used_s = int(time.process_time())
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (used_s + 1 + CPU_S, hard))


def main() -> None:
    """Limit this process, then serve."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice as many
    with socket.socket(fileno=os.dup(0)) as channel:
        serve(channel)


if __name__ == "__main__":
    main()
