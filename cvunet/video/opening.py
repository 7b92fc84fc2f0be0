"""Opens a clip in libavformat so that nothing but this stream is ever read.

The demuxer is the one of the kind that `signatures` found. Playlists, lists of files, references
to other files and addresses in the network are refused three times: no other demuxer is allowed,
no protocol is, and each attempt to open anything ends in an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from cvunet.errors import ImageError
from cvunet.video import av_library
from cvunet.video.clips import ClipKind
from cvunet.video.decoders import DEMUXERS, WHITELIST
from cvunet.video.streams import Window

BUFFER_BYTES = 1 << 16
PROBE_BYTES = 5_000_000
"""Read at most to find out what the streams are; libavformat's default."""
MAX_STREAMS = 100
MOST_HEAD_BYTES = {"gif": 1 << 30}
"""Read before the first frame. Of a GIF that is all: libavformat counts its frames."""
MOST_ATTACHED_BYTES = 1 << 28
"""The same of other kinds: fonts for subtitles lie there."""


def refuse(url: str, flags: int, options: object) -> NoReturn:
    """A clip has asked for another file or address: never."""
    raise PermissionError("a clip may not refer to other files")


@contextmanager
def opened(window: Window, kind: ClipKind, *, max_pixels: int) -> Iterator[Any]:
    """The clip's container (an `InputContainer`); closed afterwards.

    `ImageError` if it cannot be read at all.
    """
    av = av_library.load()
    demuxer = DEMUXERS[kind]
    options = {
        "format_whitelist": av.ContainerFormat(demuxer, "r").name,
        "protocol_whitelist": "none",
        "codec_whitelist": WHITELIST,
        "probesize": str(PROBE_BYTES),
        "max_streams": str(MAX_STREAMS),
        "max_pixels": str(max_pixels),
    }
    window.expect(MOST_HEAD_BYTES.get(kind, MOST_ATTACHED_BYTES))
    with blame_on_clip("it cannot be read"):
        container = av.open(
            window,
            "r",
            format=demuxer,
            options=options,
            io_open=refuse,
            buffer_size=BUFFER_BYTES,
            metadata_errors="replace",
        )
    window.expect(0)
    window.renew()
    try:
        yield container
    finally:
        container.close()


@contextmanager
def blame_on_clip(what: str) -> Iterator[None]:
    """Give libav's errors as ours. Those of the stream itself (`OSError`) pass unchanged."""
    av = av_library.load()
    try:
        yield
    except av.FFmpegError as error:
        raise ImageError(f"{what}: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """What libav, or one of ours, says."""
    return getattr(error, "strerror", None) or str(error)
