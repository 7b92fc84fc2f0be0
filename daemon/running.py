"""The commands that cut pictures out: load, lock, assemble, run."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from daemon import config as configuration
from daemon import files, notify, scan
from daemon import folders as hot_folders
from daemon.assembly import (
    Supervision,
    answering_monitors,
    assemble,
    assemble_batch,
    open_local,
)
from daemon.config import Config, Folder
from daemon.errors import InstallError
from daemon.hooks.register import Register
from daemon.jobs import HotFolder
from daemon.messages import Reload, Stop
from daemon.rereading import Rereading
from daemon.results import Results
from daemon.service import Clocks, Inbox, Service
from daemon.workplace import Workplace, locked, workplace

logger = logging.getLogger(__name__)

StartLogging = Callable[[str, str], None]
OnSignal = Callable[..., None]  # of `cli.on_signal`
BATCH_STATE = ".cvunetd"


def stoppable(on_signal: OnSignal) -> Inbox:
    """An inbox into which signals put their message."""
    inbox = Inbox()
    on_signal(lambda number: inbox.put(Stop(number)))
    return inbox


def prepare(
    config_path: Path | None, start_logging: StartLogging
) -> tuple[Config, Path, Workplace]:
    """Configuration, its folder, and the folders it names, all checked."""
    config, base = configuration.load(config_path)
    start_logging(config.log.level, config.log.format)
    return config, base, workplace(config, base)


def serve(config_path: Path | None, *, start_logging: StartLogging, on_signal: OnSignal) -> int:
    """`cvunetd run`."""
    config, base, place = prepare(config_path, start_logging)
    inbox = Inbox()
    on_signal(lambda number: inbox.put(Stop(number)), lambda: inbox.put(Reload()))
    supervision = supervised(Rereading(config_path, config, os.environ), hearkening(config, base))
    bulletin = supervision.bulletin
    with locked(place) as place, answering_monitors(config, base, place, bulletin):
        engine = open_local(config, base, on_step=supervision.notifier.loading)
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


def hearkening(config: Config, base: Path) -> Supervision:
    """Hooks alone; `InstallError` for one that cannot work."""
    register = Register(base, os.environ)
    return Supervision(
        subscriptions=register.subscriptions(config.hooks), open_sender=register.open_sender
    )


def supervised(rereading: Rereading, others: Supervision) -> Supervision:
    """systemd, too, if it has started us."""
    send, is_expected = notify.find_send(), "NOTIFY_SOCKET" in os.environ
    return replace(
        others,
        notifier=notify.Notifier(send, is_expected=is_expected),
        watchdog_s=notify.watchdog_s(os.environ),
        reread=rereading.read,
    )


def once(config_path: Path | None, *, start_logging: StartLogging, on_signal: OnSignal) -> int:
    """`cvunetd once`; how many pictures failed or could not be done."""
    config, base, place = prepare(config_path, start_logging)
    inbox = stoppable(on_signal)
    supervision = hearkening(config, base)
    with locked(place) as place:
        engine = open_local(config, base)
        service = assemble(
            config,
            place,
            engine,
            inbox=inbox,
            clocks=Clocks(),
            is_watching=False,
            supervision=supervision,
        )
        service.run_once(is_patient=False)
    return service.undone()


def batch_folder(config: Config, base: Path, source: Path, out: Path) -> HotFolder:
    """IN as a hot folder whose originals stay and whose files are whole already."""
    source, out = source.resolve(), out.resolve()
    if source == out:
        raise InstallError(f"IN and OUT are both {out}: results would be taken for pictures")
    settings = Folder(path=source, name="batch", watch="polling", originals="keep")
    folder = hot_folders.hot_folder(config, base, settings)
    return replace(folder, settle_s=0.0, defer_s=0.0, output_root=out, skipped=frozenset({out}))


def batch(
    source: Path,
    out: Path,
    config_path: Path | None,
    *,
    start_logging: StartLogging,
    on_signal: OnSignal,
) -> int:
    """`cvunetd batch`; how many pictures failed or could not be done."""
    config, base = configuration.load(config_path)
    start_logging("warning", config.log.format)
    folder = batch_folder(config, base, source, out)
    state = folder.output_root / BATCH_STATE
    place = Workplace([folder], state=state, quarantine=state / "failed")
    inbox = stoppable(on_signal)
    with locked(place) as place:
        engine = open_local(config, base)
        service = assemble_batch(
            config, place, folder.output_root, engine, inbox=inbox, clocks=Clocks()
        )
        forget_changed(service)
        with_progress(service, folder)
    for reason in service.shelf.standby.reasons.values():
        logger.error("stopped: %s; mend that, then start again", reason)
    return service.undone()


def forget_changed(service: Service) -> None:
    """Let a new run try again what failed, and make again what somebody has deleted, even in part.

    What is left of a result goes first, so that the new one gets its names; what somebody has
    changed stays.
    """
    shelf = service.shelf
    results = Results(shelf)
    for drop in shelf.records.open_drops():
        for ending in shelf.records.endings(drop):
            job = ending.job
            if job.reason or not all(files.exists(target) for _, target in job.outputs):
                results.discard(job)
                shelf.ledger.forget(job)


def with_progress(service: Service, folder: HotFolder) -> None:
    """Run a batch under a progress bar with rate and time left."""
    total = sum(1 for _ in scan.pictures(folder.path, recursive=True, skipped=folder.skipped))
    ready = service.shelf.records.counts().get(folder.name, {}).get("done", 0)
    with tqdm(total=total, initial=min(ready, total), unit="picture") as bar:

        def show() -> None:
            bar.set_postfix(service.parts.engine.inside, refresh=False)
            bar.update()

        service.on_done = show
        service.run_once(is_patient=True)
