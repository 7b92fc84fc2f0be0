"""What was probably meant by a name that is unknown."""

import difflib
from collections.abc import Collection

#: How alike two names must be, 0 to 1.
ALIKE = 0.4


def nearest(name: str, known: Collection[str]) -> str:
    """Return the known name that is most like a name; empty if none is alike."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=ALIKE)), "")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return a question for people; empty if no known name is alike."""
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else ""
