"""Whoever gives an alpha for a picture: our network, U2-Net beside it, or a folder of alphas."""

import time
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.errors import RuntimeMissing, TrainingError
from cvunet.inference import onnx_session
from cvunet.inference.predictor import Predictor
from cvunet.matte import postprocess
from cvunet.pictures.reading import Picture
from cvunet.training import augment
from cvunet.training.cases import Case
from cvunet.training.shards import Pixels

Alpha = NDArray[np.float32]

U2NET_SIDE_PX = 320
# What U2-Net was trained with: ImageNet's statistics, after division by the picture's maximum.
MEAN = np.array((0.485, 0.456, 0.406), np.float32)
DEVIATION = np.array((0.229, 0.224, 0.225), np.float32)


class Contestant(Protocol):
    """Gives alphas, and keeps how long its forward passes took."""

    name: str
    seconds: list[float]

    def alpha(self, case: Case, rgb: Pixels) -> Alpha:
        """HxW in [0, 1] of a picture HxWx3, before any smoothing."""
        ...


class Ours:
    """The shipped way, without its smoothing: hard masks would score it by their coarseness."""

    def __init__(self, name: str, predictor: Predictor) -> None:
        self.name = name
        self.seconds: list[float] = []
        self.predictor = predictor

    def alpha(self, case: Case, rgb: Pixels) -> Alpha:
        """See `Contestant`."""
        picture = Picture(rgb=rgb, alpha=None, warnings=(), format="val")
        prepared = self.predictor.prepare(picture)
        began = time.perf_counter()
        small = self.predictor.predict([prepared])[0]
        self.seconds.append(time.perf_counter() - began)
        return postprocess.upsample(small, width=rgb.shape[1], height=rgb.shape[0])


class U2Net:
    """U2-Net (Qin et al. 2020, arXiv:2005.09007) as rembg runs it, at 320x320, by onnxruntime."""

    def __init__(self, file: Path) -> None:
        """`TrainingError` if onnxruntime or the file is missing."""
        try:
            onnxruntime = onnx_session.load()
        except RuntimeMissing as error:
            raise TrainingError(
                "onnxruntime is not installed: pip install 'cvunet-daemon[bench]'"
            ) from error
        if not file.is_file():
            raise TrainingError(f"{file}: no U2-Net there; `make evaluate` fetches it")
        self.name = "U2-Net"
        self.seconds: list[float] = []
        self.session: Any = onnxruntime.InferenceSession(  # Any: onnxruntime has no types
            str(file), providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name

    def alpha(self, case: Case, rgb: Pixels) -> Alpha:
        """See `Contestant`; its answers are stretched to [0, 1], as rembg does."""
        small = augment.resize(rgb, width=U2NET_SIDE_PX, height=U2NET_SIDE_PX).astype(np.float32)
        normal = (small / max(float(small.max()), 1e-6) - MEAN) / DEVIATION
        image = np.ascontiguousarray(normal.transpose(2, 0, 1)[None], np.float32)
        began = time.perf_counter()
        answer: Alpha = self.session.run(None, {self.input: image})[0][0, 0]
        self.seconds.append(time.perf_counter() - began)
        reach = max(float(answer.max() - answer.min()), 1e-6)
        stretched = (answer - answer.min()) / reach
        return postprocess.upsample(stretched, width=rgb.shape[1], height=rgb.shape[0])


class Folder:
    """Alphas made by another program: ``FOLDER/SET/NAME.png``, grey or with an alpha channel."""

    def __init__(self, folder: Path) -> None:
        whole = folder.resolve()  # KEPT/ours is not ours of this run
        self.name = f"{whole.parent.name}/{whole.name}"
        self.seconds: list[float] = []
        self.folder = folder

    def alpha(self, case: Case, rgb: Pixels) -> Alpha:
        """See `Contestant`; `TrainingError` if the file is missing or of another size."""
        path = self.folder / case.set / f"{case.name}.png"
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise TrainingError(f"{path}: cannot be read; --pictures wrote what to cut out")
        alpha = pixels[..., 3] if pixels.ndim == 3 and pixels.shape[2] == 4 else pixels
        if alpha.shape != rgb.shape[:2]:
            raise TrainingError(f"{path}: is {alpha.shape}, its picture {rgb.shape[:2]}")
        full = 65535 if alpha.dtype == np.uint16 else 255
        scaled: Alpha = (alpha / full).astype(np.float32)
        return scaled
