"""The public Python interface: open a network, read a picture, cut its subject out.

    predictor = open_predictor()
    cut_out(predictor, read_picture("cat.jpg")).save("cat.png")

On a CPU a result is byte for byte what `cvunetd cut` writes with its default settings. On a GPU the
last bits may differ, because the command computes several pictures in one pass. Each function here
may be called from several threads at once, also with the same predictor.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import BinaryIO, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from cvunet import files
from cvunet.errors import CvunetError, FileError, ImageError, OptionError
from cvunet.inference import matting, runtimes
from cvunet.inference.predictor import Precision, Predictor
from cvunet.inference.runtimes import ModelOptions, Runtime
from cvunet.matte import confidence as matte_confidence
from cvunet.matte import foreground, framing
from cvunet.matte.adjustments import Adjustments
from cvunet.matte.confidence import Confidence
from cvunet.models import manifest
from cvunet.pictures import bit_depth, encoding, profiles, reading, sources
from cvunet.pictures.bit_depth import Samples, Uint8Array
from cvunet.pictures.encoding import Format
from cvunet.pictures.metadata import Policy
from cvunet.pictures.reading import Depth, Picture

#: A path, the bytes of a file, an open binary file, or an array HxWx3 uint8 in sRGB.
Source: TypeAlias = str | Path | bytes | BinaryIO | Uint8Array
#: "#rrggbb", a colour (red, green, blue) of 0 to 255, or an array HxWx3 uint8; all in sRGB.
Background: TypeAlias = str | tuple[int, int, int] | Uint8Array

SUFFIXES: dict[str, Format] = {
    ".png": "png",
    ".webp": "webp",
    ".avif": "avif",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
}
HEX_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def open_predictor(
    weights_file: str | Path | None = None,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    mirror: bool = False,
    input_size: int = 512,
    runtime: Runtime = "auto",
) -> Predictor:
    """Load a network onto a device. It takes about a second; keep the predictor and use it again.

    ``weights_file``: None is the file that was installed with the package. The SHA-256 of another
    file must be in the `manifest.yaml` beside it (`python -m cvunet.weights record FILE`).
    ``device``: "auto" (the first GPU if there is one, else the CPU), "cpu", "cuda" or "cuda:N".
    ``precision``: "auto", "float32", "bfloat16" or "float16". ``mirror``: also process the
    mirrored picture and average; finer edges, twice the computing. ``input_size``: side in pixels
    of the square that the network sees, a multiple of 32. ``runtime``: "auto" (on a CPU onnxruntime
    if it is installed, else torch), "torch" or "onnxruntime". For onnxruntime the weights are
    exported once, beside the file; if that folder is read-only, "auto" warns and takes torch.

    `WeightsError` if the file is missing, altered or not of this network. `DeviceError` if the
    device is absent. `RuntimeMissing` if the runtime is not installed. `OptionError` for any other
    value that cannot be used.
    """
    _check_choice("precision", precision, get_args(Precision))
    _check_choice("runtime", runtime, get_args(Runtime))
    runtimes.check_input_size(input_size)
    return runtimes.open_predictor(
        ModelOptions(
            file=manifest.installed() if weights_file is None else files.named(weights_file),
            device=device,
            runtime=runtime,
            precision=precision,
            input_size=input_size,
            is_mirrored=mirror,
        )
    )


def read_picture(
    source: Source,
    *,
    depth: Depth = "auto",
    metadata: Policy = "strip",
    max_pixels: int = 100_000_000,
) -> Picture:
    """Decode a picture to upright RGB in its own colour space.

    ``source``: a path, the bytes of a file, an open binary file (read from its beginning), or an
    array HxWx3 uint8 in sRGB (copied). ``depth``: bits of a sample, 8, 16 or "auto" (16 if the file
    has more than 8); arrays have 8. ``metadata``: what the result may repeat: "strip" (nothing),
    "copyright" (who owns the picture) or "keep". ``max_pixels``: larger pictures are refused
    before they are decoded.

    `FileError` if the file cannot be opened or read. `ImageError` if it is no picture, damaged or
    too large, or if an array has another shape or type. `OptionError` for any other value that
    cannot be used, such as a file that is open as text.
    """
    _check_choice("depth", depth, get_args(Depth))
    _check_choice("metadata", metadata, get_args(Policy))
    _check_number("max_pixels", max_pixels)
    if isinstance(source, np.ndarray):
        return sources.picture_of(source, max_pixels=max_pixels)
    name = str(source) if isinstance(source, str | Path) else "the picture"
    try:
        if isinstance(source, str | Path):
            with files.named(source).open("rb") as stream:
                return reading.read(stream, max_pixels=max_pixels, depth=depth, policy=metadata)
        opened = sources.stream_of(source)
        return reading.read(opened, max_pixels=max_pixels, depth=depth, policy=metadata)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from error
    except OSError as error:
        raise FileError(
            f"{name}: cannot be read ({error.strerror or error}): check the path and the rights"
        ) from error


def _check_choice(name: str, value: object, known: tuple[object, ...]) -> None:
    """`OptionError` for a value that is none of those known."""
    if value not in known:
        raise OptionError(f"{name} is {value!r}: choose one of {', '.join(map(str, known))}")


def _check_number(name: str, value: object) -> None:
    """`OptionError` for a value that is no number."""
    if not isinstance(value, Real):
        raise OptionError(f"{name} is {value!r}: give a number")


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A subject without its background. Jupyter shows it as a picture."""

    rgba: Samples = field(repr=False)
    """HxWx4, uint8 or (from deep pictures) uint16, straight alpha, in the picture's colour space.

    Colours are 0 where the alpha is 0. The old background is taken out of soft edges.
    """
    confidence: Confidence
    """How far the alpha can be trusted: `score` 0 (look at it) to 1, `reasons`, `is_blank`."""
    picture: Picture = field(repr=False)
    """The picture that it was cut out of; `warnings` say what was ignored in the file."""

    @property
    def alpha(self) -> NDArray[np.float32]:
        """HxW in [0, 1]: the fourth channel of ``rgba``. 0 is background, 1 is subject."""
        return bit_depth.to_float(self.rgba[..., 3])

    def on(self, background: Background) -> Samples:
        """The subject on a colour or on a picture: HxWx3 in the type and colour space of ``rgba``.

        A picture is scaled and cropped evenly so that it fills the whole background. `OptionError`
        for anything that is no background.
        """
        height, width = self.rgba.shape[:2]
        profile = self.picture.profile
        chosen = parse_background(background)
        if isinstance(chosen, tuple):
            return foreground.flatten(self.rgba, profiles.colour_from_srgb(chosen, profile))
        covering: Uint8Array = framing.cover(chosen, width=width, height=height)
        return foreground.flatten(self.rgba, profiles.from_srgb(covering, profile))

    def encode(self, format: Format = "png", *, background: Background | None = None) -> bytes:
        """The bytes of a file, with the picture's colour profile and the metadata that it kept.

        ``format``: "png", "webp", "webp-lossless", "avif", "tiff" or "jpeg". PNG and TIFF keep 16
        bits, the others get 8. JPEG has no transparency: its background is white if none is given.
        `ImageError` if the format cannot hold the picture, `OptionError` for an unknown format.
        """
        _check_choice("format", format, encoding.FORMATS)
        if format == "jpeg" and background is None:
            background = foreground.WHITE
        pixels = self.rgba if background is None else self.on(background)
        if format not in encoding.FORMATS_16_BIT:
            pixels = bit_depth.to_8_bits(pixels)
        return encoding.encode(pixels, format=format, source=self.picture)

    def save(
        self,
        path: str | Path,
        *,
        format: Format | None = None,
        background: Background | None = None,
    ) -> None:
        """Write a file, whole or not at all; an earlier file of that name is replaced.

        Without ``format`` the suffix decides: .png, .webp, .avif, .tif, .tiff, .jpg or .jpeg.
        `OptionError` for another suffix, `FileError` if the file cannot be written, else as
        `encode`.
        """
        target = files.named(path)
        chosen = format or SUFFIXES.get(target.suffix.lower())
        if chosen is None:
            known = ", ".join(SUFFIXES)
            raise OptionError(f"{target}: unknown suffix: use one of {known}, or name a format")
        data = self.encode(chosen, background=background)
        try:
            files.write_whole(target, data)
        except OSError as error:
            raise FileError(
                f"{target}: cannot be written ({error.strerror}): check the folder, its rights and"
                " its free space"
            ) from error

    def _repr_png_(self) -> bytes:
        return self.encode("png")


