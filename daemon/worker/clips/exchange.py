"""Memory that a clip child shares with the daemon: small frames one way, their alphas the other."""

import mmap

import numpy as np
from numpy.typing import NDArray

#: Frames in one question; a device with larger batches gets several clips' frames together.
FRAMES = 4


def size_of(side: int) -> int:
    """Return the bytes for `FRAMES` frames of SxSx3 uint8 and as many alphas of SxS float32."""
    return FRAMES * side * side * (3 + 4)


class Exchange:
    """One mapping of it. Each end copies what it takes: the other end might change it meanwhile."""

    def __init__(self, descriptor: int, *, side: int) -> None:
        self.side = side
        self.shared = mmap.mmap(descriptor, size_of(side))
        pixels = FRAMES * side * side
        self.smalls = np.frombuffer(self.shared, np.uint8, 3 * pixels).reshape(
            FRAMES, side, side, 3
        )
        self.alphas = np.frombuffer(self.shared, np.float32, pixels, 3 * pixels).reshape(
            FRAMES, side, side
        )

    def put_smalls(self, smalls: list[NDArray[np.uint8]]) -> None:
        """Lay frames out; `ValueError` if there is no room for them."""
        for place, small in zip(self.smalls[: len(smalls)], smalls, strict=True):
            np.copyto(place, small)

    def take_smalls(self, count: int) -> list[NDArray[np.uint8]]:
        """Return copies of the frames that were laid out."""
        return [place.copy() for place in self.smalls[:count]]

    def put_alphas(self, alphas: list[NDArray[np.float32]]) -> None:
        """Lay their alphas out."""
        for place, alpha in zip(self.alphas[: len(alphas)], alphas, strict=True):
            np.copyto(place, alpha)

    def take_alphas(self, count: int) -> list[NDArray[np.float32]]:
        """Return copies of the alphas."""
        return [place.copy() for place in self.alphas[:count]]
