"""Relapses: folders that look well, and whose results fail again and again.

A probe writes a few bytes; a result may need gigabytes. Without a pause, such a folder would resume
at each check and fail with the next attempt. Status would say that it works, and the log would
grow.
"""

from dataclasses import dataclass, replace

from daemon.backoff import doubled_s

#: A pause lasts so many checks at most (`standby.RECHECK_S` apart). Room that appears ends it at
#: once; a raised quota cannot be seen, and must not wait for long.
LONGEST = 3
#: A folder that has worked for so many checks without a failure begins anew: half an hour.
FORGOTTEN_AFTER = 180


@dataclass(frozen=True, slots=True)
class Relapse:
    """What is known of one folder."""

    failures: int
    """One after the other, each after the folder had resumed."""
    room: int
    """Free bytes of the fullest place that the folder writes to, when it failed."""
    pause: int
    """How many checks it still rests, although it looks well."""
    quiet: int = 0
    """How many checks it has worked since."""


class Relapses:
    """How long folders rest: not at all after the first failure, then longer with each."""

    def __init__(self) -> None:
        self.known: dict[str, Relapse] = {}

    def note(self, name: str, room: int) -> None:
        """Work of a folder has failed that was not on standby."""
        before = self.known.get(name)
        failures = 1 if before is None else before.failures + 1
        pause = 0 if failures == 1 else int(doubled_s(1, failures - 2, LONGEST))
        self.known[name] = Relapse(failures, room, pause)

    def pause(self, name: str) -> int:
        """Return how many checks a folder rests, even if it looks well."""
        relapse = self.known.get(name)
        return 0 if relapse is None else relapse.pause

    def is_resting(self, name: str, room: int) -> bool:
        """Whether a folder that looks well rests on; call it once a check.

        More room than at the failure ends the rest: somebody has deleted something.
        """
        relapse = self.known.get(name)
        if relapse is None or relapse.pause == 0 or room > relapse.room:
            return False
        self.known[name] = replace(relapse, pause=relapse.pause - 1)
        return True

    def note_work(self, name: str) -> None:
        """Count a check at which the folder works."""
        relapse = self.known.get(name)
        if relapse is None:
            return
        if relapse.quiet + 1 >= FORGOTTEN_AFTER:
            self.forget(name)
        else:
            self.known[name] = replace(relapse, quiet=relapse.quiet + 1)

    def forget(self, name: str) -> None:
        """Forget a folder."""
        self.known.pop(name, None)