def cut_out(
    predictor: Predictor, picture: Picture, *, adjustments: Adjustments | None = None
) -> Cutout:
    """Cut the subject out of a picture. Any thread.

    ``adjustments``: changes of the alpha; None changes nothing. The confidence is that of the alpha
    before them.

    `DeviceMemoryError` if the device has too little memory. `DeviceError` if the device has died:
    end the process. `CvunetError` if the network fails otherwise, or gives no numbers for this
    picture.
    """
    return cut_out_batch(predictor, [picture], adjustments=adjustments)[0]


def cut_out_batch(
    predictor: Predictor, pictures: Sequence[Picture], *, adjustments: Adjustments | None = None
) -> list[Cutout]:
    """Cut out several pictures in one pass of the network, in order; errors as `cut_out`.

    This is faster on a GPU. On a CPU it is not, and all pictures are in memory at once.
    `DeviceMemoryError`: give fewer pictures.
    """
    inputs = [predictor.prepare(picture) for picture in pictures]
    alphas = ask(predictor, inputs) if inputs else []
    settings = matting.FinishSettings(adjustments=adjustments or Adjustments())
    return [
        Cutout(
            rgba=matting.finish(picture, alpha, settings=settings, prepared=prepared),
            confidence=matte_confidence.judge(alpha),
            picture=picture,
        )
        for picture, alpha, prepared in zip(pictures, alphas, inputs, strict=True)
    ]


def ask(predictor: Predictor, inputs: Sequence[Uint8Array]) -> Sequence[NDArray[np.float32]]:
    """Alphas of prepared pictures, as `Predictor.predict`; every failure is a `CvunetError`."""
    try:
        return predictor.predict(inputs)
    except RuntimeError as error:  # of a runtime, for a cause that it alone knows
        text = " ".join(str(error).split())
        raise CvunetError(
            f"the network has failed ({text}): is the description of its file right"
            " (docs/models.md)? Or try another runtime or device"
        ) from error


def parse_background(background: Background) -> tuple[int, int, int] | Uint8Array:
    """A colour or a picture; `OptionError` for anything else."""
    if isinstance(background, str) and HEX_COLOUR.fullmatch(background):
        red, green, blue = bytes.fromhex(background.removeprefix("#"))
        return red, green, blue
    if isinstance(background, np.ndarray):
        is_rgb = background.ndim == 3 and background.shape[2] == 3 and background.size > 0
        if is_rgb and background.dtype == np.uint8:
            return background
        raise OptionError(
            f"the background has shape {background.shape} and type {background.dtype}: give"
            " height x width x 3 of uint8"
        )
    if isinstance(background, tuple) and len(background) == 3:
        red, green, blue = background
        if all(isinstance(level, int) and 0 <= level <= 255 for level in background):
            return red, green, blue
    raise OptionError(
        f'background is {background!r}: give "#rrggbb", three numbers from 0 to 255, or an array'
    )
