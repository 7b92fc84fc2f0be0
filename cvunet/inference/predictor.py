"""What every runtime offers: a network on its device, asked with small pictures."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from cvunet.inference.preparation import Preparation
from cvunet.pictures.bit_depth import Uint8Array
from cvunet.pictures.reading import Picture

Alpha = NDArray[np.float32]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


class Device(Protocol):
    """Where a network runs; ``str`` gives its name: "cpu" or "cuda:0"."""

    @property
    def type(self) -> str:
        """ "cpu" or "cuda"."""
        ...


class Predictor(Protocol):
    """A network on one device, ready for batches.

    All methods may be called from several threads. On a GPU passes run one after another.
    """

    @property
    def device(self) -> Device:
        """The device that computes."""
        ...

    @property
    def runtime(self) -> str:
        """ "torch" or "onnxruntime"."""
        ...

    @property
    def preparation(self) -> Preparation:
        """What `prepare` does, as values."""
        ...

    def prepare(self, picture: Picture) -> Uint8Array:
        """The small picture HxWx3 in sRGB that the network sees."""
        ...

    def predict(self, batch: Sequence[Uint8Array]) -> list[Alpha]:
        """Alphas HxW in [0, 1] of prepared pictures HxWx3, in order.

        `DeviceMemoryError`: try a smaller batch. `DeviceError`: the device has died, end the
        process. `CvunetError`: for some picture the network gives no numbers.
        """
        ...

    def warm(self, batch_sizes: Sequence[int]) -> None:
        """Run each batch size, so that the first picture is not slow. Errors as `predict`."""
        ...

    def memory(self) -> tuple[int, int] | None:
        """Bytes of the device's own memory that this process holds, and its total; else None."""
        ...
