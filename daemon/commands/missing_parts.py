"""`cvunetd run --make-missing`: makes what the configuration names and what is not there yet.

For containers and packages, whose first start finds an empty folder.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config.schema import Config
from daemon.disk import files, moves
from daemon.errors import InstallError, describe, explain

logger = logging.getLogger(__name__)

#: Whose key the first one is, in the log of the page.
FIRST_CLIENT = "first"


def make(config: Config, base: Path) -> None:
    """Make missing folders, and `web.keys_file` with one key, which is logged this once.

    `InstallError` has a line for each folder that cannot be made or written.
    """
    faults = [fault for path in folders(config, base) if (fault := make_folder(path))]
    if faults:
        raise InstallError("\n".join(faults))
    if config.web.listen is not None and config.web.keys_file is not None:
        make_key(hot_folders.resolve(base, config.web.keys_file))


def folders(config: Config, base: Path) -> Iterator[Path]:
    """Yield every folder that the daemon writes to, each once."""
    found = [hot_folders.resolve(base, path) for path in (config.state_dir, config.quarantine_dir)]
    for folder in hot_folders.all_folders(config, base):
        found.append(folder.output_root)
        if folder.originals != "keep":
            found.append(folder.path)
    yield from dict.fromkeys(found)


def make_folder(path: Path) -> str:
    """Make a folder if it is missing; return what is wrong with it, empty if nothing is."""
    try:
        files.make_folders(path)
    except OSError as error:
        return f"folder {path} cannot be made ({explain(error)}): {advice(path)}"
    if os.access(path, os.R_OK | os.W_OK | os.X_OK) or is_read_only(path):
        return ""  # a read-only folder has a message of its own
    return f"folder {path} may not be written by this user: {advice(path)}"


def is_read_only(path: Path) -> bool:
    """Whether a folder was mounted read-only."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def advice(path: Path) -> str:
    """Return what to do about a folder that this user may not write."""
    while not os.path.exists(path):  # noqa: PTH110  # False for what lies in a closed folder, too
        path = path.parent
    if not os.path.isdir(path):  # noqa: PTH112  # as above
        return f"{path} is a file: move it away, or name another folder"
    status = path.stat()
    ours, theirs = f"{os.getuid()}:{os.getgid()}", f"{status.st_uid}:{status.st_gid}"
    if is_read_only(path):
        return f"{path} is read-only: mount a folder there that may be written, without :ro"
    if status.st_uid == os.getuid():
        return f"correct the mode of {path}; on SELinux, mount it with :Z"
    return (
        f"{path} belongs to {theirs}, and cvunetd runs as {ours}: run it as {theirs}"
        f" (container: --user {theirs}), or give the folder away: chown -R {ours} FOLDER"
    )


def make_key(path: Path) -> None:
    """Make the file of keys with a first key if it is missing; only its hash is kept."""
    if files.exists(path):
        return
    from daemon.web import keys  # its libraries are optional

    key = keys.new_key()
    try:
        files.make_folders(path.parent)
        moves.write_new(path, f"{keys.line_of(FIRST_CLIENT, key)}\n".encode("ascii"))
    except OSError as error:
        raise InstallError(f"{path} cannot be made ({describe(error)}): web.keys_file") from error
    logger.warning("the key for the page and the API, shown only now: %s", key)
