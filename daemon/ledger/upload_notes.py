"""What a row says of an upload, as JSON: how its result is made, or why that is not known."""

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from daemon.jobs import Upload
from daemon.renderings import Adjustments, Framing, Rendering


def as_text(upload: Upload | None) -> str:
    """Return the column of an upload, empty JSON for a picture that was dropped."""
    if upload is None:
        return "{}"
    wanted = upload.rendering
    note: dict[str, Any] = {"sha256": upload.sha256, "fault": upload.fault}  # Any: JSON
    if wanted is not None:
        note["rendering"] = stored(wanted)
    return json.dumps(note)


def stored(wanted: Rendering) -> dict[str, Any]:  # Any: JSON
    """Return a rendering, ready for JSON; `rendering` reads it."""
    nested = {"framing": values(wanted.framing), "adjustments": values(wanted.adjustments)}
    if isinstance(wanted.background, Path):
        nested["background"] = {"path": os.fsencode(wanted.background).hex()}
    return values(wanted) | nested


def values(one: Rendering | Framing | Adjustments) -> dict[str, Any]:  # Any: JSON
    """Return the fields of a value; `dataclasses.asdict` would copy each of them deeply."""
    return {field.name: getattr(one, field.name) for field in fields(one)}


def from_text(upload_id: str | None, text: str) -> Upload | None:
    """Return the upload of a row; an error of Python's for a text that `as_text` has not made."""
    if upload_id is None:
        return None
    note = json.loads(text)
    wanted = note.get("rendering")
    return Upload(
        id=upload_id,
        rendering=None if wanted is None else rendering(wanted),
        fault=note["fault"],
        sha256=note["sha256"],
    )


def rendering(stored: dict[str, Any]) -> Rendering:  # Any: JSON
    """Return a stored rendering; JSON knows neither tuples nor paths."""
    framing, background = stored["framing"], stored["background"]
    canvas = framing["canvas"]
    if isinstance(background, dict):
        background = Path(os.fsdecode(bytes.fromhex(background["path"])))
    elif background is not None:
        background = tuple(background)
    shape = Framing(**framing | {"canvas": None if canvas is None else tuple(canvas)})
    adjustments = Adjustments(**stored["adjustments"])
    touch_ups = tuple(stored.get("touch_ups", ()))  # rows of earlier versions have none
    changed = {
        "touch_ups": touch_ups,
        "framing": shape,
        "background": background,
        "adjustments": adjustments,
    }
    return Rendering(**stored | changed)
