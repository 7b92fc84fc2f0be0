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

from cvunet import confidence, foreground, framing, images, matting
from cvunet import errors as cvunet_errors
from daemon.digests import hashed
from daemon.errors import (
    Blame,
    InstallError,
    MachineError,
    PictureError,
    blame,
    describe,
)
from daemon.files import open_regular
from daemon.jobs import Confidence, Rendering, Task

Pixels = NDArray[Any]  # Any: uint8 or uint16
Alpha = NDArray[np.float32]

BACKGROUND_PIXELS = 100_000_000
#: Parts of a rendering that the library's `Finish` does not know.
OURS = frozenset({"format", "framing", "background", "content"})


class Backdrops:
    """Pictures that results are put on, decoded once."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        """`InstallError` for a file that is no picture."""
        self.pictures: dict[Path, NDArray[np.uint8]] = {}
        self.digests: dict[Path, str] = {}
        for file in sorted(set(files)):
            self.pictures[file], self.digests[file] = read_backdrop(file)

    def fit(self, file: Path, pixels: Pixels) -> Pixels:
        """The picture HxWx3 so that it covers a cut-out HxWx4, of the same type as that."""
        height, width = pixels.shape[:2]
        backdrop = framing.cover(self.pictures[file], width=width, height=height)
        if pixels.dtype == backdrop.dtype:
            return backdrop
        return backdrop.astype(pixels.dtype) * 257  # 255 becomes 65535


def read_backdrop(file: Path) -> tuple[NDArray[np.uint8], str]:
    """RGB, HxWx3, and the file's SHA-256."""
    try:
        with open_regular(file) as stream:
            source, digest = hashed(stream)
            return images.read(source, max_pixels=BACKGROUND_PIXELS).rgb, digest
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
        self, picture: images.Picture, alpha: Alpha, rendering: Rendering
    ) -> tuple[Pixels, Pixels | None]:
        """The result, and the mask beside it where both are wanted."""
        shaped = framing.Framing(**asdict(rendering.framing))
        pixels = framing.frame(
            matting.finish(picture, alpha, settings=finish_settings(rendering)), shaped
        )
        if rendering.content == "alpha":
            return pixels, None
        mask = np.ascontiguousarray(pixels[..., 3]) if rendering.content == "both" else None
        if rendering.background is None:
            return pixels, mask
        behind: Any = rendering.background  # Any: a colour, or pixels
        if isinstance(behind, Path):
            behind = self.backdrops.fit(behind, pixels)
        return foreground.flatten(pixels, behind), mask


def check_backgrounds(files: Iterable[Path]) -> None:
    """`InstallError` for a background that is no picture."""
    Backdrops(files)


def finish_settings(rendering: Rendering) -> matting.Finish:
    """The library's share of a rendering: the cut-out or the mask itself."""
    shared = {
        each.name: getattr(rendering, each.name)
        for each in fields(rendering)
        if each.name not in OURS
    }
    return matting.Finish(**shared, content="alpha" if rendering.content == "alpha" else "cutout")


def judge(alpha: Alpha) -> Confidence:
    """How far the network's own alpha can be trusted."""
    return Confidence(**asdict(confidence.judge(alpha)))


def write(task: Task, result: Pixels, mask: Pixels | None) -> None:
    """Encode to the part files and make them durable; publishing alone makes them visible."""
    if mask is not None and task.alpha_part is not None:
        write_part(task.alpha_part, mask, format=task.rendering.alpha_format)
    try:
        write_part(task.part, result, format=task.rendering.format)
    except BaseException:
        if task.alpha_part is not None:
            with suppress(OSError):  # the next start removes it
                task.alpha_part.unlink(missing_ok=True)
        raise


def write_part(part: Path, pixels: Pixels, *, format: images.Format) -> None:
    """One file; `MachineError` where the folder cannot be written."""
    try:
        with part.open("wb") as stream:
            images.write(stream, pixels, format=format)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if blame(error) is not Blame.MACHINE:
            raise
        raise MachineError(f"{part.parent} cannot be written: {describe(error)}") from error
