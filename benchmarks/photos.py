"""What is cut out: JPEGs of any size made from `skimage.data`'s public-domain photos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageOps

PHOTOS = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
USUAL = (1600, 1067)
ASPECT = 1.5
QUALITY = 92


def path_of(name: str) -> Path:
    """Where a photo of `skimage.data` lies."""
    return Path(skimage.__file__).parent / "data" / name


def make(folder: Path, count: int, size: tuple[int, int] = USUAL) -> Path:
    """``count`` JPEGs of one size (width, height), no two alike; the folder."""
    folder.mkdir(parents=True)
    for number in range(count):
        draw(number, size).save(folder / f"{number:05}.jpg", quality=QUALITY)
    return folder


def make_mixed(folder: Path, count: int, megapixels: Sequence[float]) -> Path:
    """``count`` JPEGs of all the sizes in turn: links to a few files, for these fill disks."""
    store = folder.with_name(f"{folder.name}-sources")
    for number, size in enumerate(megapixels):
        draw(number, size_of(size)).save(ensure(store) / f"{number}.jpg", quality=QUALITY)
    folder.mkdir(parents=True)
    for number in range(count):
        source = store / f"{number % len(megapixels)}.jpg"
        (folder / f"{number:05}.jpg").hardlink_to(source)
    return folder


def ensure(folder: Path) -> Path:
    """The folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def size_of(megapixels: float) -> tuple[int, int]:
    """Width and height of a landscape photo."""
    height = (megapixels * 1e6 / ASPECT) ** 0.5
    return round(height * ASPECT), round(height)


def draw(number: int, size: tuple[int, int]) -> Image.Image:
    """A photo cropped to the shape, mirrored every other time, with a camera's noise."""
    with Image.open(path_of(PHOTOS[number % len(PHOTOS)])) as photo:
        picture = ImageOps.fit(photo.convert("RGB"), size, Image.Resampling.BICUBIC)
    if number // len(PHOTOS) % 2:
        picture = ImageOps.mirror(picture)
    rng = np.random.default_rng(number)
    # One tile of noise: making as much as a large photo needs takes longer than cutting it out.
    tile = rng.normal(0, 3, (256, 256, 1)).astype(np.float32)
    rows, columns = -(-size[1] // 256), -(-size[0] // 256)
    noise = np.tile(tile, (rows, columns, 1))[: size[1], : size[0]]
    noisy = np.clip(np.asarray(picture, np.float32) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(noisy)
