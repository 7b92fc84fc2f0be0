"""Crops of cut-outs by the shipped weights, of photos in the public domain (skimage.data)."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import photos
from cvunet import encoding, foreground, images, matting
from cvunet.matting import Finish, Predictor

Pixels = NDArray[np.uint8]

GROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0), "magenta": (255, 0, 255)}
BEFORE = Finish(kernel="bilinear", filter="none", decontaminate=False)
WAYS = {
    "bilinear": BEFORE,
    "cubic": Finish(kernel="cubic", filter="bilateral", decontaminate=False),
    "shipped": Finish(),
}
CROPS = {  # photo: left, top and side of what is shown
    "astronaut.png": (70, 0, 200),
    "chelsea.png": (0, 0, 200),
    "coffee.png": (60, 150, 200),
    "motorcycle_left.png": (230, 120, 200),
}
ENLARGED = 3  # the photos are small: they are brought to the size of a camera's by Lanczos


def cutouts(weights: Path, name: str) -> tuple[Pixels, dict[str, Pixels]]:
    """An enlarged photo, and RGBA of each way."""
    with photos.path_of(name).open("rb") as stream:
        picture = images.read(stream, max_pixels=100_000_000)
    size = picture.rgb.shape[1] * ENLARGED, picture.rgb.shape[0] * ENLARGED
    rgb = cv2.resize(picture.rgb, size, interpolation=cv2.INTER_LANCZOS4).astype(np.uint8)
    large = images.Picture(rgb=rgb, alpha=None, warnings=(), format=picture.format)
    predictor = open_predictor(weights)
    alpha = predictor.predict([predictor.prepare(large)])[0]
    return rgb, {way: matting.finish(large, alpha, settings=each) for way, each in WAYS.items()}


def open_predictor(weights: Path) -> Predictor:
    """On the CPU, at the size that is shipped."""
    return matting.open_predictor(weights, device="cpu", precision="float32", input_size=512)


def panels(weights: Path, name: str) -> Iterator[tuple[str, Pixels]]:
    """The crop of the photo and of each way on each ground, by name."""
    left, top, side = (place * ENLARGED for place in CROPS[name])
    window = slice(top, top + side), slice(left, left + side)
    rgb, ways = cutouts(weights, name)
    yield "photo", rgb[window]
    for way, rgba in ways.items():
        for ground, colour in GROUNDS.items():
            yield f"{way}-{ground}", foreground.flatten(rgba[window], colour)


def strips(folder: Path, weights: Path) -> None:
    """`edges-NAME.jpg`: a column for each way, rows on white and magenta, at a half of 1:1."""
    for name in CROPS:
        shown = dict(panels(weights, name))
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
    for name in CROPS:
        for panel, pixels in panels(weights, name):
            with (folder / f"{Path(name).stem}-{panel}.png").open("wb") as stream:
                encoding.write(stream, np.ascontiguousarray(pixels), format="png")
