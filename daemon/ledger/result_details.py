"""What a row says of a finished result; the manifest shows it."""

from dataclasses import fields
from typing import Any

from daemon.clips import ClipFacts
from daemon.jobs import Confidence, Done, Opinion


def details_of(done: Done) -> dict[str, Any]:  # Any: JSON
    """Return what the manifest says about a result; unknown values are left out."""
    known = {
        "sha256": done.sha256,
        "bytes": done.identity.size,
        "width": done.width,
        "height": done.height,
        "result_width": done.result_size and done.result_size[0],
        "result_height": done.result_size and done.result_size[1],
        "foreground": done.foreground,
        "seconds": done.seconds,
        "weights": done.weights,
        "settings": done.settings,
        "touch_ups": done.touch_ups or None,
        "confidence": done.confidence and shallow(done.confidence),
        "warnings": done.warnings,
        "model": done.model or None,
        "opinions": [shallow(one) for one in done.opinions] or None,
        "clip": done.clip and shallow(done.clip),
    }
    return {name: value for name, value in known.items() if value is not None}


def shallow(value: Confidence | Opinion | ClipFacts) -> dict[str, Any]:  # Any: JSON
    """Return a value's fields; `asdict` would copy all that they hold, for each picture."""
    return {field.name: getattr(value, field.name) for field in fields(value)}
