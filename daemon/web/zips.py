"""Zips that are made while they are sent: a chunk of one file is in memory, never more."""

import io
import os
import zipfile
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from daemon.disk import files, store
from daemon.errors import UntrustedPath
from daemon.portable_names import folded, portable
from daemon.web import limits, redacted_manifests
from daemon.web.site import Site

Member = tuple[Path, str]
"""A file, and its name in the zip."""


class Outlet(io.RawIOBase):
    """A file for `zipfile` that keeps what is written until it is taken."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        """Yes; it cannot be sought in, so that sizes follow the files."""
        return True

    def write(self, data: Any) -> int:  # Any: whatever has a buffer
        """Keep it."""
        self.written += data
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = bytes(self.written)
        self.written.clear()
        return taken


def zip_of(members: Iterable[Member], redact: Callable[[str], str]) -> Generator[bytes, None, None]:
    """Yield a zip piece by piece; files that were deleted meanwhile are left out.

    Pictures are compressed already, so they are only stored. ``redact``: hides what clients need
    not know of this machine.
    """
    outlet = Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:
        for path, name in members:
            stream = open_member(path, redact)
            if stream is None:
                continue
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o640 << 16
            with stream, archive.open(info, "w", force_zip64=True) as member:
                while chunk := stream.read(limits.CHUNK_BYTES):
                    member.write(chunk)
                    yield outlet.take()
            yield outlet.take()
    yield outlet.take()


async def send_zip(site: Site, members: Iterable[Member]) -> AsyncIterator[bytes]:
    """Yield the zip of some files, a chunk at a time."""
    steps = zip_of(members, site.redacted)
    try:
        while (piece := await site.run(next, steps, None)) is not None:
            if piece:
                yield piece
    finally:
        await site.run(steps.close)


def open_member(path: Path, redact: Callable[[str], str]) -> BinaryIO | None:
    """Open a regular file; None if it is gone, or something else has its place.

    Of a manifest it is a copy whose texts went through ``redact``.
    """
    try:
        descriptor = files.open_if_regular(path)
    except (FileNotFoundError, NotADirectoryError, UntrustedPath):
        return None
    if descriptor is None:
        return None
    if path.name != store.MANIFEST:
        return os.fdopen(descriptor, "rb")
    content = redacted_manifests.read(os.fdopen(descriptor, "rb"), redact)
    return None if content is None else io.BytesIO(content)


def free_name(place: PurePosixPath, taken: set[str]) -> str:
    """Return a name that every system accepts, and that no other file of the zip has on any.

    A backslash, which Linux allows in a name, leads to another folder on Windows.
    """
    place = PurePosixPath(*map(portable, place.parts))
    name, number = str(place), 1
    while folded(name) in taken:
        number += 1
        name = str(place.with_name(f"{place.stem} ({number}){place.suffix}"))
    taken.add(folded(name))
    return name
