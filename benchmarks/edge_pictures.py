"""Crops of cut-outs by the shipped weights: photos in the public domain, and things drawn here."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import drawn, photos
from cvunet.inference import matting, torch_predictor
from cvunet.inference.matting import FinishSettings
from cvunet.inference.torch_predictor import TorchPredictor
from cvunet.matte import foreground
from cvunet.pictures import encoding, reading

Pixels = NDArray[np.uint8]

GROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0), "magenta": (255, 0, 255)}
BEFORE = FinishSettings(kernel="bilinear", filter="none", decontaminate=False)
WAYS = {
    "bilinear": BEFORE,
    "cubic": FinishSettings(kernel="cubic", filter="bilateral", decontaminate=False),
    "shipped": FinishSettings(),
}
CROPS = {  # photo: left, top and side of what is shown
    "astronaut.png": (70, 0, 200),
    "chelsea.png": (0, 0, 200),
    "coffee.png": (60, 150, 200),
    "motorcycle_left.png": (230, 120, 200),
}
DRAWN = {  # left, top and side in pixels, of `drawn.SIDE_PX`
    "glass": (460, 100, 620),
    "hair": (700, 280, 620),
}
ENLARGED = 3  # the photos are small: they are brought to the size of a camera's by Lanczos


def enlarged_photo(name: str) -> Pixels:
    """A photo HxWx3 in the size of a camera's."""
    with photos.path_of(name).open("rb") as stream:
        picture = reading.read(stream, max_pixels=100_000_000)
    size = picture.rgb.shape[1] * ENLARGED, picture.rgb.shape[0] * ENLARGED
    return cv2.resize(picture.rgb, size, interpolation=cv2.INTER_LANCZOS4).astype(np.uint8)


def cutouts(weights: Path, rgb: Pixels) -> dict[str, Pixels]:
    """RGBA of each way."""
    picture = reading.Picture(rgb=rgb, alpha=None, warnings=(), format="PNG")
    predictor = open_predictor(weights)
    alpha = predictor.predict([predictor.prepare(picture)])[0]
    return {way: matting.finish(picture, alpha, settings=each) for way, each in WAYS.items()}


def open_predictor(weights: Path) -> TorchPredictor:
    """On the CPU, at the size that is shipped."""
    return torch_predictor.open_predictor(
        weights, device="cpu", precision="float32", input_size=512
    )


def panels(weights: Path, rgb: Pixels, crop: tuple[int, int, int]) -> Iterator[tuple[str, Pixels]]:
    """A crop (left, top, side) of a photo and of each way on each ground, by name."""
    left, top, side = crop
    window = slice(top, top + side), slice(left, left + side)
    yield "photo", rgb[window]
    for way, rgba in cutouts(weights, rgb).items():
        yield from laid(way, rgba[window])


def laid(way: str, rgba: Pixels) -> Iterator[tuple[str, Pixels]]:
    """A cut-out on each ground."""
    for ground, colour in GROUNDS.items():
        yield f"{way}-{ground}", foreground.flatten(np.ascontiguousarray(rgba), colour)


def photo_panels(weights: Path, name: str) -> Iterator[tuple[str, Pixels]]:
    """Those of one of `CROPS`."""
    left, top, side = (place * ENLARGED for place in CROPS[name])
    yield from panels(weights, enlarged_photo(name), (left, top, side))


def drawn_panels(weights: Path, name: str) -> Iterator[tuple[str, Pixels]]:
    """Those of one of `DRAWN`, and what would be right."""
    sample = drawn.sample(name)
    left, top, side = DRAWN[name]
    yield from panels(weights, sample.rgb, DRAWN[name])
    levels = np.round(sample.alpha * 255).astype(np.uint8)
    truth = np.dstack([sample.colours, levels])
    yield from laid("truth", truth[top : top + side, left : left + side])


def strips(folder: Path, weights: Path) -> None:
    """`edges-NAME.jpg`: a column for each way, rows on white and magenta, at a half of 1:1."""
    for name in CROPS:
        shown = dict(photo_panels(weights, name))
        rows = [
            np.concatenate([shown["photo"], *(shown[f"{way}-{ground}"] for way in WAYS)], axis=1)
            for ground in ("white", "magenta")
        ]
        strip = np.concatenate(rows)
        half = strip.shape[1] // 2, strip.shape[0] // 2
        small = cv2.resize(strip, half, interpolation=cv2.INTER_AREA).astype(np.uint8)
        with (folder / f"edges-{Path(name).stem}.jpg").open("wb") as stream:
            encoding.write(stream, np.ascontiguousarray(small), format="jpeg")


def look(folder: Path, weights: Path) -> None:
    """PNGs at 1:1 of every panel."""
    folder.mkdir(parents=True, exist_ok=True)
    for names, make in ((CROPS, photo_panels), (DRAWN, drawn_panels)):
        for name in names:
            for panel, pixels in make(weights, name):
                with (folder / f"{Path(name).stem}-{panel}.png").open("wb") as stream:
                    encoding.write(stream, np.ascontiguousarray(pixels), format="png")
