"""Makes whole frames of interlaced ones: FFmpeg's bwdif, one frame for two fields."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from cvunet.video import av_library
from cvunet.video.decoding import Raw
from cvunet.video.upright import UPRIGHT, Turn


def deinterlaced(frames: Iterator[Raw], time_base: Fraction) -> Iterator[Raw]:
    """Yield the frames; from the first interlaced one on, such frames are made whole.

    ``time_base``: of their stamps. The filter looks at the frames before and after each.
    """
    graph, size, turn = None, (0, 0), UPRIGHT
    for raw in frames:
        if graph is None and raw.picture.interlaced_frame and raw.mask is None:
            graph = build_graph(raw.picture, time_base)
            size = (raw.picture.width, raw.picture.height)
        if graph is None:
            yield raw
            continue
        picture = raw.picture.reformat(width=size[0], height=size[1], threads=1)
        picture.pts, picture.time_base = raw.stamp, time_base
        graph.vpush(picture)
        turn = raw.turn
        yield from pulled(graph, time_base, turn)
    if graph is not None:
        graph.vpush(None)
        yield from pulled(graph, time_base, turn)


def build_graph(picture: Any, time_base: Fraction) -> Any:
    """The filter for frames like this one; others of them pass through it unchanged."""
    graph = av_library.load().filter.Graph()
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=time_base
    )
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    return graph


def pulled(graph: Any, time_base: Fraction, turn: Turn) -> Iterator[Raw]:
    """The frames that the filter has ready, with this turn."""
    av = av_library.load()
    while True:
        try:
            picture = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        stamp = picture.pts
        if stamp is not None:  # the filter counts in half ticks
            stamp = round(stamp * picture.time_base / time_base)
        yield Raw(picture, stamp=stamp, turn=turn)
