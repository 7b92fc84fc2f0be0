"""`cvunetd web`: the page and the API in a process of their own, beside a daemon."""

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import collector
from daemon.config import addresses, web_schema
from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.config.addresses import Address
from daemon.config.schema import Config
from daemon.errors import InstallError, UsageError
from daemon.reporting import notify
from daemon.service.web_pages import check_extra, web_server

if TYPE_CHECKING:  # at run time that module would load torch
    from daemon.commands.startup import OnSignal, StartLogging


def serve(
    config_path: Path | None,
    listen: str | None,
    *,
    start_logging: "StartLogging",
    on_signal: "OnSignal",
) -> int:
    """Serve until told to stop; 0 then."""
    config, base = configuration.load(config_path)
    start_logging(config.log.level, config.log.format)
    address = find_address(config, listen)
    check_extra()
    from daemon.web.site import nobody
    from daemon.web.sources import OtherProcess

    stopped = threading.Event()
    on_signal(lambda number: stopped.set())
    state = hot_folders.resolve(base, config.state_dir)
    server = web_server(
        config,
        base,
        address,
        OtherProcess(state),
        hint=nobody,
        environment=os.environ,
        config_path=config_path,
    )
    server.start()
    collector.settle()
    notifier = notify.Notifier(notify.find_send(), is_expected=False)
    notifier.ready()
    try:
        while not stopped.wait(1.0) and server.thread.is_alive():
            pass
    finally:
        notifier.stopping()
        server.stop()
    return 0 if stopped.is_set() else 70


def find_address(config: Config, listen: str | None) -> Address:
    """Return where to listen: as the command says, else as the configuration does."""
    if config.web.folder is None:
        raise InstallError("web.folder is not set: name a folder for uploads")
    if listen is None:
        if config.web.address is None:
            raise UsageError("say where to listen: --listen 127.0.0.1:8080, or set web.listen")
        return config.web.address
    try:
        address = addresses.parse_any(listen)
        web_schema.check_keys(address, has_keys=config.web.has_keys)
    except ValueError as error:
        raise UsageError(f"--listen: {error}") from error
    return address


def new_key(name: str) -> list[str]:
    """Return a new key and the line of `web.keys_file` for it."""
    from daemon.web import keys

    key = keys.new_key()
    try:
        line = keys.line_of(name, key)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return [f"key, for the client, shown only now: {key}", f"line for web.keys_file: {line}"]
