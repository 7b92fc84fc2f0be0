"""What an error of torch means: too little memory, an unfit or dead device, or none of these."""

import torch

from cvunet.errors import CvunetError
from cvunet.inference.device_errors import (
    MEMORY_TEXTS,
    dead_device,
    in_one_line,
    no_room,
    too_little_memory,
    unfit_device,
    unusable,
)

# Texts of errors that mean too little memory, on the device or on the host. They are looked for
# before the fatal ones.
OUT_OF_MEMORY_TEXTS = (*MEMORY_TEXTS, "not enough memory", "can't allocate memory")
# After an error with one of these texts, a CUDA context answers every call with an error.
FATAL_TEXTS = (
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
    """Our error for an error of torch; None if it has nothing to do with the device."""
    text = in_one_line(error)
    if is_out_of_memory(error):
        return too_little_memory(text)
    if unfit := unfit_device("torch", text):
        return unfit
    if any(sign in text for sign in FATAL_TEXTS):
        return dead_device(text)
    return None


def translate_opening(error: Exception, device: torch.device) -> CvunetError:
    """Our error for an error of torch while something is loaded onto a GPU for the first time."""
    text = in_one_line(error)
    if is_out_of_memory(error):
        return no_room(str(device), text)
    return unfit_device("torch", text) or unusable(str(device), text)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error itself says that there is too little memory."""
    is_torchs = isinstance(error, torch.OutOfMemoryError)
    return is_torchs or any(sign in in_one_line(error) for sign in OUT_OF_MEMORY_TEXTS)


def is_caused_by_out_of_memory(error: BaseException) -> bool:
    """Whether this error, or an error in its chain of causes, says that there is too little memory.

    When a capture runs out of memory, its end raises another error, which hides the first.
    """
    one: BaseException | None = error
    while one is not None:
        if is_out_of_memory(one):
            return True
        one = one.__cause__ or one.__context__
    return False
