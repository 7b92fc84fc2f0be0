"""From a matte to the files of a result: framed, on its background, encoded, durable."""

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cvunet import errors as cvunet_errors
from cvunet.inference import matting
from cvunet.matte import adjustments, confidence, extent, foreground, framing, touch_up
from cvunet.matte.touch_up import TouchUp
from cvunet.pictures import encoding, profiles, reading
from daemon.disk import files
from daemon.disk.checksums import hashed
from daemon.errors import InstallError, PictureError, blaming
from daemon.jobs import Confidence, Done, Identity, Task
from daemon.renderings import Adjustments, Rendering
from daemon.worker.clips import backgrounds
from daemon.worker.items import Item, Look

Pixels = NDArray[Any]  # Any: uint8 or uint16
Alpha = NDArray[np.float32]

BACKGROUND_PIXELS = 100_000_000
#: Fields of the library's `FinishSettings` that are not taken from the rendering as they are: the
#: adjustments have a type of their own there, the others come after framing.
NOT_SHARED = frozenset({"background", "content", "adjustments"})


class Backgrounds:
    """Background pictures, decoded once; of a clip, its first frame."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        """`InstallError` for a file that is neither a picture nor a clip."""
        self.pictures: dict[Path, NDArray[np.uint8]] = {}
        self.digests: dict[Path, str] = {}
        self.clips: set[Path] = set()
        """Those that play behind clips."""
        for file in sorted(set(files)):
            if backgrounds.is_clip(file):
                self.clips.add(file)
                self.pictures[file], self.digests[file] = backgrounds.first_frame(file)
            else:
                self.pictures[file], self.digests[file] = read_background(file)

    def fit(self, file: Path, pixels: Pixels, *, aspect: float = 1.0) -> NDArray[np.uint8]:
        """Return the picture as HxWx3 in sRGB, scaled so that it covers a cut-out HxWx4.

        ``aspect``: width by height of the cut-out's pixels.
        """
        height, width = pixels.shape[:2]
        return framing.cover(self.pictures[file], width=width, height=height, aspect=aspect)


def read_background(file: Path) -> tuple[NDArray[np.uint8], str]:
    """Return HxWx3 in sRGB, and the file's SHA-256."""
    try:
        with files.open_regular(file) as stream:
            source, digest = hashed(stream)
            picture = reading.read(source, max_pixels=BACKGROUND_PIXELS, depth=8)
            return foreground.background_of(picture), digest
    except (cvunet_errors.ImageError, PictureError, OSError) as error:
        raise InstallError(
            f"background {file} cannot be read: {error}; correct output.background"
        ) from error


class Composed(NamedTuple):
    """What is encoded, and where the subject is in it."""

    result: Pixels
    mask: Pixels | None
    """Only if both are wanted."""
    foreground: tuple[int, int, int, int] | None
    """Left, top, width and height of the subject; None if there is none."""


