"""Puts a service together: the only place that names concrete classes."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon import folders as hot_folders
from daemon import ledger as ledgers
from daemon import lock as locks
from daemon import notify, store
from daemon.addresses import Address, SocketFile
from daemon.bulletin import Bulletin
from daemon.calendar import Calendar
from daemon.config import Config
from daemon.delivery import Delivery
from daemon.dispatcher import Dispatcher
from daemon.drops import Drops, FixedDrop, TimedDrops
from daemon.endpoint import Endpoint
from daemon.engines import Engine
from daemon.engines.local import EngineSettings, open_engine
from daemon.errors import InstallError, MachineError, describe, is_passing
from daemon.hearing import Hearing
from daemon.intake import Intake, Shelf
from daemon.jobqueue import JobQueue
from daemon.jobs import HotFolder
from daemon.kept import histories
from daemon.ledger import Ledger
from daemon.lock import Lock
from daemon.records import Records
from daemon.recovery import Recovery
from daemon.report import Report
from daemon.retention import Retention
from daemon.service import Clocks, Inbox, Parts, Service
from daemon.standby import Standby
from daemon.suspension import Suspension
from daemon.watch import Watcher

MEGA = 1_000_000


def engine_settings(config: Config, base: Path) -> EngineSettings:
    """The engine's share of the configuration."""
    return EngineSettings(
        weights=hot_folders.find_weights(config, base),
        devices=config.model.devices,
        precision=config.model.precision,
        input_size=config.model.input_size,
        is_mirrored=config.model.mirror,
        max_batch=config.worker.max_batch,
        max_wait_s=config.worker.max_wait_ms / 1000,
        backgrounds=hot_folders.backgrounds(config, base),
        colours=config.postprocess.needed_colours,
    )


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folders that one daemon owns."""

    folders: list[HotFolder]
    state: Path
    quarantine: Path
    locks: Mapping[str, Lock] = field(default_factory=dict)
    """Of hot folders that we own, by their names."""


def workplace(config: Config, base: Path) -> Workplace:
    """What the configuration says, checked; `InstallError` has a line for each fault."""
    return Workplace(
        folders=hot_folders.hot_folders(config, base),
        state=hot_folders.resolve(base, config.state_dir),
        quarantine=hot_folders.resolve(base, config.quarantine_dir),
    )


@contextmanager
def locked(place: Workplace) -> Iterator[Workplace]:
    """Own the state folder and every hot folder that we may write to."""
    state, hot = lock_all(place)
    yield replace(place, locks=hot)
    for lock in (state, *hot.values()):
        lock.release()


def lock_all(place: Workplace) -> tuple[Lock, dict[str, Lock]]:
    """Take the locks of state and hot folders; `InstallError` names one that another holds."""
    state = Lock(place.state / locks.FILE)
    hot = {
        folder.name: Lock(folder.path / store.CLAIMS / locks.FILE)
        for folder in place.folders
        if folder.originals != "keep"
    }
    try:
        state.take(f"state folder {place.state}")
        for folder in place.folders:
            if folder.name in hot:
                hot[folder.name].take(f"hot folder {folder.path}")
    except OSError as error:
        if is_passing(error):  # systemd shall try again
            raise MachineError(f"no lock can be taken: {describe(error)}") from error
        raise InstallError(f"{error.filename} cannot be written: {error.strerror}") from error
    return state, hot


@contextmanager
def answering_monitors(
    config: Config, base: Path, place: Workplace, bulletin: Bulletin
) -> Iterator[None]:
    """Tell monitors what stands on the bulletin, if the configuration says where."""
    address = config.metrics.address
    if address is None:
        yield
        return
    try:
        from daemon import metrics
    except ImportError as error:
        raise InstallError(
            f"metrics.listen is set, but {error.name} is missing:"
            " pip install 'cvunet-daemon[metrics]', or set metrics.listen: null"
        ) from error
    places = {"state": place.state, "quarantine": place.quarantine}
    pages = metrics.pages(bulletin, places=places)
    endpoint = Endpoint(resolved(address, base), pages)
    endpoint.start()
    try:
        yield
    finally:
        endpoint.stop()


def resolved(address: Address, base: Path) -> Address:
    """A socket's path starts where all paths of the configuration do."""
    if isinstance(address, SocketFile):
        return SocketFile(hot_folders.resolve(base, address.path))
    return address


