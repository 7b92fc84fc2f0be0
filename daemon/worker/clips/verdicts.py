"""What a clip child's answer or its end says of the clip: which error it is, in words."""

from daemon.errors import MachineError, PictureError
from daemon.worker.children import channel, verdicts
from daemon.worker.children.channel import Message
from daemon.worker.children.process import name_of_signal

MB = 1_000_000


class BadSegments(RuntimeError):
    """A finished segment is damaged: all are made again."""


def check(message: Message, *, memory_bytes: int) -> None:
    """Raise what a child's message says has failed; nothing for any other message."""
    if message.get("lacks_memory"):
        raise too_large(memory_bytes)
    if "bad_segments" in message:
        raise BadSegments(str(message["bad_segments"]))
    if "lacks_encoder" in message:
        raise PictureError(f"{message['lacks_encoder']}: choose another output.video.format")
    verdicts.check(message)


def too_large(memory_bytes: int) -> PictureError:
    """It takes more memory than the size of its frames lets expect."""
    return PictureError(
        f"cutting it out needs more than {memory_bytes / MB:.0f} MB, far more than the size of its"
        " frames should: save it anew"
    )


def silent(seconds: float, *, frames: int, is_idle: bool) -> Exception:
    """No next frame has come in time."""
    if is_idle:
        return verdicts.no_progress(seconds)
    return PictureError(
        f"after {frames} frames no other came for {seconds:g} s (worker.max_decode_s): save it"
        " anew, or raise the limit"
    )


def ended(status: int | None, *, frames: int, memory_bytes: int) -> Exception:
    """The child has ended without a word."""
    if status == channel.NO_MEMORY:
        return too_large(memory_bytes)
    if verdicts.has_crashed(status):
        # Unlike a picture's decoder, this one also encodes: it may not be the clip's fault.
        return RuntimeError(f"its process crashed after {frames} frames ({name_of_signal(status)})")
    return verdicts.ended(f"its process was ended after {frames} frames", status)


def not_startable(reason: str) -> MachineError:
    """Return the error that no process for a clip can be started."""
    return MachineError(f"no process for a clip can be started ({reason}); it is tried again")
