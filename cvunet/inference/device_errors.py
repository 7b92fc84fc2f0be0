"""What an error of a device means, in both runtimes."""

from collections.abc import Sequence

from cvunet.errors import DeviceError, DeviceMemoryError, DeviceUnfit, DeviceUnready

#: What CUDA and its libraries say if there is too little memory.
MEMORY_TEXTS = ("out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED")
#: What CUDA says if this build of a runtime has no code for the card, or needs a newer driver.
UNFIT_TEXTS = (
    "no kernel image is available",
    "driver version is insufficient",
    "driver on your system is too old",
    "unsupported toolchain",
    "wasn't able to be loaded",  # CUDA itself, by onnxruntime, if CUDA_PATH is set
)
LONGEST, TAIL = 300, 200


def too_little_memory(text: str) -> DeviceMemoryError:
    """Return the error of a batch that does not fit; ``text``: the runtime's own words."""
    return DeviceMemoryError(
        f"too little memory for this batch ({shortened(text)}): lower worker.max_batch"
    )


def no_room(device: str, text: str) -> DeviceMemoryError:
    """Return the error of a model that does not fit on a device; ``text`` as above."""
    return DeviceMemoryError(
        f"device {device} has too little memory to load the model ({shortened(text)}): end what"
        " else uses it, or set device: cpu"
    )


def dead_device(text: str) -> DeviceError:
    """Return the error of a device that answers no more; ``text``: the runtime's own words."""
    return DeviceError(f"the device has died ({shortened(text)}): restart the process")


def absent_device(name: str, present: Sequence[str]) -> DeviceError:
    """Return the error of a device that is none of those that are there."""
    return DeviceError(f"device {name!r} is absent; this machine has: {', '.join(present)}")


def unusable(device: str, text: str) -> DeviceUnready:
    """Return the error of a device that is there and cannot be used; ``text`` as above.

    Its driver may still be starting, or another process may have it alone.
    """
    return DeviceUnready(
        f"device {device} cannot be used ({shortened(text)}): correct that, or set device: cpu"
    )


def unfit_device(runtime: str, text: str) -> DeviceUnfit | None:
    """Return the error of a runtime that has no code for a device; None if it says another thing.

    ``text``: its own words.
    """
    if not any(sign in text for sign in UNFIT_TEXTS):
        return None
    return DeviceUnfit(
        f"this {runtime} cannot use this GPU ({shortened(text)}): update the GPU's driver, install"
        f" a build of {runtime} for it (of torch for older cards: cu126), or set device: cpu"
    )


def in_one_line(error: BaseException) -> str:
    """Return the error's whole text in one line. Its meaning may stand at its end."""
    return " ".join(str(error).split())


def shortened(text: str) -> str:
    """Return a text short enough for a log: its beginning and its end."""
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - TAIL]} … {text[-TAIL:]}"
