"""Memory that a clip child shares with the daemon: small frames one way, their alphas the other."""

import mmap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Frames in one question; a device with larger batches gets several clips' frames together.
FRAMES = 4
#: Height and width. They may be other ones in each question: networks exist that see a part of a
#: frame in its own shape.
Shape = tuple[int, ...]


def size_of(pixels: int) -> int:
    """Return the bytes for `FRAMES` frames HxWx3 uint8 and as many alphas HxW float32.

    ``pixels``: of the largest of them.
    """
    return FRAMES * pixels * (3 + 4)


class Exchange:
    """One mapping of it. Each end copies what it takes: the other end might change it meanwhile."""

    def __init__(self, descriptor: int, *, pixels: int) -> None:
        self.shared = mmap.mmap(descriptor, size_of(pixels))
        # Alphas first: whatever the number of pixels, theirs begin at a multiple of four bytes.
        self.alphas = np.frombuffer(self.shared, np.float32, FRAMES * pixels)
        self.alphas = self.alphas.reshape(FRAMES, pixels)
        self.smalls = np.frombuffer(self.shared, np.uint8, offset=self.alphas.nbytes)
        self.smalls = self.smalls[: 3 * FRAMES * pixels].reshape(FRAMES, 3 * pixels)

    def put_smalls(self, smalls: list[NDArray[np.uint8]]) -> None:
        """Lay frames out; `ValueError` if there is no room for them."""
        for place, small in zip(self.smalls[: len(smalls)], smalls, strict=True):
            np.copyto(place[: small.size], small.ravel())

    def take_smalls(self, shapes: Sequence[Shape]) -> list[NDArray[np.uint8]]:
        """Return copies of the frames that were laid out, by their heights and widths."""
        return [
            place[: 3 * height * width].reshape(height, width, 3).copy()
            for place, (height, width) in zip(self.smalls[: len(shapes)], shapes, strict=True)
        ]

    def put_alphas(self, alphas: list[NDArray[np.float32]]) -> None:
        """Lay their alphas out."""
        for place, alpha in zip(self.alphas[: len(alphas)], alphas, strict=True):
            np.copyto(place[: alpha.size], alpha.ravel())

    def take_alphas(self, shapes: Sequence[Shape]) -> list[NDArray[np.float32]]:
        """Return copies of the alphas."""
        return [
            place[: height * width].reshape(height, width).copy()
            for place, (height, width) in zip(self.alphas[: len(shapes)], shapes, strict=True)
        ]
