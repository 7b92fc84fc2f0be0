"""What an error of a pass means, in both runtimes."""

from cvunet.errors import DeviceError, DeviceMemoryError


def too_little_memory(text: str) -> DeviceMemoryError:
    """Return the error of a batch that does not fit; ``text``: the runtime's own words."""
    return DeviceMemoryError(f"too little memory for this batch ({text}): lower worker.max_batch")


def dead_device(text: str) -> DeviceError:
    """Return the error of a device that answers no more; ``text``: the runtime's own words."""
    return DeviceError(f"the device has died ({text}): restart the process")


def one_line(error: BaseException) -> str:
    """Return the error's text in one line, short enough for a log."""
    return " ".join(str(error).split())[:300]
