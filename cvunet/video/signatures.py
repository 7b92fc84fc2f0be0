"""Which kind of clip a stream holds, by its content. Needs no library and reads little.

An animated picture of one frame is a picture, not a clip.
"""

from cvunet.pictures import signatures
from cvunet.video import boxes, chunks, ebml
from cvunet.video.clips import ClipKind
from cvunet.video.streams import Readable

HEAD_BYTES = 64
"""As many first bytes as `may_be_clip` needs."""

GIFS = (b"GIF87a", b"GIF89a")


def may_be_clip(head: bytes) -> bool:
    """Whether a file that begins so can be a clip; `clip_kind` says it for certain.

    ``head``: its first `HEAD_BYTES`, or all that it has.
    """
    is_riff = head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WEBP")
    return (
        is_riff
        or head.startswith((signatures.PNG, *GIFS, ebml.MAGIC))
        or boxes.kind_by_brands(head) is not None
    )


def clip_kind(stream: Readable) -> ClipKind | None:
    """The kind of clip, or None for a picture and for anything else.

    Needs a stream that can seek, and leaves it at its start. Reads at most `chunks.MOST_BYTES`,
    in practice less than a kilobyte, except for a GIF: up to its second frame.
    """
    stream.seek(0)
    try:
        return find_kind(stream, stream.read(HEAD_BYTES))
    finally:
        stream.seek(0)


def find_kind(stream: Readable, head: bytes) -> ClipKind | None:
    """Do as `clip_kind`, with the first bytes at hand."""
    if head.startswith(GIFS):
        return "gif" if chunks.has_two_gif_frames(stream) else None
    if head.startswith(signatures.PNG):
        return "apng" if chunks.png_frames(stream) > 1 else None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp" if chunks.has_two_webp_frames(stream) else None
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head.startswith(ebml.MAGIC):
        return ebml.kind(stream)
    kind = boxes.kind_by_brands(head)
    if kind == "avif" and boxes.most_samples(stream) < 2:
        return None
    return kind
