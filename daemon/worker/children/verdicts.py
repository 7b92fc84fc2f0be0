"""What an answer or the end of any child says of the file that it reads: which error it is."""

import signal

from daemon.errors import HeldUpError, NoPictureError, PictureError
from daemon.worker.children.channel import Message
from daemon.worker.children.process import name_of_signal

CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
#: Less of its time on a processor, and it was waiting for a disk or for memory.
BUSY_SHARE = 0.5


def check(message: Message) -> None:
    """Raise the failure that a child tells of; nothing for any other message."""
    if "refused" in message:
        kind = NoPictureError if message.get("is_final") is True else PictureError
        raise kind(str(message["refused"]))
    if isinstance(number := message.get("errno"), int):
        raise OSError(number, str(message.get("text")))
    if "unforeseen" in message:
        raise RuntimeError(str(message["unforeseen"]))


def is_idle(cpu_s: float, seconds: float) -> bool:
    """Whether a child that gave no answer for so long has waited: the file is not to blame."""
    return cpu_s < BUSY_SHARE * seconds


def no_progress(seconds: float) -> HeldUpError:
    """Return the error of a file that cannot be read on."""
    return HeldUpError(
        f"reading it made no progress for {seconds:.0f} s: is its disk there, and has the machine"
        " enough memory?"
    )


def ended(what: str, status: int | None) -> Exception:
    """Return the error of a child that has ended without a word, and has not crashed.

    ``what`` has ended. By itself it ends with a status; a signal comes from somebody else.
    """
    text = f"{what} ({name_of_signal(status)}): has the machine enough memory?"
    return HeldUpError(text) if status is None or status < 0 else RuntimeError(text)


def has_crashed(status: int | None) -> bool:
    """Whether a decoder or an encoder has ended the process, by its exit status."""
    return status is not None and -status in CRASHES
