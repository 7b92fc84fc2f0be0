"""A drop's manifest as clients get it: without paths of this machine.

The file in the drop stays as it is: who may read it there sees the paths, too.
"""

import json
from collections.abc import Callable
from typing import Any, BinaryIO

from daemon.lifecycle import manifests

Json = dict[str, Any]  # Any: JSON


def redacted_entry(entry: Json, redact: Callable[[str], str]) -> Json:
    """Return a picture's entry; ``redact`` hides paths in what the daemon says."""
    content = {name: value for name, value in entry.items() if name != "quarantine"}
    if content.get("reason"):
        content["reason"] = redact(content["reason"])
    if content.get("warnings"):
        content["warnings"] = list(map(redact, content["warnings"]))
    return content


def read(stream: BinaryIO, redact: Callable[[str], str]) -> bytes | None:
    """Return a manifest from its file, which is closed; None if it is none of ours."""
    with stream:
        try:
            content = json.load(stream)
            pictures = [redacted_entry(one, redact) for one in content["pictures"]]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
    return manifests.as_json(content | {"pictures": pictures}).encode("utf-8", "backslashreplace")
