"""The thread that sends notices to one hook; it exists only while there are some."""

import logging
import threading
from collections.abc import Sequence

from daemon.errors import describe
from daemon.notices import Answered, Hook, Notice, Put, Reply, Sender, TemporaryFailure

logger = logging.getLogger(__name__)


class SendingThread:
    """Sends a few notices to a hook, one after the other; stops at the first failure."""

    def __init__(self, hook: Hook, sender: Sender, put: Put) -> None:
        """``put`` takes each answer, in this thread."""
        self.hook = hook
        self.sender = sender
        self.put = put
        self.is_stopped = False
        self.thread: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether some answers are missing."""
        return self.thread is not None and self.thread.is_alive()

    def start(self, notices: Sequence[Notice]) -> None:
        """Start the thread; its last answer is the first failure, or that to the last notice."""
        self.thread = threading.Thread(
            target=self.run, args=(notices,), name=f"hook {self.hook.key}", daemon=True
        )
        try:
            self.thread.start()
        except RuntimeError as error:  # no more threads: temporary
            self.thread = None
            self.put(Answered(self.hook.key, notices[0].id, TemporaryFailure(describe(error))))

    def run(self, notices: Sequence[Notice]) -> None:
        """Run in the thread."""
        for notice in notices:
            reply = self.send(notice)
            is_last = (
                notice is notices[-1] or isinstance(reply, TemporaryFailure) or self.is_stopped
            )
            if is_last:
                self.sender.release()  # before the answer: that may start the next thread
            self.put(Answered(self.hook.key, notice.id, reply))
            if is_last:
                return

    def send(self, notice: Notice) -> Reply:
        """Send one notice; an unexpected error must not end the thread without an answer."""
        try:
            return self.sender.send(notice)
        except Exception as error:
            logger.exception("this should not have happened", extra={"HOOK": self.hook.key})
            return TemporaryFailure(f"unforeseen: {describe(error)}")

    def stop_after_current(self) -> None:
        """Start no other notice; let the current one end."""
        self.is_stopped = True

    def stop(self) -> None:
        """Start no other notice, and end the current one."""
        self.is_stopped = True
        self.sender.abort()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread, which may be in a DNS lookup, up to a time-out."""
        if self.thread is not None:
            self.thread.join(timeout_s)
