"""Parts that a worker may still write after its attempt is over: they are deleted as they appear.

A worker that is cut off goes on working. Its part carries the number of that attempt, so that no
later attempt writes to the same file, and nobody but us ever looks for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon.disk import files
from daemon.jobs import Task

#: A worker that is cut off ends with its node's raylet, a minute after the head went silent.
WATCHED_S = 900.0
LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """An attempt that is over, and whose worker may not know it."""

    task: Task
    until: float
    """Monotonic."""


class LateParts:
    """Attempts that are over, for as long as their parts may appear."""

    def __init__(self) -> None:
        self.watched: list[EndedAttempt] = []
        self.next_look = 0.0

    def add(self, tasks: Iterable[Task], *, now: float) -> None:
        """Watch for the parts of these."""
        self.watched += [EndedAttempt(task, now + WATCHED_S) for task in tasks]

    def due(self, now: float) -> list[Task]:
        """Return whose parts are to be deleted now, if they are there."""
        if now < self.next_look or not self.watched:
            return []
        self.next_look = now + LOOK_S
        due = [one.task for one in self.watched]
        self.watched = [one for one in self.watched if one.until > now]
        return due


def remove_parts(tasks: Iterable[Task]) -> list[Path]:
    """Delete the parts of attempts that are over; return those that were there."""
    removed = []
    for task in tasks:
        for part in (task.part, task.alpha_part):
            try:
                if part is not None and files.exists(part):
                    files.remove(part)
                    removed.append(part)
            except OSError:  # its share is away: looked for again, and at the next start
                continue
    return removed
