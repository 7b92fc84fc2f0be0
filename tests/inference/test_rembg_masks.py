"""U2-Net served by us gives rembg's masks; with the weights that `make bench` fetches."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cvunet.inference import matting, model_files, onnx_session, runtimes
from cvunet.inference.runtimes import ModelOptions
from cvunet.pictures.reading import Picture
from tests.inference import onnx_kit

ROOT = Path(__file__).parents[2]
WEIGHTS = Path(os.environ.get("CVUNETD_U2NET", ROOT / ".venv/u2net/u2net.onnx"))
#: Named by `make test-rembg`: then it must be there.
is_absent = not WEIGHTS.exists() and "CVUNETD_U2NET" not in os.environ
PHOTOS = ("astronaut", "coffee", "chelsea", "rocket")
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def rembg_answer(session: Any, photo: Image.Image) -> NDArray[np.float32]:
    """The 320x320 answer as rembg 2.0.86 computes it (sessions/base.py and u2net.py)."""
    small = np.array(photo.resize((320, 320), Image.Resampling.LANCZOS))
    scaled = small / max(np.max(small), 1e-6)
    image = (scaled - np.array(MEAN)) / np.array(DEVIATION)
    given = session.get_inputs()[0].name
    answer = session.run(None, {given: image.transpose(2, 0, 1)[None].astype(np.float32)})[0][0, 0]
    stretched: NDArray[np.float32] = (answer - answer.min()) / (answer.max() - answer.min())
    return stretched


def rembg_mask(answer: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    """Its mask at the photo's size, 0 to 255."""
    mask = Image.fromarray((answer.clip(0, 1) * 255).astype("uint8"))
    return np.asarray(mask.resize(size, Image.Resampling.LANCZOS), np.float64)


def compare(path: Path, photos: dict[str, Image.Image]) -> dict[str, tuple[float, float]]:
    """By photo, the largest difference of the answers and the mean one of masks, in levels."""
    onnxruntime = onnx_session.load()
    theirs: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ours = runtimes.open_predictor(ModelOptions(file=path, device="cpu", threads=1))
    settings = matting.FinishSettings(
        content="alpha", kernel="cubic", filter="none", keep_haze=True
    )
    found = {}
    for name, photo in photos.items():
        picture = Picture(np.array(photo), None, warnings=(), format="test")
        (alpha,) = ours.predict([ours.prepare(picture)])
        answer = rembg_answer(theirs, photo)
        mask = matting.finish(picture, alpha, settings=settings).astype(np.float64)
        difference = np.abs(mask - rembg_mask(answer, photo.size)).mean()
        found[name] = (float(np.abs(alpha - answer).max()) * 255, float(difference))
    return found


def test_tiny_model_gets_what_rembg_gives_it(tmp_path: Path):
    """Resized, scaled, normalised and stretched as there; at every pixel to 1/255."""
    path = onnx_kit.write(tmp_path / "u2net.onnx", outputs=7, channel=1)
    model_files.add(path)
    noise = np.random.default_rng(3).integers(0, 200, (90, 130, 3), dtype=np.uint8)
    found = compare(path, {"noise": Image.fromarray(noise).resize((1300, 900))})

    assert found["noise"][0] < 1


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(is_absent, reason="u2net.onnx is not there: make test-rembg fetches it")
def test_u2net_gives_rembgs_masks(tmp_path: Path):
    """The same answers, and the same masks to 1/255 in the mean of each photo."""
    data = pytest.importorskip("skimage.data")
    found = compare(
        u2net(tmp_path), {name: Image.fromarray(getattr(data, name)()) for name in PHOTOS}
    )

    assert max(answer for answer, _ in found.values()) < 1
    assert max(mask for _, mask in found.values()) < 1, found


def u2net(folder: Path) -> Path:
    """U2-Net with its description."""
    path = folder / "u2net.onnx"
    path.symlink_to(WEIGHTS)
    model_files.add(path)
    return path
