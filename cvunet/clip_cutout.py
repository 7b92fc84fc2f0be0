"""The public Python interface for clips: cut the subject out of a moving picture.

    predictor = open_predictor()
    cut_out_clip(predictor, "cat.mp4", "cat.webm")

It needs the extra ``[video]``. What comes out, and how edges are kept steady: docs/video.md.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeAlias, get_args

from cvunet import files
from cvunet.cutout import ask, parse_background
from cvunet.errors import FileError, ImageError, OptionError
from cvunet.inference import matting
from cvunet.inference.predictor import Predictor
from cvunet.matte.foreground import WHITE
from cvunet.pictures.bit_depth import Uint8Array
from cvunet.video import cutting, reading
from cvunet.video.backdrops import ClipBackdrop, ColourBackdrop, PictureBackdrop
from cvunet.video.clips import ANY_LENGTH, VideoFormat
from cvunet.video.cutting import ClipJob, CutClip, Part, ignore_frame
from cvunet.video.formats import Encoding
from cvunet.video.pipeline import Backdrop, ClipRendering
from cvunet.video.reading import ClipReader
from cvunet.video.steadying import Steady

__all__ = ["CutClip", "Steady", "cut_out_clip"]

#: "#rrggbb", a colour (red, green, blue) of 0 to 255, an array HxWx3 uint8, or another clip.
ClipBackground: TypeAlias = str | tuple[int, int, int] | Uint8Array | Path
SUFFIXES: dict[str, VideoFormat] = {
    ".webm": "webm",
    ".mov": "mov-prores",
    ".mp4": "mp4",
    ".zip": "png-sequence",
    ".png": "apng",
    ".apng": "apng",
    ".webp": "webp",
}


def cut_out_clip(
    predictor: Predictor,
    source: str | Path,
    target: str | Path,
    *,
    format: VideoFormat | None = None,
    background: ClipBackground | None = None,
    steady: Steady | None = None,
    part: tuple[float, float | None] = (0.0, None),
    on_frame: Callable[[int], None] | None = None,
) -> CutClip:
    """Cut the subject out of a clip, with its sound and its times. Any thread.

    Without ``format`` the suffix of ``target`` decides: .webm (VP9 with alpha), .mov (ProRes 4444),
    .mp4 (H.264, white without ``background``), .png or .apng, .webp, .zip (numbered PNG files).
    Others are "mov-qtrle" and "alpha" (the matte alone, in .mov). ``background``: as of
    `Cutout.on`, or the `Path` of another clip, which is repeated if it is shorter. ``steady``: how
    edges are kept steady; None is ``Steady()``. ``part``: begin and end in seconds; None is the
    end. ``on_frame`` gets the number of finished frames, after each of them.

    The target appears whole or not at all; an earlier file is replaced. Memory does not depend on
    the length. `ImageError` if the clip cannot be read, `VideoMissing` without the extra,
    `FileError` if a file cannot be read or written, `OptionError` if the target is the source or
    the background, or if another value cannot be used. Errors of the network as `cut_out`.
    """
    path = files.named(target)
    chosen = _format_of(path, format)
    with ExitStack() as stack:
        clip = _open(stack, files.named(source))
        backdrop = _backdrop(stack, background, clip, chosen)
        _check_target(path, Path(source), background)
        job = ClipJob(
            chosen,
            _rendering(predictor, chosen, steady or Steady(), backdrop),
            encoding=Encoding(threads=len(os.sched_getaffinity(0))),
            part=Part(*part),
            on_frame=on_frame or ignore_frame,
        )
        with _appearing(path) as (out, scratch):
            return cutting.cut_clip(clip, out, scratch, predict=partial(ask, predictor), job=job)


def _format_of(path: Path, format: VideoFormat | None) -> VideoFormat:
    chosen = format or SUFFIXES.get(path.suffix.lower())
    if chosen is None or chosen not in get_args(VideoFormat):
        known = ", ".join(SUFFIXES)
        raise OptionError(f"{path}: unknown suffix or format: use one of {known}, or name a format")
    return chosen


def _rendering(
    predictor: Predictor, format: VideoFormat, steady: Steady, backdrop: Backdrop | None
) -> ClipRendering:
    return ClipRendering(
        matting.FinishSettings(content="alpha" if format == "alpha" else "cutout"),
        steady,
        backdrop,
        prepare=predictor.prepare,
    )


def _open(stack: ExitStack, path: Path) -> ClipReader:
    try:
        stream = stack.enter_context(path.open("rb"))
        return reading.open_clip(stream, limits=ANY_LENGTH)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    except OSError as error:
        raise FileError(
            f"{path}: cannot be read ({error.strerror}): check the path and the rights"
        ) from error


def _backdrop(
    stack: ExitStack, background: ClipBackground | None, clip: ClipReader, format: VideoFormat
) -> Backdrop | None:
    if format == "alpha" and background is not None:
        raise OptionError("alpha is the matte alone: leave out the background")
    if isinstance(background, Path):
        behind = _open(stack, files.named(background))
        return ClipBackdrop(behind, clip.facts.time_base, aspect=clip.facts.pixel_aspect)
    if background is None:
        return ColourBackdrop(WHITE) if format == "mp4" else None
    chosen = parse_background(background)
    if isinstance(chosen, tuple):
        return ColourBackdrop(chosen)
    return PictureBackdrop(chosen, aspect=clip.facts.pixel_aspect)


def _check_target(target: Path, *used: ClipBackground | None) -> None:
    """`OptionError` if the result would replace a clip that it is made of."""
    is_used = False
    with suppress(OSError):  # mostly there is no target yet
        is_used = any(isinstance(one, Path) and target.samefile(one) for one in used)
    if is_used:
        raise OptionError(f"{target}: is the source or the background itself: name another target")


@contextmanager
def _appearing(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """A file that gets its name when all is well, and a nameless one beside it."""
    try:
        with files.appearing(path) as out, tempfile.TemporaryFile(dir=path.parent) as scratch:
            yield out, scratch
    except OSError as error:
        raise FileError(
            f"{path}: cannot be written ({error.strerror}): check the folder, its rights and its"
            " free space"
        ) from error
