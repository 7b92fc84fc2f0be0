"""One hook's own thread, for as long as there is something to tell it."""

import logging
import threading
from collections.abc import Sequence

from daemon.errors import describe
from daemon.notices import Answered, Hook, Notice, Put, Reply, Sender, TemporaryFailure

logger = logging.getLogger(__name__)


class SendingThread:
    """Brings a few notices to a hook, one after the other; stops at the first trouble."""

    def __init__(self, hook: Hook, sender: Sender, put: Put) -> None:
        """``put`` takes each answer, from the courier's thread."""
        self.hook = hook
        self.sender = sender
        self.put = put
        self.is_stopped = False
        self.thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Not all answers have been given."""
        return self.thread is not None and self.thread.is_alive()

    def start(self, notices: Sequence[Notice]) -> None:
        """Begin; the last answer is the first trouble, or that to the last notice."""
        self.thread = threading.Thread(
            target=self.run, args=(notices,), name=f"hook {self.hook.key}", daemon=True
        )
        try:
            self.thread.start()
        except RuntimeError as error:  # no more threads: it will pass
            self.thread = None
            self.put(Answered(self.hook.key, notices[0].id, TemporaryFailure(describe(error))))

    def run(self, notices: Sequence[Notice]) -> None:
        """The thread."""
        for notice in notices:
            reply = self.send(notice)
            is_last = (
                notice is notices[-1] or isinstance(reply, TemporaryFailure) or self.is_stopped
            )
            if is_last:
                self.sender.release()  # before the answer, which may bring the next thread
            self.put(Answered(self.hook.key, notice.id, reply))
            if is_last:
                return

    def send(self, notice: Notice) -> Reply:
        """Send; a fault of ours must not end the thread in silence."""
        try:
            return self.sender.send(notice)
        except Exception as error:
            logger.exception("this should not have happened", extra={"HOOK": self.hook.key})
            return TemporaryFailure(f"unforeseen: {describe(error)}")

    def stop_after_current(self) -> None:
        """Begin nothing more; what is being told may end."""
        self.is_stopped = True

    def stop(self) -> None:
        """Begin nothing more, and end what is being told."""
        self.is_stopped = True
        self.sender.abort()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread, which may be asking a name server, for so long."""
        if self.thread is not None:
            self.thread.join(timeout_s)
