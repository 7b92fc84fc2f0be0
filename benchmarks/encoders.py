"""`python -m benchmarks.encoders`: what each encoder and setting costs for cut-out photos.

CPU milliseconds and megabytes, means over public-domain photos 1600 px wide with an oval cut out of
them. The settings in `cvunet/pictures/encoding.py` were chosen by this table.
"""

import io
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import photos
from cvunet.matte import foreground
from cvunet.pictures import bit_depth, deflate, encoding, reading
from cvunet.pictures.bit_depth import Samples

WIDTH_PX, _ = photos.USUAL
Encoder = Callable[[Samples], bytes]

RUNS = 3
SIGMA_PX = 4.0
FILTERS = {
    "none": cv2.IMWRITE_PNG_FILTER_NONE,
    "sub": cv2.IMWRITE_PNG_FILTER_SUB,
    "up": cv2.IMWRITE_PNG_FILTER_UP,
    "paeth": cv2.IMWRITE_PNG_FILTER_PAETH,
    "fast": cv2.IMWRITE_PNG_FAST_FILTERS,
}
BGR_ORDER = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
STRATEGIES = {
    "default": cv2.IMWRITE_PNG_STRATEGY_DEFAULT,
    "filtered": cv2.IMWRITE_PNG_STRATEGY_FILTERED,
    "rle": cv2.IMWRITE_PNG_STRATEGY_RLE,
    "huffman": cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
}


