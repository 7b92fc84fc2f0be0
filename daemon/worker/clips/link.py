"""The clip child's end of the channel: questions to the daemon, one at a time."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from daemon.worker.children import channel
from daemon.worker.children.channel import Message
from daemon.worker.clips.exchange import FRAMES, Exchange

#: After so long without a question the daemon is told that all is well.
SILENT_S = 2.0


class Link:
    """Asks the daemon. Any thread; each question waits until the one before is answered."""

    def __init__(self, end: socket.socket, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.end = end
        self.clock = clock
        self.lock = threading.Lock()
        self.frames_done = 0
        """Frames that are encoded: the daemon is told with each question."""
        self.exchange: Exchange | None = None
        self.asked_at = self.clock()

    def receive(self) -> tuple[Message, list[int]]:
        """What the daemon says of itself. `EOFError` if it has gone."""
        message, descriptors = channel.receive_with_descriptors(self.end)
        if not message:
            raise EOFError("the daemon has gone")
        return message, descriptors

    def ask(self, question: str, **values: Any) -> tuple[Message, list[int]]:  # Any: JSON
        """Ask, and wait for the answer with its descriptors."""
        with self.lock:
            self.asked_at = self.clock()
            message = {"ask": question, "done": self.frames_done, **values}
            channel.send(self.end, message)
            return self.receive()

    def note_frame(self) -> None:
        """Say from time to time that frames are decoded, although none is shown yet."""
        if self.clock() - self.asked_at > SILENT_S:
            self.ask("alive")

    def tell(self, message: Message) -> None:
        """Say something that needs no answer."""
        with self.lock:
            channel.send(self.end, message)

    def stream(self, question: str, mode: str, **values: Any) -> BinaryIO:  # Any: JSON
        """A file that the daemon has opened."""
        _, [descriptor] = self.ask(question, **values)
        return os.fdopen(descriptor, mode)  # type: ignore[return-value]  # a binary mode

    def predict(self, smalls: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.float32]]:
        """The alphas of small frames HxWx3, in order."""
        assert self.exchange is not None
        alphas: list[NDArray[np.float32]] = []
        for start in range(0, len(smalls), FRAMES):
            some = list(smalls[start : start + FRAMES])
            shapes = [small.shape[:2] for small in some]
            self.exchange.put_smalls(some)
            self.ask("predict", shapes=shapes)
            alphas += self.exchange.take_alphas(shapes)
        return alphas
