"""What is cut out: JPEGs of any size made from `skimage.data`'s public-domain photos."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

PHOTOS = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
USUAL = (1600, 1067)
ASPECT = 1.5
QUALITY = 92


def path_of(name: str) -> Path:
    """Where a photo of `skimage.data` lies."""
    import skimage  # only who draws from its photos needs it

    return Path(skimage.__file__).parent / "data" / name


def has_photos() -> bool:
    """Whether scikit-image is installed; on a machine for measuring alone it may not be."""
    return importlib.util.find_spec("skimage") is not None


def kind() -> str:
    """What tables call the pictures."""
    return "photos" if has_photos() else "drawings (no scikit-image here)"


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


def make_linked(folder: Path, count: int, distinct: int, size: tuple[int, int]) -> Path:
    """``count`` JPEGs of one size, links to ``distinct`` files; the folder."""
    store = make(folder.with_name(f"{folder.name}-sources"), distinct, size)
    sources = sorted(store.iterdir())
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:05}.jpg").hardlink_to(sources[number % distinct])
    return folder


def ensure(folder: Path) -> Path:
    """The folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def size_of(megapixels: float) -> tuple[int, int]:
    """Width and height of a landscape photo."""
    height = (megapixels * 1e6 / ASPECT) ** 0.5
    return round(height * ASPECT), round(height)


def subject(number: int) -> Image.Image:
    """One of the photos; where there are none, a figure with soft edges before a gradient."""
    if has_photos():
        return Image.open(path_of(PHOTOS[number % len(PHOTOS)]))
    rng = np.random.default_rng(number % len(PHOTOS))
    picture = Image.radial_gradient("L").resize((768, 512)).convert("RGB")
    figure = Image.new("L", picture.size)
    pen = ImageDraw.Draw(figure)
    pen.ellipse((300, 60, 460, 240), fill=255)
    pen.rounded_rectangle((240, 220, 520, 560), 90, fill=255)
    texture = rng.integers(60, 220, (64, 96, 3), dtype=np.uint8)
    skin = Image.fromarray(texture).resize(picture.size, Image.Resampling.BICUBIC)
    picture.paste(skin, mask=figure.filter(ImageFilter.GaussianBlur(4)))
    return picture


def draw(number: int, size: tuple[int, int]) -> Image.Image:
    """A photo cropped to the shape, mirrored every other time, with a camera's noise."""
    with subject(number) as photo:
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