def assemble(
    config: Config,
    place: Workplace,
    engine: Engine,
    *,
    inbox: Inbox,
    clocks: Clocks,
    is_watching: bool,
    bulletin: Bulletin | None = None,
) -> Service:
    """A service on hot folders, with time-stamped drops and retention."""
    ledger = Ledger(place.state / ledgers.FILE)
    records = Records(ledger)
    by_name = {folder.name: folder for folder in place.folders}
    drops = TimedDrops(by_name, ledger=ledger, records=records, local_time=clocks.local)
    calendar = Calendar(place.state)
    retention = Retention(
        place.folders,
        rejected=place.quarantine,
        keep_days=config.retention.keep_days,
        sweep_s=config.retention.sweep_s,
        histories=histories(ledger, by_name),
        is_believed=calendar.is_believed,
    )
    return build(
        config,
        place,
        engine,
        ledger=ledger,
        drops=drops,
        retention=retention,
        inbox=inbox,
        clocks=clocks,
        is_watching=is_watching,
        bulletin=bulletin,
    )


def assemble_batch(
    config: Config, place: Workplace, out: Path, engine: Engine, *, inbox: Inbox, clocks: Clocks
) -> Service:
    """A service that fills one folder from another and keeps all originals."""
    ledger = Ledger(place.state / ledgers.FILE)
    records = Records(ledger)
    drops = FixedDrop(out, ledger=ledger, records=records, now=clocks.now())
    return build(
        config,
        place,
        engine,
        ledger=ledger,
        drops=drops,
        retention=None,
        inbox=inbox,
        clocks=clocks,
        is_watching=False,
    )


def build(  # noqa: PLR0913  # this is where everything comes together
    config: Config,
    place: Workplace,
    engine: Engine,
    *,
    ledger: Ledger,
    drops: Drops,
    retention: Retention | None,
    inbox: Inbox,
    clocks: Clocks,
    is_watching: bool,
    bulletin: Bulletin | None = None,
) -> Service:
    """Wire the parts."""
    shelf = build_shelf(config, place, ledger=ledger, drops=drops, clocks=clocks)
    intake = Intake(shelf)
    delivery = Delivery(shelf, place.quarantine)
    recovery = Recovery(shelf, intake, delivery)
    max_pixels = int(config.worker.max_megapixels * MEGA)
    dispatcher = Dispatcher(shelf, engine, put=inbox.put, max_pixels=max_pixels)
    notifier = notify.Notifier(
        notify.find_send(), is_expected=is_watching and "NOTIFY_SOCKET" in os.environ
    )
    parts = Parts(
        shelf=shelf,
        intake=intake,
        delivery=delivery,
        recovery=recovery,
        dispatcher=dispatcher,
        suspension=Suspension(shelf, delivery=delivery, dispatcher=dispatcher, recovery=recovery),
        engine=engine,
        retention=retention,
        hearing=Hearing(Watcher(inbox.put) if is_watching else None),
        notifier=notifier,
        report=Report(place.state, notifier, post=(bulletin or Bulletin()).post),
    )
    return Service(parts, inbox, clocks=clocks)


def build_shelf(
    config: Config, place: Workplace, *, ledger: Ledger, drops: Drops, clocks: Clocks
) -> Shelf:
    """What intake, delivery and recovery share."""
    return Shelf(
        folders={folder.name: folder for folder in place.folders},
        ledger=ledger,
        records=Records(ledger),
        queue=JobQueue(config.worker.queue_size),
        drops=drops,
        local_time=clocks.local,
        standby=Standby(
            min_free_mb=config.retention.min_free_mb,
            state=place.state,
            quarantine=place.quarantine,
            check_ledger=ledger.check_writable,
            locks=place.locks,
        ),
    )


def open_local(config: Config, base: Path) -> Engine:
    """The engine in this process, warm."""
    return open_engine(engine_settings(config, base))
