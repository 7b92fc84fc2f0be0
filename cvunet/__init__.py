"""CV-UNet: a small network that finds the subject of a photo and cuts it out.

    from cvunet import open_predictor, read_picture, cut_out

    predictor = open_predictor()
    cut_out(predictor, read_picture("cat.jpg")).save("cat.png")

The names in `__all__` are the public interface (docs/python.md). All other names and modules are
private: they may change in any version. A name is loaded when it is first used: `import cvunet`
loads neither torch nor OpenCV, and `import cvunet.pictures.reading` does not load torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cvunet.clip_cutout import CutClip, Steady, cut_out_clip
    from cvunet.cutout import Cutout, cut_out, cut_out_batch, open_predictor, read_picture
    from cvunet.errors import (
        ClipDamagedError,
        CvunetError,
        DeviceError,
        DeviceMemoryError,
        EncoderMissing,
        FileError,
        ImageError,
        OptionError,
        RuntimeMissing,
        VideoMissing,
        WeightsError,
    )
    from cvunet.inference.predictor import Predictor
    from cvunet.matte.adjustments import Adjustments
    from cvunet.matte.confidence import Confidence
    from cvunet.pictures.reading import Picture

__all__ = [
    "Adjustments",
    "ClipDamagedError",
    "Confidence",
    "CutClip",
    "Cutout",
    "CvunetError",
    "DeviceError",
    "DeviceMemoryError",
    "EncoderMissing",
    "FileError",
    "ImageError",
    "OptionError",
    "Picture",
    "Predictor",
    "RuntimeMissing",
    "Steady",
    "VideoMissing",
    "WeightsError",
    "cut_out",
    "cut_out_batch",
    "cut_out_clip",
    "open_predictor",
    "read_picture",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'cvunet' has no public name {name!r}")
    module = "cvunet.errors" if name.endswith(("Error", "Missing")) else "cvunet.cutout"
    if name in ("CutClip", "Steady", "cut_out_clip"):
        module = "cvunet.clip_cutout"
    value: object = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
