"""What an error of torch means: too little memory, a dead device, or neither."""

import torch

from cvunet.errors import CvunetError, DeviceError, DeviceMemoryError

# Texts of errors that mean a lack of memory, wherever it was found; asked before the fatal ones.
MEMORY_SIGNS = ("out of memory", "ALLOC_FAILED", "not enough memory", "can't allocate memory")
# Texts after which a CUDA context answers nothing but errors.
FATAL_SIGNS = (
    "CUDA error",
    "CUDA driver error",
    "device-side assert",
    "illegal memory access",
    "misaligned address",
    "launch failure",
    "uncorrectable ECC",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_INTERNAL_ERROR",
)


def translate(error: RuntimeError) -> CvunetError | None:
    """What an error of torch means; None if it is not the device's."""
    text = in_a_line(error)
    if wants_memory(error):
        return DeviceMemoryError(
            f"too little memory for this batch ({text}): lower worker.max_batch"
        )
    if any(sign in text for sign in FATAL_SIGNS):
        return DeviceError(f"the device has died ({text}): restart the process")
    return None


def wants_memory(error: BaseException) -> bool:
    """Whether this very error tells of too little memory."""
    is_torchs = isinstance(error, torch.OutOfMemoryError)
    return is_torchs or any(sign in in_a_line(error) for sign in MEMORY_SIGNS)


def began_with_memory(error: BaseException) -> bool:
    """Whether this error or one that it came from tells of too little memory.

    The end of a recording that ran out of memory has an error of its own, which hides the first.
    """
    one: BaseException | None = error
    while one is not None:
        if wants_memory(one):
            return True
        one = one.__cause__ or one.__context__
    return False


def in_a_line(error: BaseException) -> str:
    """Its text, short enough for a log."""
    return " ".join(str(error).split())[:300]
