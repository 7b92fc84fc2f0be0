"""`python -m benchmarks.adjust_pictures FOLDER`: what each adjustment of a mask does, in pictures.

FOLDER gets `adjust-edge.jpg` and `adjust-pieces.jpg`, which docs/output.md shows, and with --look
every panel as a PNG on white, black and magenta. Photos are those of `skimage.data`, in the public
domain, cut out by the shipped weights.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import edge_pictures, photos
from benchmarks.edge_pictures import GROUNDS
from benchmarks.strip import WEIGHTS
from cvunet.cutout import Cutout, cut_out, read_picture
from cvunet.inference.predictor import Predictor
from cvunet.matte.adjustments import Adjustments
from cvunet.pictures import encoding

Pixels = NDArray[np.uint8]

OFF = Adjustments()
#: Names of panels, from left to right.
EDGE = {
    "off": OFF,
    "levels": Adjustments(low=0.3, high=0.7),
    "choke": Adjustments(shift_px=-3),
    "spread": Adjustments(shift_px=6),
    "feather": Adjustments(feather_px=10),
}
EDGE_PHOTO, EDGE_CROP = "astronaut.png", (330, 0, 360)  # enlarged; left, top, side
PIECES = {
    "camera.png": (OFF, Adjustments(fill_holes=0.03)),
    "motorcycle_right.png": (OFF, Adjustments(low=0.3, keep="largest")),
}
HEIGHT_PX = 240


def edge_panels(predictor: Predictor) -> Iterator[tuple[str, Cutout]]:
    """Each adjustment of the edge, at the size of a camera's photo."""
    picture = read_picture(edge_pictures.enlarged_photo(EDGE_PHOTO))
    for name, adjustments in EDGE.items():
        yield name, cut_out(predictor, picture, adjustments=adjustments)


def edge_strip(panels: dict[str, Cutout]) -> Pixels:
    """A crop of each, on white and on magenta, at 2:3."""
    left, top, side = EDGE_CROP
    window = slice(top, top + side), slice(left, left + side)
    rows = [
        np.concatenate([shrunk(each.on(ground)[window]) for each in panels.values()], axis=1)
        for ground in ("#ffffff", "#ff00ff")
    ]
    return np.concatenate(rows)


def shrunk(pixels: NDArray[np.unsignedinteger]) -> Pixels:
    """In the height of the pictures."""
    width = round(pixels.shape[1] * HEIGHT_PX / pixels.shape[0])
    small = cv2.resize(pixels, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False)


def piece_panels(predictor: Predictor) -> Iterator[tuple[str, Cutout]]:
    """Without and with each correction of what the subject is."""
    for name, chosen in PIECES.items():
        picture = read_picture(photos.path_of(name))
        for way, adjustments in zip(("before", "after"), chosen, strict=True):
            yield f"{Path(name).stem}-{way}", cut_out(predictor, picture, adjustments=adjustments)


def write(file: Path, pixels: Pixels, format: encoding.Format) -> None:
    """Write one picture."""
    with file.open("wb") as stream:
        encoding.write(stream, np.ascontiguousarray(pixels), format=format)


def main() -> None:
    """Write both strips, and the panels if they are wanted."""
    folder, *rest = sys.argv[1:]
    predictor = edge_pictures.open_predictor(WEIGHTS)
    edges, pieces = dict(edge_panels(predictor)), dict(piece_panels(predictor))
    write(Path(folder) / "adjust-edge.jpg", edge_strip(edges), "jpeg")
    row = [shrunk(each.on("#ff00ff")) for each in pieces.values()]
    write(Path(folder) / "adjust-pieces.jpg", np.concatenate(row, axis=1), "jpeg")
    if rest == ["--look"]:
        for name, each in (edges | pieces).items():
            for ground, colour in GROUNDS.items():
                write(Path(folder) / f"{name}-{ground}.png", each.on(colour), "png")


if __name__ == "__main__":
    main()
