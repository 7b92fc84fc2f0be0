"""From a matte to the files of a result: framed, on its background, encoded, durable."""

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvunet import errors as cvunet_errors
from cvunet.inference import matting
from cvunet.matte import confidence, foreground, framing
from cvunet.pictures import bit_depth, encoding, profiles, reading
from daemon.disk import modes
from daemon.disk.checksums import hashed
from daemon.disk.files import open_regular
from daemon.errors import Blame, InstallError, MachineError, PictureError, blame, describe
from daemon.jobs import Confidence, Rendering, Task

Pixels = NDArray[Any]  # Any: uint8 or uint16
Alpha = NDArray[np.float32]

BACKGROUND_PIXELS = 100_000_000
#: Of the library's `Finish`, what is not simply the rendering's: it comes after the framing.
LATER = frozenset({"background", "content"})


class Backdrops:
    """Pictures that results are put on, decoded once."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        """`InstallError` for a file that is no picture."""
        self.pictures: dict[Path, NDArray[np.uint8]] = {}
        self.digests: dict[Path, str] = {}
        for file in sorted(set(files)):
            self.pictures[file], self.digests[file] = read_backdrop(file)

    def fit(self, file: Path, pixels: Pixels) -> NDArray[np.uint8]:
        """The picture HxWx3 in sRGB so that it covers a cut-out HxWx4."""
        height, width = pixels.shape[:2]
        return framing.cover(self.pictures[file], width=width, height=height)


def read_backdrop(file: Path) -> tuple[NDArray[np.uint8], str]:
    """HxWx3 in sRGB, and the file's SHA-256."""
    try:
        with open_regular(file) as stream:
            source, digest = hashed(stream)
            picture = reading.read(source, max_pixels=BACKGROUND_PIXELS, depth=8)
            return profiles.to_srgb(bit_depth.to_bytes(picture.rgb), picture.profile), digest
    except (cvunet_errors.ImageError, PictureError, OSError) as error:
        raise InstallError(
            f"background {file} cannot be read: {error}; mend output.background"
        ) from error


@dataclass(frozen=True, slots=True)
class Finishing:
    """What is the same for all results of a worker."""

    weights: str | None = None
    """SHA-256 of the weights file."""
    model: dict[str, object] = field(default_factory=dict)
    """How the network is run, as far as pixels depend on it."""
    backdrops: Backdrops = field(default_factory=Backdrops)

    def settings(self, rendering: Rendering) -> str:
        """SHA-256 of all settings that the pixels depend on: equal ones give equal pixels."""
        settings = asdict(rendering) | {"model": self.model}
        if isinstance(rendering.background, Path):  # the picture counts, not where it lies
            settings["background"] = self.backdrops.digests[rendering.background]
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def compose(
        self,
        picture: reading.Picture,
        alpha: Alpha,
        rendering: Rendering,
        *,
        prepared: NDArray[np.uint8] | None = None,
    ) -> tuple[Pixels, Pixels | None]:
        """The result, and the mask beside it where both are wanted; as `matting.finish`."""
        shaped = framing.Framing(**asdict(rendering.framing))
        settings = finish_settings(rendering)
        pixels = framing.frame(
            matting.finish(picture, alpha, settings=settings, prepared=prepared), shaped
        )
        if rendering.content == "alpha":
            return pixels, None
        mask = np.ascontiguousarray(pixels[..., 3]) if rendering.content == "both" else None
        if rendering.background is None:
            return pixels, mask
        behind = self.behind(rendering.background, pixels, picture.profile)
        return foreground.flatten(pixels, behind), mask

    def behind(
        self, background: tuple[int, int, int] | Path, pixels: Pixels, profile: bytes | None
    ) -> tuple[int, int, int] | NDArray[np.uint8]:
        """A background in the colour space of the picture that is laid on it."""
        if isinstance(background, Path):
            return profiles.from_srgb(self.backdrops.fit(background, pixels), profile)
        return profiles.colour_from_srgb(background, profile)


def check_backgrounds(files: Iterable[Path]) -> None:
    """`InstallError` for a background that is no picture."""
    Backdrops(files)


def finish_settings(rendering: Rendering) -> matting.Finish:
    """The library's share of a rendering: the cut-out or the mask itself."""
    shared = {
        each.name: getattr(rendering, each.name)
        for each in fields(matting.Finish)
        if each.name not in LATER
    }
    return matting.Finish(**shared, content="alpha" if rendering.content == "alpha" else "cutout")


def judge(alpha: Alpha) -> Confidence:
    """How far the network's own alpha can be trusted."""
    return Confidence(**asdict(confidence.judge(alpha)))


def write(task: Task, picture: reading.Picture, result: Pixels, mask: Pixels | None) -> None:
    """Encode to the part files and make them durable; publishing alone makes them visible."""
    wanted = task.rendering
    if mask is not None and task.alpha_part is not None:
        write_part(task.alpha_part, mask, format=wanted.alpha_format, source=picture)
    try:
        write_part(task.part, result, format=wanted.format, source=picture)
    except BaseException:
        if task.alpha_part is not None:
            with suppress(OSError):  # the next start removes it
                task.alpha_part.unlink(missing_ok=True)
        raise


def write_part(
    part: Path, pixels: Pixels, *, format: encoding.Format, source: reading.Picture
) -> None:
    """One file; `MachineError` where the folder cannot be written."""
    try:
        with modes.create(part) as stream:
            encoding.write(stream, pixels, format=format, source=source)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if blame(error) is not Blame.MACHINE:
            raise
        raise MachineError(f"{part.parent} cannot be written: {describe(error)}") from error
