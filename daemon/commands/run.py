"""`cvunetd run`: watches the hot folders and serves until SIGTERM."""

import os
import sys
from dataclasses import replace
from pathlib import Path

from daemon.commands.config_reader import ConfigReader
from daemon.commands.startup import OnSignal, StartLogging, prepare, with_hooks
from daemon.messages import Reload, Stop
from daemon.reporting import notify
from daemon.service.assembly import assemble
from daemon.service.configured_engine import open_configured
from daemon.service.monitors import serving_monitors
from daemon.service.owned_folders import locked
from daemon.service.service import Clocks, Inbox
from daemon.service.supervision import Supervision
from daemon.service.web_pages import serving_page


def serve(
    config_path: Path | None,
    *,
    start_logging: StartLogging,
    on_signal: OnSignal,
    makes_missing: bool = False,
) -> int:
    """Run the service; 0 when it has stopped as asked."""
    config, base, place = prepare(config_path, start_logging, makes_missing=makes_missing)
    inbox = Inbox()
    on_signal(lambda number: inbox.put(Stop(number)), lambda: inbox.put(Reload()))
    supervision = with_systemd(
        ConfigReader(config_path, config, os.environ), with_hooks(config, base)
    )
    latest_snapshot = supervision.latest_snapshot
    with (
        locked(place) as place,
        serving_monitors(config, base, place, latest_snapshot),
        serving_page(
            config,
            base,
            latest_snapshot,
            inbox.put,
            environment=os.environ,
            config_path=config_path,
        ),
    ):
        engine = open_configured(config, base, place.folders, on_step=supervision.notifier.loading)
        service = assemble(
            config,
            place,
            engine,
            inbox=inbox,
            clocks=Clocks(),
            is_watching=True,
            supervision=supervision,
        )
        service.run()
    return 0


def with_systemd(reader: ConfigReader, others: Supervision) -> Supervision:
    """Add systemd to the supervision, if it has started us."""
    send, is_expected = notify.find_send(), "NOTIFY_SOCKET" in os.environ
    return replace(
        others,
        notifier=notify.Notifier(send, is_expected=is_expected),
        watchdog_s=notify.watchdog_s(os.environ),
        reread=reader.read,
        # systemd's journal is no place for it, and a pipe has no keys.
        stop_hint="; stop with Ctrl-C" if sys.stdin is not None and sys.stdin.isatty() else "",
    )
