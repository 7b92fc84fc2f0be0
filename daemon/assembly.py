"""Puts a service together: the only place that names concrete classes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon import folders as hot_folders
from daemon import ledger as ledgers
from daemon import lock as locks
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
from daemon.errors import InstallError
from daemon.hearing import Hearing
from daemon.intake import Intake, Shelf
from daemon.jobqueue import JobQueue
from daemon.jobs import HotFolder
from daemon.kept import histories
from daemon.ledger import Ledger
from daemon.lock import Lock
from daemon.notify import Notifier
from daemon.records import Records
from daemon.recovery import Recovery
from daemon.renewal import Renewal, Reread
from daemon.report import Report
from daemon.retention import Retention
from daemon.roster import Roster, lock_of
from daemon.rounds import Rounds
from daemon.service import Clocks, Inbox, Parts, Service
from daemon.standby import Standby
from daemon.suspension import Suspension
from daemon.vigil import Vigil
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
    locks: dict[str, Lock] = field(default_factory=dict)
    """Of hot folders that we own, by their names."""

    @property
    def by_name(self) -> dict[str, HotFolder]:
        """The folders by their names."""
        return {folder.name: folder for folder in self.folders}


@dataclass(frozen=True, slots=True)
class Supervision:
    """Who started us and wants to hear of us; as it stands, nobody."""

    notifier: Notifier = field(default_factory=lambda: Notifier(None, is_expected=False))
    watchdog_s: float = 0.0
    """How long systemd waits for a sign of progress; 0 if it does not."""
    reread: Reread | None = None
    """Reads the configuration again."""
    bulletin: Bulletin = field(default_factory=Bulletin)
    """What monitors are told."""


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
    hot = {folder.name: lock_of(folder) for folder in place.folders if folder.originals != "keep"}
    wanted = [(state, f"state folder {place.state}")]
    paths = {folder.name: folder.path for folder in place.folders}
    locks.take_all([*wanted, *((lock, f"hot folder {paths[name]}") for name, lock in hot.items())])
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
    supervision: Supervision | None = None,
) -> Service:
    """A service on hot folders, with time-stamped drops and retention."""
    ledger = Ledger(place.state / ledgers.FILE)
    records = Records(ledger)
    by_name = place.by_name
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
        shelf=build_shelf(
            config, place, ledger=ledger, folders=by_name, drops=drops, clocks=clocks
        ),
        retention=retention,
        inbox=inbox,
        clocks=clocks,
        is_watching=is_watching,
        supervision=supervision or Supervision(),
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
        shelf=build_shelf(
            config, place, ledger=ledger, folders=place.by_name, drops=drops, clocks=clocks
        ),
        retention=None,
        inbox=inbox,
        clocks=clocks,
        is_watching=False,
        supervision=Supervision(),
    )


def build(  # noqa: PLR0913  # this is where everything comes together
    config: Config,
    place: Workplace,
    engine: Engine,
    *,
    shelf: Shelf,
    retention: Retention | None,
    inbox: Inbox,
    clocks: Clocks,
    is_watching: bool,
    supervision: Supervision,
) -> Service:
    """Wire the parts."""
    intake = Intake(shelf)
    delivery = Delivery(shelf, place.quarantine)
    recovery = Recovery(shelf, intake, delivery)
    max_pixels = int(config.worker.max_megapixels * MEGA)
    dispatcher = Dispatcher(shelf, engine, put=inbox.put, max_pixels=max_pixels)
    suspension = Suspension(shelf, delivery=delivery, dispatcher=dispatcher, recovery=recovery)
    hearing = Hearing(Watcher(inbox.put) if is_watching else None)
    vigil = build_vigil(supervision, engine, shelf=shelf, suspension=suspension)
    roster = Roster(shelf, intake=intake, hearing=hearing, dispatcher=dispatcher, recovery=recovery)
    parts = Parts(
        shelf=shelf,
        intake=intake,
        delivery=delivery,
        recovery=recovery,
        dispatcher=dispatcher,
        suspension=suspension,
        engine=engine,
        retention=retention,
        hearing=hearing,
        roster=roster,
        rounds=Rounds(shelf, intake=intake, hearing=hearing, vigil=vigil),
        renewal=Renewal(shelf, roster=roster, retention=retention, reread=supervision.reread),
        vigil=vigil,
        notifier=supervision.notifier,
        report=Report(place.state, supervision.notifier, post=supervision.bulletin.post),
    )
    return Service(parts, inbox, clocks=clocks)


def build_vigil(
    supervision: Supervision, engine: Engine, *, shelf: Shelf, suspension: Suspension
) -> Vigil:
    """Who tells systemd that all parts get on."""
    return Vigil(
        supervision.notifier,
        watchdog_s=supervision.watchdog_s,
        engine=engine,
        shelf=shelf,
        suspension=suspension,
    )


def build_shelf(
    config: Config,
    place: Workplace,
    *,
    ledger: Ledger,
    folders: dict[str, HotFolder],
    drops: Drops,
    clocks: Clocks,
) -> Shelf:
    """What intake, delivery and recovery share. ``folders``: the one table that all look into."""
    return Shelf(
        folders=folders,
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


def open_local(
    config: Config, base: Path, *, on_step: Callable[[str], object] = lambda step: None
) -> Engine:
    """The engine in this process, warm; ``on_step`` is told of each step before it begins."""
    return open_engine(engine_settings(config, base), on_step)
