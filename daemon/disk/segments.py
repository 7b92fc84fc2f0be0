"""Finished segments of clips: hidden files beside the part, and a note that says which count.

A segment that the note does not name is unfinished. All of it goes when the clip is published or
given up.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from daemon.disk import moves, tree
from daemon.disk.files import create, open_if_regular, remove

OURS = re.compile(r"\.([0-9a-f]{22})\.(?:clip|\d{6}\.segment)")
NOTE_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Note:
    """What is finished of one clip."""

    key: str
    """Of everything that the segments depend on: with another key they are worth nothing."""
    frames: tuple[int, ...] = ()
    """Of each finished segment, in order."""
    begun_with: int = 0
    """How many segments there were when the latest attempt began."""
    seconds: float = 0.0
    """How long the finished segments last."""
    blank: int = 0
    """In how many of their frames no subject was found."""
    ending: str | None = None
    """None: more is to come. Empty: the last one ends with the clip. Else why it ends before."""

    @property
    def has_progressed(self) -> bool:
        """Whether the latest attempt has finished a segment."""
        return len(self.frames) > self.begun_with


def stem_of(part: Path) -> str:
    """Return how the names of a clip's files begin: with a dot and the job's id.

    Not with the number of the start, which is in the part's name: the next one goes on with them.
    """
    return part.name.removesuffix(".part").partition("-")[0]


def note_place(part: Path) -> Path:
    """Return the path of a clip's note."""
    return part.with_name(f"{stem_of(part)}.clip")


def place(part: Path, number: int) -> Path:
    """Return the path of a segment."""
    return part.with_name(f"{stem_of(part)}.{number:06}.segment")


def read_note(part: Path) -> Note | None:
    """Return the note of a clip; None if there is none that we have written."""
    try:
        descriptor = open_if_regular(note_place(part))
    except FileNotFoundError:
        return None
    if descriptor is None:
        return None
    try:
        with os.fdopen(descriptor, "rb") as stream:
            content = json.loads(stream.read(NOTE_BYTES))
        frames = tuple(map(int, content["frames"]))
        ending = content["ending"]
        return Note(
            key=str(content["key"]),
            frames=frames,
            begun_with=int(content["begun_with"]),
            seconds=float(content["seconds"]),
            blank=int(content.get("blank", 0)),  # notes of earlier versions have none
            ending=None if ending is None else str(ending),
        )
    except (KeyError, TypeError, ValueError):
        return None


def write_note(part: Path, note: Note) -> None:
    """Replace the note in one step; this also makes the segments' names durable."""
    unfinished = part.with_name(f"{stem_of(part)}-clip.part")
    with create(unfinished) as stream:
        stream.write(json.dumps(asdict(note)).encode())
        stream.flush()
        os.fsync(stream.fileno())
    moves.replace(unfinished, note_place(part))


def begin(part: Path, number: int) -> BinaryIO:
    """Open a segment for writing and reading, made anew."""
    return create(place(part, number), is_read=True)


def remove_all(part: Path) -> None:
    """Delete note and segments of one clip. The note goes first: without it no segment counts."""
    remove(note_place(part))
    for entry in tree.listing(part.parent):
        name = entry.path.name
        if OURS.fullmatch(name) and name.startswith(f"{stem_of(part)}."):
            remove(entry.path)


def owners(paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Yield the id of each job that has such files among paths, and the path of its part."""
    found = {}
    for path in paths:
        match = OURS.fullmatch(path.name)
        if match is not None:
            found[match[1], path.parent] = path.with_name(f".{match[1]}.part")
    for (job_id, _), part in found.items():
        yield job_id, part
