"""A clip that a person names: cut out in this process, without a child and without segments.

The command ends with it, so there is nothing to protect from a hostile file but the command itself.
"""

import fcntl
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import cv2

from cvunet import cutout
from cvunet.errors import CvunetError
from cvunet.matte.foreground import WHITE
from cvunet.video import av_library, cutting, reading
from cvunet.video.backdrops import ColourBackdrop, PictureBackdrop
from cvunet.video.clips import ANY_LENGTH
from cvunet.video.cutting import ClipJob, Part
from cvunet.video.formats import Encoding
from cvunet.video.pipeline import Backdrop, ClipRendering
from cvunet.video.reading import ClipReader, ignore_frame
from cvunet.video.stages import Cancelled
from cvunet.video.steadying import Steady
from daemon import collector
from daemon.disk import files
from daemon.errors import InstallError, PictureError
from daemon.renderings import Rendering, Video, VideoFormat
from daemon.settings import ModelSettings
from daemon.worker import finishing, predictors
from daemon.worker.children.process import processors
from daemon.worker.clips import kinds
from daemon.worker.clips.backgrounds import MEND, open_file
from daemon.worker.clips.behind import BadBackground, backdrop, blaming_background

if TYPE_CHECKING:
    from cvunet.inference.predictor import Alpha, Predictor
    from cvunet.pictures.bit_depth import Uint8Array


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done with one clip."""

    source: Path
    part: Path
    """The unfinished result."""
    format: VideoFormat
    rendering: Rendering
    video: Video
    max_pixels: int
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A result that is published."""

    target: Path
    warnings: tuple[str, ...]


class CutStopped(Exception):
    """A person has stopped it."""


class InUse(Exception):
    """Another process is making this result."""


class ClipCutter:
    """Cuts out clips, one after another, with one warm network."""

    def __init__(self, model: ModelSettings, export_folders: tuple[Path, ...]) -> None:
        """Load the network; `InstallError` if it cannot be used, or PyAV is missing."""
        options = predictors.options_of(model, export_folders)
        with predictors.translated_errors():
            av_library.load()
        cv2.setNumThreads(1)  # frames are finished in threads, each on one core
        device = model.devices[0]
        self.predictor: Predictor = predictors.open_predictor(replace(options, device=device))
        collector.settle()  # codecs lie in cycles
        self.stop = threading.Event()
        """Set from anywhere: the clip in work ends with `CutStopped`."""
        self._part: Path | None = None
        """The unfinished result that is in work."""

    def cut(
        self,
        order: Order,
        on_frame: Callable[[int, int | None], None],
        publish: Callable[[Path], Path],
    ) -> Made:
        """Make one result; nothing is left of it if that fails.

        ``on_frame`` gets the number of finished frames and that of all, None if it is unknown.
        ``publish`` gives the part its name while nobody else can write to it. `PictureError` says
        what is wrong with the clip, or why the network cannot look at it, `InstallError` what is
        wrong with this machine or the background.
        """
        try:
            with ExitStack() as stack, predictors.translated_errors():
                clip = open_clip(stack, order.source, order.max_pixels)
                return self._make(stack, clip, order, on_frame=on_frame, publish=publish)
        except Cancelled as error:
            raise CutStopped from error
        except BadBackground as error:
            place = order.rendering.background
            raise InstallError(f"background {place} cannot be read: {error}; {MEND}") from error
        except CvunetError as error:  # of the network; no other clip must suffer
            raise PictureError(str(error)) from error
        finally:
            self.clear()

    def clear(self) -> None:
        """Delete the unfinished result, if there is one; also before a sudden end."""
        part, self._part = self._part, None
        if part is not None:
            with suppress(OSError):  # it must not hide why the work has ended
                files.remove(part)

    def _make(
        self,
        stack: ExitStack,
        clip: ClipReader,
        order: Order,
        *,
        on_frame: Callable[[int, int | None], None],
        publish: Callable[[Path], Path],
    ) -> Made:
        part = Part(order.start_s, order.end_s)
        total = part.expected_frames(clip.facts)
        cores = processors()
        job = ClipJob(
            order.format,
            rendering=self._rendering(stack, clip, order),
            encoding=Encoding(speed=order.video.speed, quality=order.video.quality, threads=cores),
            part=part,
            on_frame=lambda done: on_frame(done, total),
            cancelled=self.stop,
            keeps_damaged=order.video.on_damage == "keep",
            threads=cores,
        )
        out = stack.enter_context(open_part(order.part))
        self._part = order.part
        # Without a name: nothing of it is left, however this process ends.
        scratch = stack.enter_context(tempfile.TemporaryFile(dir=order.part.parent))  # noqa: SIM115
        made = cutting.cut_clip(clip, out, scratch, predict=self._predict, job=job)
        out.flush()
        os.fsync(out.fileno())
        target = publish(order.part)
        self._part = None
        return Made(target, made.warnings)

    def _predict(self, smalls: "Sequence[Uint8Array]") -> "Sequence[Alpha]":
        return cutout.ask(self.predictor, smalls)

    def _rendering(self, stack: ExitStack, clip: ClipReader, order: Order) -> ClipRendering:
        return ClipRendering(
            finish=finishing.clip_settings(order.rendering, is_mask=order.format == "alpha"),
            steady=Steady(order.video.window, order.video.strength),
            backdrop=self._backdrop(stack, clip, order),
            prepare=self.predictor.prepare,
        )

    def _backdrop(self, stack: ExitStack, clip: ClipReader, order: Order) -> Backdrop | None:
        """What is behind the subject; None if the result is transparent, or the matte alone."""
        background = order.rendering.background
        if order.format == "alpha" or (background is None and order.format != "mp4"):
            return None
        if not isinstance(background, Path):
            return ColourBackdrop(background or WHITE)
        with blaming_background():
            stream = stack.enter_context(open_file(background))
            if kinds.kind_of(background):
                limits = replace(ANY_LENGTH, max_pixels=order.max_pixels)
                playing = reading.open_clip(stream, limits=limits)
                return backdrop(playing, clip.facts, on_frame=ignore_frame)
        picture, _ = finishing.read_background(background)
        return PictureBackdrop(picture, aspect=clip.facts.pixel_aspect)


def open_clip(stack: ExitStack, path: Path, max_pixels: int) -> ClipReader:
    """Open a clip of any length; its file is closed with the stack."""
    stream = stack.enter_context(files.open_regular(path))
    limits = replace(ANY_LENGTH, max_pixels=max_pixels)
    return reading.open_clip(stream, limits=limits)


@contextmanager
def open_part(path: Path) -> Iterator[BinaryIO]:
    """An unfinished result that nobody else writes; one that a killed run has left is emptied."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o666), "r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUse from error
        if not is_still_named(stream, path):  # it was published before we had the lock
            raise InUse
        stream.truncate(0)
        yield stream


def is_still_named(stream: BinaryIO, path: Path) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.lstat())
    except FileNotFoundError:
        return False
