"""What several commands start with: configuration, folders, signals, hooks."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from daemon.config import schema as configuration
from daemon.config.schema import Config
from daemon.disk import store
from daemon.hooks.loader import HookLoader
from daemon.jobs import HotFolder, State
from daemon.ledger import ledger as ledgers
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.messages import Stop
from daemon.service.local_engine import open_local
from daemon.service.owned_folders import OwnedFolders, owned_folders
from daemon.service.service import Inbox
from daemon.service.supervision import Supervision
from daemon.watching import scan
from daemon.watching.ignored_names import SkippedFolders, why_left
from daemon.worker.engines import Engine
from daemon.worker.engines.lazy import LazyEngine

StartLogging = Callable[[str, str], None]
OnSignal = Callable[..., None]  # of `signals.on_signal`


def signal_inbox(on_signal: OnSignal) -> Inbox:
    """Return an inbox into which signals put their message."""
    inbox = Inbox()
    on_signal(lambda number: inbox.put(Stop(number)))
    return inbox


def prepare(
    config_path: Path | None, start_logging: StartLogging
) -> tuple[Config, Path, OwnedFolders]:
    """Return the configuration, its folder, and the folders it names, all checked."""
    config, base = configuration.load(config_path)
    start_logging(config.log.level, config.log.format)
    return config, base, owned_folders(config, base)


def open_if_needed(place: OwnedFolders, config: Config, base: Path) -> Engine:
    """Return the engine; without pictures it loads the model only if some come meanwhile."""
    if has_work(place):
        return open_local(config, base)
    return LazyEngine(lambda: open_local(config, base))


def has_work(place: OwnedFolders) -> bool:
    """Whether there is something to cut out: in a hot folder, claimed, or in the ledger."""
    path = place.state / ledgers.FILE
    if path.exists():
        with closing(Ledger(path)) as ledger:
            records = Records(ledger)
            if records.in_state(State.QUEUED) or records.in_state(State.RUNNING):
                return True
    return any(map(has_pictures, place.folders))


def has_pictures(folder: HotFolder) -> bool:
    """Whether a hot folder holds what may be a picture; one that cannot be read may."""
    try:
        found = scan.pictures(
            folder.path, recursive=folder.recursive, skipped=SkippedFolders(folder)
        )
        is_any = any(not why_left(path, folder) for path in found)
        return is_any or next(store.claims(folder.path), None) is not None
    except OSError:
        return True


def with_hooks(config: Config, base: Path) -> Supervision:
    """Return a supervision with only hooks; `InstallError` for one that cannot work."""
    loader = HookLoader(base, os.environ)
    return Supervision(
        subscriptions=loader.subscriptions(config.hooks), open_sender=loader.open_sender
    )
