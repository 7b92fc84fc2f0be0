"""What a decode child says of a picture: believed only as far as it can be true."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from cvunet.pictures.metadata import Metadata
from cvunet.pictures.reading import Picture
from cvunet.pictures.resolution import Resolution, Unit
from daemon.worker.children.channel import Message
from daemon.worker.children.layout import Buffer, end_of

SHA256 = re.compile(r"[0-9a-f]{64}")
FORMAT = re.compile(r"[\w ]{1,20}")
DTYPES: dict[int, type[np.unsignedinteger[Any]]] = {1: np.uint8, 2: np.uint16}  # Any: numpy's


@contextmanager
def believed() -> Iterator[None]:
    """What makes no sense is no picture's fault, but that of who has taken over the child."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RuntimeError(f"its decoder gave an answer that makes no sense: {error}") from error


@dataclass(frozen=True, slots=True)
class Description:
    """What a child says of the picture that it has written."""

    height: int
    width: int
    sample_bytes: int
    sizes: tuple[int | None, ...]
    """Of colours, alpha, profile, EXIF and XMP."""
    warnings: tuple[str, ...]
    format: str
    resolution: Resolution | None
    is_unfinished: bool
    sha256: str

    @classmethod
    def of(cls, answer: Message, *, pixels: int, room: int) -> "Description":
        """Return the description in an answer; `ValueError` and others if it is not true."""
        height, width = map(int, answer["shape"])
        sample_bytes = int(answer["sample_bytes"])
        sizes = tuple(None if size is None else int(size) for size in answer["sizes"])
        sha256, format = str(answer["sha256"]), str(answer["format"])
        rgb, alpha, *blocks = sizes
        is_true = (
            min(height, width) > 0
            and height * width == pixels
            and sample_bytes in DTYPES
            and rgb == 3 * pixels * sample_bytes
            and alpha in (None, pixels * sample_bytes)
            and len(blocks) == len(("profile", "exif", "xmp"))
            and end_of(sizes) <= room
            and SHA256.fullmatch(sha256)
            and FORMAT.fullmatch(format)
        )
        if not is_true:
            raise ValueError("other sizes than its head says")
        warnings = tuple(map(str, answer["warnings"]))
        resolution = believed_resolution(answer["resolution"])
        return cls(
            height=height,
            width=width,
            sample_bytes=sample_bytes,
            sizes=sizes,
            warnings=warnings,
            format=format,
            resolution=resolution,
            is_unfinished=bool(answer["is_unfinished"]),
            sha256=sha256,
        )

    def picture_in(self, buffer: Buffer) -> Picture:
        """The picture, whose pixels lie in the buffer; the buffer is given back after them."""
        rgb, alpha, *blocks = buffer.load(self.sizes)
        assert rgb is not None
        dtype = DTYPES[self.sample_bytes]
        profile, exif, xmp = (None if block is None else block.tobytes() for block in blocks)
        return Picture(
            rgb=rgb.view(dtype).reshape(self.height, self.width, 3),
            alpha=None if alpha is None else alpha.view(dtype).reshape(self.height, self.width),
            warnings=self.warnings,
            format=self.format,
            profile=profile,
            metadata=Metadata(exif or b"", xmp or b""),
            resolution=self.resolution,
            is_unfinished=self.is_unfinished,
        )


def believed_resolution(answer: object) -> Resolution | None:
    """`ValueError` and others for one that no file can have."""
    if answer is None:
        return None
    if not isinstance(answer, list):
        raise TypeError("a resolution of another kind")
    x, y, unit = answer
    found = Resolution(float(x), float(y), unit)
    if unit not in get_args(Unit) or not found.is_plausible:
        raise ValueError("a resolution that no file can have")
    return found
