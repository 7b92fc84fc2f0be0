"""Tar shards read as they lie: an index of members, bytes by offset."""

import hashlib
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cvunet.errors import TrainingError

Pixels = NDArray[np.uint8]


class BadMember(TrainingError):
    """A member of a shard that cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Member:
    """Where one file lies inside a shard."""

    shard: Path
    name: str
    offset: int
    size: int


def find(folder: Path, prefix: str) -> list[Path]:
    """The shards of a set in order; `TrainingError` if there is none."""
    shards = sorted(folder.glob(f"{prefix}-*.tar"))
    if not shards:
        raise TrainingError(f"{folder}: no shard {prefix}-*.tar; point DATA= at the training data")
    return shards


def index(shards: list[Path]) -> dict[str, Member]:
    """Every file of the shards by name; a shard cut short is a `TrainingError` that names it."""
    members: dict[str, Member] = {}
    for shard in shards:
        try:
            with tarfile.open(shard) as archive:
                for info in archive:
                    if info.isfile():
                        members[info.name] = Member(shard, info.name, info.offset_data, info.size)
        except (tarfile.TarError, OSError) as error:
            raise TrainingError(f"{shard}: cannot be read ({error}); fetch it again") from error
    return members


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def decode(member: Member, *, flags: int) -> Pixels:
    """The member's pixels as OpenCV gives them; `BadMember` names one that cannot be decoded."""
    with member.shard.open("rb") as stream:
        data = os.pread(stream.fileno(), member.size, member.offset)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if pixels is None:
        raise BadMember(f"{member.shard}: {member.name} cannot be decoded")
    return pixels.astype(np.uint8, copy=False)


def decode_rgb(member: Member) -> Pixels:
    """HWx3 RGB."""
    return np.ascontiguousarray(decode(member, flags=cv2.IMREAD_COLOR)[..., ::-1])


def decode_grey(member: Member) -> Pixels:
    """HxW grey."""
    return decode(member, flags=cv2.IMREAD_GRAYSCALE)


def decode_rgba(member: Member) -> Pixels:
    """HWx4 RGBA with straight colours; `BadMember` if the picture has no alpha."""
    pixels = decode(member, flags=cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        raise BadMember(f"{member.shard}: {member.name} has no alpha channel")
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3]])
