"""libav's frames to arrays, and arrays to libav's frames. Frames of libav have the type `Any`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvunet.video import av_library
from cvunet.video.clips import Tags

#: Matrices of H.273 that libswscale converts, by the number that it gives to them.
SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
BT709, BT601 = 1, 6
LIMITED = 1
"""libav's name for levels 16 to 235. Results have them: not every player reads full range."""


def guess_matrix(width: int, height: int) -> int:
    """Guess the matrix of a clip that does not say it as players do: BT.709 for HD, else BT.601."""
    return BT709 if width >= 1280 or height > 576 else BT601


def matrix_of(tags: Tags, width: int, height: int) -> int:
    """The matrix that pixels of this clip are converted with; also for one that was RGB."""
    return tags.matrix if tags.matrix in SWSCALE else guess_matrix(width, height)


def output_matrix(tags: Tags, width: int, height: int) -> int:
    """The matrix that a result is written with: the clip's, if every encoder can say it."""
    matrix = matrix_of(tags, width, height)
    return BT601 if matrix == 4 else matrix


def bits_of(frame: Any) -> int:
    """Return how many bits a sample of libav's frame has."""
    bits: int = max(component.bits for component in frame.format.components)
    return bits


def has_alpha(frame: Any) -> bool:
    """Whether a pixel of libav's frame can be transparent."""
    return any(component.is_alpha for component in frame.format.components)


def to_arrays(
    frame: Any, *, size: tuple[int, int], bits: int, matrix: int, with_alpha: bool
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """RGB HxWx3 and alpha HxW of libav's frame, uint16 for more than 8 ``bits``, else uint8.

    ``size``: width and height, to which a frame of another size is scaled. ``matrix``: of the clip.
    """
    base = "rgba" if with_alpha else "rgb"
    deep = {"rgba": "rgba64le", "rgb": "rgb48le"}
    shallow = {"rgba": "rgba", "rgb": "rgb24"}
    converted = frame.reformat(
        width=size[0],
        height=size[1],
        format=(deep if bits > 8 else shallow)[base],
        src_colorspace=SWSCALE.get(frame.colorspace, SWSCALE[matrix]),
        threads=1,
    )
    pixels: NDArray[Any] = converted.to_ndarray()
    if converted is frame:  # the decoder may need it as it is for the frames that follow
        pixels = pixels.copy()
    if with_alpha:
        alpha = np.ascontiguousarray(pixels[..., 3])
        return np.ascontiguousarray(pixels[..., :3]), to_full_range(alpha, frame)
    return pixels, None


def to_full_range(plane: NDArray[Any], frame: Any) -> NDArray[Any]:
    """A plane of 16 bits whose top is 65535: libswscale only shifts alpha and grey of YUV."""
    bits = bits_of(frame)
    if plane.dtype != np.uint16 or bits > 15 or not frame.format.name.startswith(("yuva", "gray")):
        return plane
    levels = np.arange(1 << bits, dtype=np.float64) * (65_535 / ((1 << bits) - 1))
    table: NDArray[Any] = np.rint(levels).astype(np.uint16)
    full: NDArray[Any] = table[plane >> (16 - bits)]
    return full


def from_array(pixels: NDArray[Any], *, pixel_format: str, matrix: int) -> Any:
    """libav's frame in a codec's ``pixel_format``, of pixels HxW, HxWx3 or HxWx4."""
    av = av_library.load()
    names = {1: "gray", 3: "rgb24", 4: "rgba"}
    if pixels.dtype == np.uint16:
        names = {1: "gray16le", 3: "rgb48le", 4: "rgba64le"}
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), names[channels])
    if frame.format.name == pixel_format:
        return frame
    return frame.reformat(
        format=pixel_format,
        dst_colorspace=SWSCALE[matrix],
        dst_color_range=LIMITED,
        threads=1,
    )
