"""What is finished of a clip: read when an attempt begins, and grown segment by segment."""

from dataclasses import replace
from pathlib import Path

from daemon.disk import segments
from daemon.disk.segments import Note
from daemon.errors import PictureError
from daemon.worker.children.channel import Message
from daemon.worker.children.description import believed


def begun(part: Path, key: str) -> Note:
    """Return what is finished of a clip, and note that another attempt begins.

    Segments of other settings, or of another version of the original, are deleted.
    """
    note = segments.read_note(part)
    if note is None or note.key != key:
        segments.remove_all(part)
        note = Note(key)
    note = replace(note, begun_with=len(note.frames))
    segments.write_note(part, note)
    return note


def noted(note: Note, message: Message, *, most: int, has_file: bool) -> Note:
    """Return the note with one more segment, as a child has told; `PictureError` for no frame."""
    with believed():
        number, frames = int(message["number"]), int(message["frames"])
        blank = int(message["blank"])
        seconds, ending = float(message["seconds"]), message["ending"]
        ending = None if ending is None else str(ending)
        is_possible = 0 <= blank <= frames <= most and (frames > 0) == has_file
        if number != len(note.frames) or not is_possible:
            raise ValueError(f"{frames} frames in segment {number}")
    if frames:
        return replace(
            note,
            frames=(*note.frames, frames),
            seconds=seconds,
            blank=note.blank + blank,
            ending=ending,
        )
    if not note.frames:
        raise PictureError("it has no frame")
    return replace(note, ending=ending)
