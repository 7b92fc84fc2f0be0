"""What clients are told of this machine: no whole paths, and no secrets of addresses."""

import re
from collections.abc import Iterable
from pathlib import Path

#: A path of this machine; what stands before it is no part of a name or of an address.
PATH = re.compile(r"(?:(?<![\w.:/…])/{1,2}|(?<=:)/(?!/))(?:[^\s,:;'\"()/]+/)*([^\s,:;'\"()/]+)/?")
#: What Python's `repr` makes of a path: between the quotes there may be anything.
QUOTED = re.compile(r"(['\"])/((?:(?!\1).)+)\1")
REST = r"(?![\w.-])((?:/[^\s,:;'\"()/]+)*)"
ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*://)(?:[^\s/]*@)?([^\s/?#]*)[^\s]*")


def redact(text: str, known: Iterable[Path] = ()) -> str:
    """Return a text in which a path is only its last part, and an address only its host.

    ``known``: folders of this machine, which may have blanks and marks in their names. Of other
    paths those are found that have none, or stand between quotes.
    """
    text = QUOTED.sub(in_quotes, ADDRESS.sub(r"\1\2", text))
    if "/" not in text:
        return text
    for path in sorted(set(map(str, known)), key=len, reverse=True):
        if path in text:
            text = re.sub(
                f"(?<![\\w.…]){re.escape(path)}{REST}", lambda found: last_part(found[0]), text
            )
    return PATH.sub(r"…/\1", text)


def in_quotes(found: re.Match[str]) -> str:
    """Return the end of a path that stands between quotes."""
    return f"{found[1]}{last_part(found[2])}{found[1]}"


def last_part(path: str) -> str:
    """Return what is shown of a path."""
    return f"…/{path.rstrip('/').rpartition('/')[2]}"
