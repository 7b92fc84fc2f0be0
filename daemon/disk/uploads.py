"""Uploads: each is a folder in a hot folder, complete when it appears.

.incoming/<id>/          being received; nobody takes it
<id>/cat.jpg             complete: the daemon takes it like any other picture
<id>/.request.json       what was asked for; stays until the picture's row is committed
.orders/<id>.json        a wish that the daemon carries out
.masks/<sha256>.png      what a person has painted over a result, for as long as a row names it
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from daemon.disk import files, modes, safe_open, tree
from daemon.errors import UntrustedPath
from daemon.jobs import WAITED_FOR

INCOMING = ".incoming"
ORDERS = ".orders"
MASKS = ".masks"
NOTE = ".request.json"
ID = safe_open.JOB_ID
MASK = re.compile("[0-9a-f]{64}")
#: A mask of a larger picture is painted smaller, and enlarged where something was painted.
MASK_SIDE_PX = 4096
MASK_PIXELS = MASK_SIDE_PX**2
MAX_TOUCH_UPS = 20
"""Of one picture, one laid over the other."""
NAME_BYTES = 200
"""Versions and suffixes are added to it later."""
NOTE_BYTES = 65_536
#: The server and the daemon may be two users of one group.
FOLDER = 0o770
FILE = 0o660
Json = dict[str, Any]  # Any: JSON


class Staged:
    """One upload that is being received."""

    def __init__(
        self, root: Path, upload_id: str, name: str, *, is_waited_for: bool = False
    ) -> None:
        """Make its folder; `OSError` if that fails.

        What a client waits for has a line of its own in the daemon, beside that of all others.
        """
        self.root = root
        self.id = upload_id
        self.path = root / INCOMING / upload_id
        make_folder(root / INCOMING)
        discard(self.path)  # of an earlier try under the same id
        with safe_open.folder(self.path.parent) as parent:
            os.mkdir(self.path.name, modes.FOLDER, dir_fd=parent)
            os.chmod(self.path.name, FOLDER, dir_fd=parent)
        self.file = create(self.path / name)
        if is_waited_for:
            os.fchmod(self.file.fileno(), FILE | WAITED_FOR)

    def write(self, chunk: bytes) -> None:
        """Add bytes to the picture."""
        self.file.write(chunk)

    def complete(self, note: Json) -> None:
        """Make picture and note durable; nobody sees them yet."""
        close_durably(self.file)
        with create(self.path / NOTE) as stream:
            stream.write(json.dumps(note).encode())
            stream.flush()
            os.fsync(stream.fileno())
        with safe_open.folder(self.path) as folder:
            safe_open.sync(folder)

    def publish(self) -> None:
        """Let the daemon see it, durably; `FileExistsError` if the id is taken."""
        with (
            safe_open.folder(self.path.parent) as incoming,
            safe_open.folder(self.root) as top,
        ):
            try:
                os.rename(self.id, self.id, src_dir_fd=incoming, dst_dir_fd=top)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                raise FileExistsError(errno.EEXIST, "the id is taken", str(self.path)) from error
            safe_open.sync(top)
            safe_open.sync(incoming)

    def discard(self) -> None:
        """Leave no trace of it; called in any case, also after `publish`."""
        with suppress(OSError):
            self.file.close()
        discard(self.path)


def make_folder(path: Path) -> None:
    """Make a folder that server and daemon share."""
    if files.is_folder(path):
        return
    files.make_folders(path)
    with suppress(OSError), safe_open.parent(path) as parent:  # another user has made it
        os.chmod(path.name, FOLDER, dir_fd=parent)


def create(path: Path) -> BinaryIO:
    """Make a file that server and daemon may read and delete."""
    stream = files.create(path)
    os.fchmod(stream.fileno(), FILE)
    return stream


def nameless(root: Path) -> BinaryIO:
    """Return a new file without a name, on the disk of the uploads: it leaves no trace."""
    make_folder(root / INCOMING)
    return tempfile.TemporaryFile(dir=root / INCOMING)  # the caller closes it


def close_durably(stream: BinaryIO) -> None:
    """Close a file after the disk has it."""
    with stream:
        stream.flush()
        os.fsync(stream.fileno())


def discard(path: Path) -> None:
    """Delete what was received into a folder; links in it are not followed."""
    with suppress(OSError), safe_open.parent(path) as parent:
        shutil.rmtree(path.name, dir_fd=parent)


def discard_incoming(root: Path) -> None:
    """Delete what an earlier server has not received or written completely."""
    for folder in tree.folders(root / INCOMING):
        discard(folder)
    for entry in tree.listing(root / ORDERS):
        if entry.path.name.startswith("."):
            files.remove(entry.path)


def waiting(root: Path) -> list[str]:
    """Return the ids of uploads whose rows are not committed yet."""
    return [name for name in tree.folder_names(root) if ID.fullmatch(name)]


def is_waiting(root: Path, upload_id: str) -> bool:
    """Whether an upload is complete and its row not committed yet."""
    return files.is_folder(root / upload_id)


def id_of(relative: Path) -> str | None:
    """Return the upload that a picture's path below the hot folder belongs to; else None."""
    first, *others = relative.parts
    return first if len(others) == 1 and ID.fullmatch(first) else None


