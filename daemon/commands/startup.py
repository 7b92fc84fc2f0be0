"""What several commands start with: configuration, folders, signals, hooks."""

import logging
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from daemon.commands import missing_parts
from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.config import video
from daemon.config.schema import Config
from daemon.disk import files, mounts, store
from daemon.errors import InstallError
from daemon.hooks.loader import HookLoader
from daemon.jobs import HotFolder, State
from daemon.ledger import ledger as ledgers
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle import kept_versions
from daemon.messages import Stop
from daemon.service.configured_engine import open_configured
from daemon.service.owned_folders import OwnedFolders, owned_folders
from daemon.service.service import Inbox
from daemon.service.supervision import Supervision
from daemon.watching import scan
from daemon.watching.ignored_names import SkippedFolders, why_left
from daemon.worker.engines import Engine
from daemon.worker.engines.lazy import LazyEngine

logger = logging.getLogger(__name__)

StartLogging = Callable[[str, str], None]
OnSignal = Callable[..., None]  # of `signals.on_signal`
#: File systems whose server is another machine.
SHARES = ("nfs", "cifs", "smb", "ncpfs", "afs", "coda")


def signal_inbox(on_signal: OnSignal) -> Inbox:
    """Return an inbox into which signals put their message."""
    inbox = Inbox()
    on_signal(lambda number: inbox.put(Stop(number)))
    return inbox


def prepare(
    config_path: Path | None, start_logging: StartLogging, *, makes_missing: bool = False
) -> tuple[Config, Path, OwnedFolders]:
    """Return the configuration, its folder, and the folders it names, all checked."""
    config, base = configuration.load(config_path)
    check_configured(config_path, config, base)
    start_logging(config.log.level, config.log.format)
    if makes_missing:
        missing_parts.make(config, base)
    tell_of_clips(config)
    place = owned_folders(config, base)
    check_state(place.state, mounts.read())
    return config, base, place


def tell_of_clips(config: Config) -> None:
    """Say once if clips are not cut out, and why."""
    if text := video.notice(config):
        logger.info("%s", text)


def check_state(state: Path, table: str) -> None:
    """Raise `InstallError` if the state folder is on a share: the ledger would be destroyed there.

    ``table``: the kernel's table of mounts. `doctor` also names file systems that may work.
    """
    kind = scan.file_system(state, table)
    if kind.startswith(SHARES):
        raise InstallError(
            f"state_dir {state} is on {kind}: SQLite's locks do not work on a network share, and"
            " the ledger would be destroyed. Name a folder on a local disk"
        )


def check_configured(config_path: Path | None, config: Config, base: Path) -> None:
    """Raise `InstallError` if there is neither a configuration nor the default hot folder."""
    if configuration.find(config_path) is not None:
        return
    hot = hot_folders.resolve(base, config.folders[0].path)
    if not hot.exists():
        searched = " and ".join(str(path.absolute()) for path in configuration.SEARCHED)
        raise InstallError(
            f"no configuration at {searched}: `cvunetd init` makes one here, `cvunetd init FOLDER`"
            " elsewhere"
        )


def open_if_needed(place: OwnedFolders, config: Config, base: Path) -> Engine:
    """Return the engine; without pictures it loads the model only if some come meanwhile."""
    if has_work(place):
        return open_configured(config, base, place.folders)
    return LazyEngine(lambda: open_configured(config, base, place.folders))


def has_work(place: OwnedFolders) -> bool:
    """Whether there is something to cut out: in a hot folder, claimed, or in the ledger."""
    path = place.state / ledgers.FILE
    if not path.exists():
        return any(has_pictures(folder, None) for folder in place.folders)
    with closing(Ledger(path)) as ledger:
        records = Records(ledger)
        return has_open_jobs(records) or any(has_pictures(one, records) for one in place.folders)


def has_open_jobs(records: Records) -> bool:
    """Whether an earlier run has left jobs."""
    return bool(records.in_state(State.QUEUED) or records.in_state(State.RUNNING))


def has_pictures(folder: HotFolder, records: Records | None) -> bool:
    """Whether a hot folder holds what may be a new picture; one that cannot be read may.

    Kept originals that the ledger knows are done.
    """
    known = records if folder.originals == "keep" else None
    try:
        found = scan.pictures(
            folder.path, recursive=folder.recursive, skipped=SkippedFolders(folder)
        )
        is_any = any(not why_left(path, folder) and not is_done(path, known) for path in found)
        return is_any or next(store.claims(folder.path), None) is not None
    except OSError:
        return True


def is_done(path: Path, records: Records | None) -> bool:
    """Whether this version of a kept original was taken already."""
    if records is None:
        return False
    identity = files.identity(path)
    return identity is not None and kept_versions.is_taken(records, identity, path)


def with_hooks(config: Config, base: Path) -> Supervision:
    """Return a supervision with only hooks; `InstallError` for one that cannot work."""
    loader = HookLoader(base, os.environ)
    return Supervision(
        subscriptions=loader.subscriptions(config.hooks), open_sender=loader.open_sender
    )
