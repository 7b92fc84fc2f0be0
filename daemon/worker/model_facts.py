"""What is known of a model by its entry alone: quick, and without the library that runs it."""

from pathlib import Path

from cvunet import errors as cvunet_errors
from cvunet.models import manifest

UNKNOWN = "unknown"


def origin_of(file: Path) -> dict[str, str]:
    """Return ``family`` and ``licence`` of a model's file as its entry names them.

    Where there is no entry, or one that cannot be read, both are ``unknown``; the start of the
    model says what is wrong.
    """
    is_ours = file.suffix != ".onnx"
    try:
        entry = manifest.weights_entry(file) if is_ours else manifest.find_entry(file)
    except (cvunet_errors.CvunetError, OSError):
        entry = None
    known = entry or {}
    family = "cvunet" if is_ours else str(known.get("family", UNKNOWN))
    return {"family": family, "licence": str(known.get("licence", UNKNOWN))}
