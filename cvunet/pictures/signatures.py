"""How files of each format begin. A file that begins otherwise cannot become a picture."""

from collections.abc import Sequence

Signature = tuple[tuple[int, bytes], ...]
"""Offsets, and the bytes that stand there."""

HEAD_BYTES = 16
PNG = b"\x89PNG\r\n\x1a\n"


def at_start(*beginnings: bytes) -> tuple[Signature, ...]:
    """Signatures of formats that begin with their own bytes."""
    return tuple(((0, beginning),) for beginning in beginnings)


#: A box of less than 64 kB; the brands in it are many.
FTYP: Signature = ((0, b"\0\0"), (4, b"ftyp"))
#: By Pillow's names. Each accepts all that Pillow accepts, and perhaps more.
SIGNATURES: dict[str, tuple[Signature, ...]] = {
    "JPEG": at_start(b"\xff\xd8\xff"),
    "PNG": at_start(PNG),
    "WEBP": (((0, b"RIFF"), (8, b"WEBP")),),
    "AVIF": (FTYP,),
    "TIFF": at_start(*(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"MM*\0", b"II\0*")),
    "BMP": at_start(b"BM"),
    "GIF": at_start(b"GIF87a", b"GIF89a"),
    "JPEG2000": at_start(b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
    "PPM": at_start(*(b"P%c" % letter for letter in b"0123456fy")),
    "HEIF": (FTYP,),
}
#: Boxes of ISO/IEC 14496-12 that are no pictures, by their brands: video and sound.
MOVING = (
    b"isom",
    b"iso",
    b"mp4",
    b"M4A",
    b"M4V",
    b"M4B",
    b"qt  ",
    b"3gp",
    b"3g2",
    b"avc1",
    b"dash",
)
HEIC = (b"hei", b"hev")


def may_become_picture(head: bytes, readable: Sequence[str]) -> bool:
    """Whether a file that begins so can be a picture of a readable format once more of it is there.

    ``head``: its first bytes, `HEAD_BYTES` or all that it has. Nothing but zeros may be space that
    is reserved and not written yet.
    """
    if not head.strip(b"\0"):
        return True
    unreadable = MOVING if "HEIF" in readable else (*MOVING, *HEIC)
    if head[4:8] == b"ftyp" and head[8:].startswith(unreadable):
        return False
    signatures = (one for name in readable for one in SIGNATURES[name])
    return any(may_match(head, signature) for signature in signatures)


def may_match(head: bytes, signature: Signature) -> bool:
    """Whether nothing in the head contradicts a signature; bytes that are missing do not."""
    return all(expected.startswith(head[at : at + len(expected)]) for at, expected in signature)
