"""What several commands start with: configuration, folders, signals, hooks."""

import os
from collections.abc import Callable
from pathlib import Path

from daemon.config import schema as configuration
from daemon.config.schema import Config
from daemon.hooks.loader import HookLoader
from daemon.messages import Stop
from daemon.service.owned_folders import OwnedFolders, owned_folders
from daemon.service.service import Inbox
from daemon.service.supervision import Supervision

StartLogging = Callable[[str, str], None]
OnSignal = Callable[..., None]  # of `cli.on_signal`


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


def with_hooks(config: Config, base: Path) -> Supervision:
    """Return a supervision with only hooks; `InstallError` for one that cannot work."""
    loader = HookLoader(base, os.environ)
    return Supervision(
        subscriptions=loader.subscriptions(config.hooks), open_sender=loader.open_sender
    )
