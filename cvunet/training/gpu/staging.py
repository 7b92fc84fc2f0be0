"""Shards cut into pieces, for machines that take only so much at a time, and joined there.

`python -m cvunet.training.gpu.staging cut DATA FOLDER` here, `... join PIECES FOLDER` there.
Imports no torch, so that what is missing is known within a second.
"""

import argparse
import hashlib
import logging
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cvunet import yaml_files
from cvunet.errors import CvunetError, TrainingError

logger = logging.getLogger(__name__)

LIST = "pieces.yaml"
PIECE_MB = 38.0
"""A call carries 64 MiB at most, with the source tree in it."""
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Whole:
    """A file as it shall be."""

    name: str
    bytes: int
    sha256: str


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def piece_name(name: str, first: int) -> str:
    """Return the name of the part of a file that begins at this byte."""
    return f"{name.replace('/', '__')}.from-{first:012}"


def cut(data: Path, folder: Path, *, most_bytes: int, also: list[Path]) -> list[Path]:
    """Cut the training shards into sub-folders `1`, `2` …, each below ``most_bytes``.

    Each holds the list of all files. ``also`` are further files, such as weights to start from;
    one that lies in ``data`` keeps its place there, another one lies beside the shards.
    `TrainingError` if there is no shard, or the folder is in use.
    """
    if folder.exists() and any(folder.iterdir()):
        raise TrainingError(f"{folder}: is not empty; name another folder, or delete it")
    shards = sorted(data.glob("*-train-*.tar"))
    if not shards:
        raise TrainingError(f"{data}: no shard *-train-*.tar")
    named = {path.name: path for path in shards}
    for path in also:
        name = path.relative_to(data).as_posix() if path.is_relative_to(data) else path.name
        named[name] = path
    listed = [{"name": n, "bytes": p.stat().st_size, "sha256": digest(p)} for n, p in named.items()]
    made: list[Path] = []
    room = 0
    for name, path in named.items():
        first = 0
        while first < path.stat().st_size:
            if room <= 0:
                made.append(folder / str(len(made) + 1))
                made[-1].mkdir(parents=True)
                yaml_files.write(made[-1] / LIST, {"files": listed})
                room = most_bytes - (made[-1] / LIST).stat().st_size
            with path.open("rb") as stream:
                stream.seek(first)
                part = stream.read(room)
            (made[-1] / piece_name(name, first)).write_bytes(part)
            first, room = first + len(part), room - len(part)
    return made


def wanted(folder: Path) -> list[Whole]:
    """The files that the list in a folder names; none without a list."""
    if not (folder / LIST).exists():
        return []
    content = yaml_files.read(folder / LIST)
    return [yaml_files.build(Whole, entry, str(folder / LIST)) for entry in content["files"]]


def take(pieces: Path, folder: Path) -> None:
    """Move pieces into the lasting folder and join what is complete.

    `TrainingError` if the list differs from that of earlier pieces.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before, now = wanted(folder), wanted(pieces)
    if before and now and before != now:
        raise TrainingError(f"{pieces}: was cut from other files than what waits in {folder}")
    for path in sorted(pieces.iterdir()):
        # The two may lie on two file systems; a piece appears whole.
        part = folder / f".{path.name}.part"
        shutil.copyfile(path, part)
        part.replace(folder / path.name)
        path.unlink()
    for whole in wanted(folder):
        if (folder / whole.name).exists():
            continue
        if sum(path.stat().st_size for path in parts(folder, whole)) == whole.bytes:
            join(folder, whole)


def parts(folder: Path, whole: Whole) -> list[Path]:
    """The pieces of a file that are there, in order."""
    return sorted(folder.glob(piece_name(whole.name, 0).removesuffix("0" * 12) + "*"))


def join(folder: Path, whole: Whole) -> None:
    """Make a file of its pieces; bad ones are deleted with an error, so that they are missing."""
    target = folder / whole.name
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    found = parts(folder, whole)
    with part.open("wb") as stream:
        for piece in found:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, stream, CHUNK_BYTES)
    if digest(part) == whole.sha256:
        part.replace(target)
    else:
        logger.error("%s: its pieces are damaged: bring them again", whole.name)
        part.unlink()
    for piece in found:
        piece.unlink()


def missing(folder: Path) -> Iterator[str]:
    """For each file that is not there, a line for people."""
    for whole in wanted(folder):
        path = folder / whole.name
        if path.exists() and path.stat().st_size == whole.bytes:
            continue
        here = sum(piece.stat().st_size for piece in parts(folder, whole))
        yield f"{whole.name}: {here / 1e6:.1f} of {whole.bytes / 1e6:.1f} MB are here"


def check(folder: Path) -> None:
    """`TrainingError` that names all files which the folder's list has and the folder has not."""
    if not folder.is_dir():
        raise TrainingError(f"{folder}: there is no such folder; stage the shards first")
    if lines := list(missing(folder)):
        raise TrainingError(f"{folder} is not complete: {'; '.join(lines)}; --anyway does without")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Turn the command line into settings."""
    parser = argparse.ArgumentParser(prog="python -m cvunet.training.gpu.staging")
    commands = parser.add_subparsers(dest="command", required=True)
    cutting = commands.add_parser("cut", help="cut the training shards of DATA into pieces")
    cutting.add_argument("data", type=Path)
    cutting.add_argument("folder", type=Path)
    cutting.add_argument("--mb", type=float, default=PIECE_MB, help="in one sub-folder")
    cutting.add_argument("--also", type=Path, action="append", default=[], metavar="FILE")
    joining = commands.add_parser("join", help="move PIECES into FOLDER, tell what is missing")
    joining.add_argument("pieces", type=Path)
    joining.add_argument("folder", type=Path)
    asking = commands.add_parser("check", help="tell what is missing in FOLDER")
    asking.add_argument("folder", type=Path)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Exit status: 0 done and complete (`join`: or not yet complete), 1 could not."""
    options = parse(arguments)
    try:
        if options.command == "cut":
            most = int(options.mb * 1e6)
            for folder in cut(options.data, options.folder, most_bytes=most, also=options.also):
                size = sum(path.stat().st_size for path in folder.iterdir())
                logger.info("%s: %.1f MB", folder, size / 1e6)
        elif options.command == "join":
            take(options.pieces, options.folder)
            lines = list(missing(options.folder))
            for line in lines:
                logger.info("missing: %s", line)
            logger.info("%s", "not complete yet" if lines else f"{options.folder} is complete")
        else:
            check(options.folder)
    except (CvunetError, OSError) as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s staging: %(message)s")
    sys.exit(main(sys.argv[1:]))
