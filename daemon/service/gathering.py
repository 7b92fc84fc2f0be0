"""Waiting a moment for more results, so that several share a turn of the loop."""

import queue
from collections.abc import Callable, Iterator, Sequence

from daemon.jobs import Done, Outcome
from daemon.lifecycle.dispatcher import Dispatcher
from daemon.messages import Message, Stop

#: The longest that a result waits for others.
GATHER_S = 0.25
#: So many results wait at most. An engine that is fast brings several in each turn anyway.
MOST = 4

Ended = Sequence[tuple[str, Outcome]]


class Gathering:
    """Gathers results while the engine has enough to do.

    Results that are handled together share their commits, their waits for the disk, and what a turn
    of the loop costs. A crash in that time costs only the work on them: they are made again.
    """

    def __init__(
        self,
        inbox: queue.SimpleQueue[Message],
        dispatcher: Dispatcher,
        clock: Callable[[], float],
    ) -> None:
        """``clock``: the monotonic one."""
        self.inbox = inbox
        self.dispatcher = dispatcher
        self.clock = clock

    def messages(self, ended: Ended, *, due: float) -> Iterator[Message]:
        """Yield messages as long as it is worth waiting, but not after ``due``.

        ``ended`` grows while the caller handles what it gets. `queue.Empty` at the end of the time.
        """
        due = min(due, self.clock() + GATHER_S)
        while self.is_worthwhile(ended) and (wait_s := due - self.clock()) > 0:
            yield (message := self.inbox.get(timeout=wait_s))
            if isinstance(message, Stop):
                return

    def is_worthwhile(self, ended: Ended) -> bool:
        """Whether pictures have come out, few of them, and two thirds of the engine stay full.

        What follows from a failure does not wait.
        """
        if not 0 < len(ended) < MOST or not all(isinstance(one, Done) for _, one in ended):
            return False
        left = self.dispatcher.count_pictures() - len(ended)
        return 3 * left > 2 * self.dispatcher.engine.depth
