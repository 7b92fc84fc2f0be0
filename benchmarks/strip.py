"""`python -m benchmarks.strip FILE [PHOTO …]`: photos above cut-outs by the shipped weights.

README's picture has the photos below; the model card's shows where the model fails. Photos are
named as in `skimage.data`, whose pictures are in the public domain.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import photos
from cvunet.inference import matting, torch_predictor
from cvunet.matte import foreground
from cvunet.pictures import encoding, reading

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
HEIGHT_PX = 240
CHECK_PX = 10
WEIGHTS = Path(__file__).parents[1] / "models" / "cvunet.pth"


def checkers(height: int, width: int) -> NDArray[np.uint8]:
    """The usual stand-in for transparency, HxWx3."""
    rows, columns = np.mgrid[0:height, 0:width] // CHECK_PX
    grey = np.where((rows + columns) % 2, 204, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def column(predictor: torch_predictor.TorchPredictor, path: Path) -> NDArray[np.uint8]:
    """A photo over its cut-out."""
    with path.open("rb") as stream:
        picture = reading.read(stream, max_pixels=100_000_000)
    alpha = predictor.predict([predictor.prepare(picture)])[0]
    cutout = matting.finish(picture, alpha, settings=matting.FinishSettings())
    after = foreground.flatten(cutout, checkers(*cutout.shape[:2]))
    width = round(picture.rgb.shape[1] * HEIGHT_PX / picture.rgb.shape[0])
    parts = [
        cv2.resize(part, (width, HEIGHT_PX), interpolation=cv2.INTER_AREA)
        for part in (picture.rgb, after)
    ]
    return np.concatenate(parts).astype(np.uint8, copy=False)


def main() -> None:
    """Write the strip."""
    predictor = torch_predictor.open_predictor(
        WEIGHTS, device="cpu", precision="float32", input_size=512
    )
    file, *names = sys.argv[1:]
    columns = [column(predictor, photos.path_of(name)) for name in names or PHOTOS]
    strip = np.concatenate(columns, axis=1)
    with Path(file).open("wb") as stream:
        encoding.write(stream, np.ascontiguousarray(strip), format="jpeg")


if __name__ == "__main__":
    main()
