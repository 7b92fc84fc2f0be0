"""What clients are told of this machine: no whole paths, and no secrets of addresses."""

import re

#: A path of this machine; what stands before it is no part of a name or of an address.
PATH = re.compile(r"(?<![\w.:/])/(?:[^\s,:;'\"()/]+/)*([^\s,:;'\"()/]+)/?")
ADDRESS = re.compile(r"\b(https?://)(?:[^\s/@]*@)?([^\s/?#]+)[^\s]*")


def hidden(text: str) -> str:
    """Return a text in which a path is only its last part, and an address only its host."""
    return PATH.sub(r"…/\1", ADDRESS.sub(r"\1\2", text))