@dataclass(frozen=True, slots=True)
class Finishing:
    """What is the same for all results of a worker."""

    weights: str | None = None
    """SHA-256 of the weights file."""
    model: dict[str, object] = field(default_factory=dict)
    """The settings of the network that the pixels depend on."""
    backgrounds: Backgrounds = field(default_factory=Backgrounds)

    def settings(self, rendering: Rendering) -> str:
        """Return the SHA-256 of all settings that the pixels depend on."""
        settings = asdict(rendering) | {"model": self.model}
        if rendering.max_result_pixels is None:  # as it was before there was this setting
            del settings["max_result_pixels"]
        if rendering.adjustments == Adjustments():
            del settings["adjustments"]
        if rendering.hair == "off":
            del settings["hair"]  # the pixels and the hash are those of earlier versions
        if not rendering.touch_ups:
            del settings["touch_ups"]
        if not rendering.keep_haze:
            del settings["keep_haze"]  # likewise
        if isinstance(rendering.background, Path):  # hash the picture, not its path
            settings["background"] = self.backgrounds.digests[rendering.background]
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def compose_item(self, item: Item, look: Look) -> Composed:
        """Return what `compose` makes of an item and of what a model saw in it."""
        assert item.picture is not None
        return self.compose(
            item.picture,
            look.alpha,
            item.task.rendering,
            prepared=look.small,
            touch_ups=item.touch_ups,
        )

    def compose(
        self,
        picture: reading.Picture,
        alpha: Alpha,
        rendering: Rendering,
        *,
        prepared: NDArray[np.uint8] | None = None,
        touch_ups: Iterable[TouchUp] = (),
    ) -> Composed:
        """Return the result, and the separate mask if both are wanted; as `matting.finish`.

        ``touch_ups`` are laid over it one after the other, before it is framed.
        """
        shape = framing.Framing(**asdict(rendering.framing))
        settings = replace(finish_settings(rendering), bleed=False)  # framing would undo it
        pixels = matting.finish(picture, alpha, settings=settings, prepared=prepared)
        for one in touch_ups:
            pixels = touch_up.lay_over(pixels, one, rgb=picture.rgb, source_alpha=picture.alpha)
        pixels = framing.frame(pixels, shape)
        pixels = framing.shrink(pixels, rendering.max_result_pixels)
        subject = extent.subject_rectangle(pixels, threshold=rendering.framing.threshold)
        if rendering.content == "alpha":
            return Composed(pixels, None, subject)
        mask = np.ascontiguousarray(pixels[..., 3]) if rendering.content == "both" else None
        if rendering.background is None:
            result = foreground.bleed_colours(pixels) if rendering.bleed else pixels
            return Composed(result, mask, subject)
        background = self.background_for(rendering.background, pixels, picture.profile)
        return Composed(foreground.flatten(pixels, background), mask, subject)

    def background_for(
        self, background: tuple[int, int, int] | Path, pixels: Pixels, profile: bytes | None
    ) -> tuple[int, int, int] | NDArray[np.uint8]:
        """Return a background in the colour space of the picture that is laid on it."""
        if isinstance(background, Path):
            return profiles.from_srgb(self.backgrounds.fit(background, pixels), profile)
        return profiles.colour_from_srgb(background, profile)

    def done_outcome(
        self,
        item: Item,
        identity: Identity,
        picture: reading.Picture,
        look: Look,
        *,
        composed: Composed,
    ) -> Done:
        """Return everything that the manifest says about a result."""
        height, width = picture.rgb.shape[:2]
        confidence = look.confidence
        trouble = (item.trouble,) if item.trouble else ()
        return Done(
            identity,
            width,
            height,
            dict(item.seconds),
            (*picture.warnings, *(confidence.reasons if confidence.is_blank else ()), *trouble),
            result_size=(composed.result.shape[1], composed.result.shape[0]),
            foreground=composed.foreground,
            sha256=item.sha256,
            weights=self.weights,
            settings=self.settings(item.task.rendering),
            confidence=confidence,
            touch_ups=len(item.touch_ups),
            model=look.model,
            opinions=item.opinions,
        )


def check_backgrounds(files: Iterable[Path]) -> None:
    """Raise `InstallError` for a background that is neither a picture nor a clip."""
    Backgrounds(files)


def finish_settings(rendering: Rendering) -> matting.FinishSettings:
    """Return the library's part of a rendering: the cut-out or the mask itself."""
    shared = {
        each.name: getattr(rendering, each.name)
        for each in fields(matting.FinishSettings)
        if each.name not in NOT_SHARED
    }
    return matting.FinishSettings(
        **shared,
        content="alpha" if rendering.content == "alpha" else "cutout",
        adjustments=adjustments.Adjustments(**asdict(rendering.adjustments)),
    )


def clip_settings(rendering: Rendering, *, is_mask: bool) -> matting.FinishSettings:
    """Return the library's part of the rendering of a clip's frames."""
    return replace(finish_settings(rendering), content="alpha" if is_mask else "cutout")


def assess(alpha: Alpha) -> Confidence:
    """Return how far the network's own alpha can be trusted."""
    return Confidence(**asdict(confidence.judge(alpha)))


def write(task: Task, picture: reading.Picture, result: Pixels, mask: Pixels | None) -> None:
    """Encode to the part files and make them durable; they become visible by publication."""
    wanted = task.rendering
    if mask is not None and task.alpha_part is not None:
        write_part(task.alpha_part, mask, format=wanted.alpha_format, source=picture)
    try:
        write_part(task.part, result, format=wanted.format, source=picture)
    except BaseException:
        if task.alpha_part is not None:
            with suppress(OSError):  # the next start removes it
                files.remove(task.alpha_part)
        raise


def write_part(
    part: Path, pixels: Pixels, *, format: encoding.Format, source: reading.Picture
) -> None:
    """Write one file; `MachineError` if the folder cannot be written."""
    with blaming(part.parent), files.create(part) as stream:
        encoding.write(stream, pixels, format=format, source=source)
        stream.flush()
        os.fsync(stream.fileno())
