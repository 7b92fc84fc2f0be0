"""How paths and times are written in JSON: manifests, hooks' payloads."""

import os
from datetime import UTC, datetime
from pathlib import Path


def as_text(path: Path) -> str:
    """Return a path for JSON: unchanged, except for bytes that are no text."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def utc(seconds: float) -> str:
    """Return UTC seconds as ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
