"""Loads pymatting, the extra ``[refine]``. The only importer of it.

pymatting compiles itself with numba at import: this takes seconds and needs a cache folder.
"""

import functools
import importlib
from types import ModuleType

from cvunet.errors import EstimatorError

SETTINGS = "postprocess.colours: refine and postprocess.hair: exact"


@functools.cache
def load() -> ModuleType:
    """pymatting, compiled; `EstimatorError` says why it is not available."""
    try:
        return importlib.import_module("pymatting")
    except ImportError as error:
        raise EstimatorError(
            f"{SETTINGS} need pymatting ({error}): pip install 'cvunet-daemon[refine]', or set"
            " both to fast"
        ) from error
    except RuntimeError as error:  # numba: "no locator available", in a read-only system
        raise EstimatorError(
            f"pymatting cannot be compiled ({error}): set NUMBA_CACHE_DIR to a folder that may be"
            f" written, or change {SETTINGS} to fast"
        ) from error