def cutouts() -> list[NDArray[np.uint8]]:
    """Photos HxWx4, transparent round a soft oval."""
    found = []
    for name in photos.PHOTOS:
        with photos.path_of(name).open("rb") as stream:
            rgb = reading.read(stream, max_pixels=100_000_000).rgb
        height = round(rgb.shape[0] * WIDTH_PX / rgb.shape[1])
        large = cv2.resize(rgb, (WIDTH_PX, height), interpolation=cv2.INTER_LANCZOS4)
        oval = np.zeros((height, WIDTH_PX), np.float32)
        axes = (WIDTH_PX // 3, height // 3)
        cv2.ellipse(oval, (WIDTH_PX // 2, height // 2), axes, 0, 0, 360, 1.0, -1)
        alpha = cv2.GaussianBlur(oval, (0, 0), SIGMA_PX).clip(0, 1).astype(np.float32)
        found.append(foreground.compose_rgba(large.astype(np.uint8), alpha, colours=None))
    return [cutout.astype(np.uint8) for cutout in found]


def by_opencv(ending: str, *options: int) -> Encoder:
    """OpenCV's encoder with its options, channels in its order."""

    def encode(pixels: Samples) -> bytes:
        image = cv2.cvtColor(pixels, BGR_ORDER[pixels.shape[2]])
        return cv2.imencode(ending, image, options)[1].tobytes()

    return encode


def by_pillow(kind: str, **options: Any) -> Encoder:  # Any: as the formats differ
    """Pillow's encoder with its options."""

    def encode(pixels: Samples) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


def shipped(format: encoding.Format) -> Encoder:
    """What users get."""
    return lambda pixels: encoding.encode(pixels, format=format)


def png_by_opencv() -> Iterator[tuple[str, Encoder]]:
    """Filters at level 1, strategies at the best filter, levels."""
    level, row, way = cv2.IMWRITE_PNG_COMPRESSION, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_STRATEGY
    usual = cv2.IMWRITE_PNG_STRATEGY_DEFAULT
    for name, code in FILTERS.items():
        yield f"OpenCV 1 {name}", by_opencv(".png", level, 1, row, code, way, usual)
    for name, code in STRATEGIES.items():
        yield f"OpenCV 1 sub {name}", by_opencv(".png", level, 1, row, FILTERS["sub"], way, code)
    for number in (3, 6):
        options = (level, number, row, FILTERS["sub"], way, usual)
        yield f"OpenCV {number} sub", by_opencv(".png", *options)


def opaque_encoders() -> dict[str, Encoder]:
    """For RGB of 8 bits."""
    full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    return {
        "jpeg shipped": shipped("jpeg"),
        "jpeg OpenCV 92 4:4:4": by_opencv(
            ".jpg", cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full
        ),
        "jpeg Pillow optimize": by_pillow("jpeg", quality=92, subsampling="4:4:4", optimize=True),
    }


def encoders() -> dict[str, Encoder]:
    """For RGBA of 8 bits."""
    return {
        **{f"png {name}": encoder for name, encoder in png_by_opencv()},
        **{f"png Pillow {n}": by_pillow("png", compress_level=n) for n in (1, 3, 6)},
        "png shipped": shipped("png"),
        **{
            f"webp 90 method {n}": by_pillow("webp", quality=90, alpha_quality=100, method=n)
            for n in (0, 2, 4)
        },
        **{
            f"webp lossless {quality} method {n}": by_pillow(
                "webp", lossless=True, quality=quality, method=n
            )
            for quality, n in ((0, 0), (0, 1), (20, 1), (50, 4))
        },
        "webp lossless OpenCV": by_opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
        **{
            f"avif 90 speed {n}": by_pillow("avif", quality=90, subsampling="4:4:4", speed=n)
            for n in (6, 8, 10)
        },
        **{
            f"tiff {name}": by_pillow("tiff", compression=name)
            for name in ("raw", "tiff_lzw", "tiff_adobe_deflate")
        },
        "tiff OpenCV lzw": by_opencv(".tif"),
    }


def deep_encoders() -> dict[str, Encoder]:
    """For RGBA of 16 bits."""
    return {
        **{f"png16 {name}": encoder for name, encoder in png_by_opencv()},
        "png16 shipped": shipped("png"),
        "tiff16 shipped": shipped("tiff"),
        "tiff16 OpenCV lzw": by_opencv(".tif"),
    }


def measure(name: str, encode: Encoder, pictures: list[Samples]) -> None:
    """Print one line."""
    milliseconds, sizes = [], []
    for pixels in pictures:
        took = []
        for _ in range(RUNS):
            began = time.process_time()
            data = encode(pixels)
            took.append(time.process_time() - began)
        milliseconds.append(1000 * min(took))
        sizes.append(len(data) / 1e6)
    mean, size = statistics.mean(milliseconds), statistics.mean(sizes)
    print(f"{name:28} {mean:7.0f} ms {size:7.2f} MB", flush=True)


def slowdown_after_deflate() -> float:
    """How much longer OpenCV's SSE code takes in a thread that has just packed a PNG.

    1 if the registers were cleared (`cvunet.pictures.deflate`), some 2.4 on Intel if not.
    """

    def resize_s() -> float:
        times = []
        for _ in range(15):
            began = time.thread_time()
            cv2.resize(pixels, (301, 301), interpolation=cv2.INTER_AREA)
            times.append(time.thread_time() - began)
        return min(times)

    pixels = np.zeros((300, 900, 3), np.uint8)
    np.add(np.ones(64), np.ones(64))
    before_s = resize_s()
    deflate.compress(bytes(range(256)) * 1000)
    return resize_s() / before_s


def main() -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    found = cutouts()
    noise = np.random.default_rng(0)
    deep = [  # the lower bits of a sensor are noise
        bit_depth.to_bits(cutout, 16)
        ^ noise.integers(0, 64, cutout.shape, np.uint16) * (cutout > 0)
        for cutout in found
    ]
    flat = [foreground.flatten(cutout, (255, 255, 255)) for cutout in found]
    for table, pictures in (
        (encoders(), found),
        (deep_encoders(), deep),
        (opaque_encoders(), flat),
    ):
        for name, encode in table.items():
            measure(name, encode, list(pictures))
    print(f"other code in the same thread afterwards: {slowdown_after_deflate():.2f} times")


if __name__ == "__main__":
    main()
