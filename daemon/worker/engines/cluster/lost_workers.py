"""Whether a picture has ended its worker, or somebody else: the worker's node is asked.

A picture that crashes workers counts an attempt for each. One whose worker was killed, ran out of
memory or went with its node counts a death, of which it may have more.
"""

from dataclasses import dataclass
from enum import Enum

from daemon.errors import Blame
from daemon.jobs import Failed
from daemon.worker.engines.cluster.calls import TaskCall
from daemon.worker.engines.cluster.crashes import Found
from daemon.worker.engines.cluster.wording import PROCESS_ENDED

#: A node that has not answered for so long is away, and a picture does not take a node away.
PATIENCE_S = 30.0


class End(Enum):
    """How a worker was lost, as far as that is known at once."""

    GONE = "gone"  # its process has ended, or cannot be reached
    SILENT = "silent"  # it does not answer: it hangs, or its node is cut off
    HUNG = "hung"  # it has said that a picture gets nowhere
    TAKEN = "taken"  # from outside: with its node, or by it
    UNFIT = "unfit"  # it is no good, whatever its pictures are


@dataclass(frozen=True, slots=True)
class LostWorker:
    """Pictures of a lost worker, which wait for what its node says."""

    calls: list[TaskCall]
    node: str
    label: str
    why: str
    end: End
    until: float
    """Monotonic."""

    def verdict(self, answer: object) -> Failed:
        """Return what follows for its pictures. ``answer``: None if its node has not answered."""
        text = f"{self.label}: {self.why}"
        if isinstance(answer, Found) and answer.crash:
            return counts(f"{self.label}: its process has crashed: {answer.crash}")
        if isinstance(answer, Found) and self.why == PROCESS_ENDED:
            return excused(f"{text} from outside: by kill -9, or for lack of memory")
        # A worker that is silent on a node that answers hangs as well.
        is_hung = self.end is End.HUNG or (self.end is End.SILENT and isinstance(answer, Found))
        return counts(text) if is_hung else excused(text)


def counts(reason: str) -> Failed:
    """Return that a worker was lost by its picture, or by one beside it: an attempt counts."""
    return Failed(Blame.UNKNOWN, reason)


def excused(reason: str) -> Failed:
    """Return that somebody else has ended a worker: no attempt counts, a death does."""
    return Failed(Blame.ENDED, reason)