def read_note(root: Path, upload_id: str) -> Json | None:
    """Return an upload's note; None if there is none, `ValueError` if it cannot be understood."""
    return read_json(root / upload_id / NOTE)


def read_json(path: Path) -> Json | None:
    """Return a small file of JSON; None if it is gone, `ValueError` for anything else."""
    try:
        descriptor = files.open_if_regular(path)
    except UntrustedPath:
        raise
    except OSError as error:
        if error.errno in files.NO_SUCH_NAME:
            return None
        raise
    if descriptor is None:
        raise ValueError("no regular file")
    with os.fdopen(descriptor, "rb") as stream:
        text = stream.read(NOTE_BYTES + 1)
    if len(text) > NOTE_BYTES:
        raise ValueError(f"longer than {NOTE_BYTES} bytes")
    try:
        note = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(note, dict):
        raise ValueError("no JSON object")
    return note


def remove(root: Path, upload_id: str) -> None:
    """Remove the folder of an upload whose picture is taken; a picture in it stays."""
    files.remove(root / upload_id / NOTE)
    files.remove_if_empty(root / upload_id)


def has_picture(root: Path, upload_id: str) -> bool:
    """Whether something besides the note lies in an upload's folder."""
    return any(one.path.name != NOTE for one in tree.listing(root / upload_id))


# --- orders ------------------------------------------------------------------------------------


def order_file(root: Path, name: str) -> Path:
    """Return where an order of this name waits."""
    return root / ORDERS / f"{name}.json"


def give_order(root: Path, name: str, order: Json) -> None:
    """Write an order, durably; one of the same name is replaced.

    Another thread may write the same order now, so each has a part of its own.
    """
    make_folder(root / ORDERS)
    part = root / ORDERS / f".{name}-{secrets.token_hex(4)}.part"
    with create(part) as stream:
        stream.write(json.dumps(order).encode())
        stream.flush()
        os.fsync(stream.fileno())
    with safe_open.parent(part) as folder:
        os.rename(part.name, order_file(root, name).name, src_dir_fd=folder, dst_dir_fd=folder)
        safe_open.sync(folder)


def orders(root: Path) -> Iterator[Path]:
    """Yield the files of all orders, by name; also what is no order."""
    for entry in tree.listing(root / ORDERS):
        if not entry.path.name.startswith(".") and not entry.is_folder:
            yield entry.path


# --- masks that a person has painted -------------------------------------------------------------


class StagedMask:
    """One mask that is being received; it gets the name of its SHA-256."""

    def __init__(self, root: Path, upload_id: str) -> None:
        """`OSError` if its file cannot be made."""
        self.folder = root / MASKS
        make_folder(self.folder)
        self.part = self.folder / f".{upload_id}.part"
        files.remove(self.part)
        self.file = create(self.part)
        self.digest = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        self.file.write(chunk)
        self.digest.update(chunk)

    def publish(self) -> str:
        """Make it durable under its name, and return that; the same mask may be there already."""
        close_durably(self.file)
        name = self.digest.hexdigest()
        with safe_open.folder(self.folder) as folder:
            os.rename(self.part.name, f"{name}.png", src_dir_fd=folder, dst_dir_fd=folder)
            safe_open.sync(folder)
        return name

    def discard(self) -> None:
        """Leave no trace of it, unless it is published."""
        with suppress(OSError):
            self.file.close()
        files.remove(self.part)


def mask_place(root: Path, sha256: str) -> Path:
    """Return where a mask is."""
    return root / MASKS / f"{sha256}.png"


def old_masks(root: Path, before: float) -> Iterator[Path]:
    """Yield masks, and parts of them, that were written before a moment (UTC seconds)."""
    for entry in tree.listing(root / MASKS):
        identity = files.identity(entry.path)
        if identity is not None and identity.mtime_ns < before * 1e9:
            yield entry.path
