"""Loads PyAV, the extra ``[video]``. The only importer of it.

Everything that comes from it has the type `Any` here: the package must load without it.
"""

import functools
from collections.abc import Iterable
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from cvunet.errors import EncoderMissing, VideoMissing


def is_installed() -> bool:
    """Whether PyAV is there; it is not loaded."""
    return find_spec("av") is not None


@functools.cache
def load() -> ModuleType:
    """PyAV; `VideoMissing` says why it is not available."""
    try:
        import av
        import av.logging
        import av.sidedata.sidedata
    except ImportError as error:
        raise VideoMissing(
            f"clips need PyAV ({error}): pip install 'cvunet-daemon[video]', or set"
            " folders[].video to ignore"
        ) from error
    # libav prints to standard error by itself; what matters comes back as an exception.
    av.logging.set_level(None)
    return av


def side_data(frame: Any) -> Iterable[Any]:
    """What lies beside a frame's pixels.

    Not of a PNG: PyAV frees the name of a colour profile twice, which ends the process.
    `ValueError` if there is a kind that PyAV does not know, such as EXIF. ``frame.side_data`` is
    not used: it stays in the frame and refers to it, so that each frame would stay in memory until
    Python's collector looks for cycles.
    """
    found: Iterable[Any] = load().sidedata.sidedata.SideDataContainer(frame)
    return found


def require_encoder(name: str, *, purpose: str) -> None:
    """`EncoderMissing` if this build of PyAV cannot encode so."""
    av = load()
    try:
        av.Codec(name, "w")
    except ValueError as error:  # UnknownCodecError
        raise EncoderMissing(
            f"{purpose} needs the encoder {name}, and this PyAV ({av.__version__}) was built"
            " without it: install PyAV from its wheel (pip install av), or choose another"
            " output.video.format"
        ) from error
