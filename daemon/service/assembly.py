"""Puts a service together: the only place that names concrete classes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config.addresses import Address, SocketFile
from daemon.config.schema import Config
from daemon.errors import InstallError
from daemon.hooks.delivery import Herald, OpenSender, no_sender
from daemon.hooks.outbox import Outbox
from daemon.jobs import HotFolder
from daemon.ledger import ledger as ledgers
from daemon.ledger.job_queue import JobQueue
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from daemon.lifecycle.delivery import Delivery
from daemon.lifecycle.dispatcher import Dispatcher
from daemon.lifecycle.drops import Drops, FixedDrop, TimedDrops
from daemon.lifecycle.intake import Intake, Shelf
from daemon.lifecycle.ledger_outage import Suspension
from daemon.lifecycle.recovery import Recovery
from daemon.lifecycle.standby import Standby
from daemon.notices import Subscriptions
from daemon.reporting.endpoint import Endpoint
from daemon.reporting.latest_snapshot import Bulletin
from daemon.reporting.notify import Notifier
from daemon.reporting.report import Report
from daemon.retention.clock_trust import Calendar
from daemon.retention.kept_originals import histories
from daemon.retention.retention import Retention
from daemon.service.folder_registry import Roster
from daemon.service.liveness import Vigil
from daemon.service.owned_folders import Workplace
from daemon.service.parts import Parts
from daemon.service.reconfiguration import Renewal, Reread
from daemon.service.service import Clocks, Inbox, Service
from daemon.service.sweeps import Rounds
from daemon.watching.watch import Watcher
from daemon.watching.watch_health import Hearing
from daemon.worker.engines import Engine
from daemon.worker.engines.local import EngineSettings, open_engine

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
        memory_bytes=config.worker.memory_mb * MEGA,
        backgrounds=hot_folders.backgrounds(config, base),
        colours=config.postprocess.needed_colours,
    )


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
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    """Hooks."""
    open_sender: OpenSender = no_sender
    """Who brings notices to a hook."""


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
        from daemon.reporting import metrics
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
    supervision = supervision or Supervision()
    outbox = Outbox(ledger, records, supervision.subscriptions)
    drops = TimedDrops(
        by_name,
        ledger=ledger,
        records=records,
        local_time=clocks.local,
        on_close=outbox.drop_closed,
    )
    return build(
        config,
        place,
        engine,
        shelf=build_shelf(
            config, place, folders=by_name, outbox=outbox, drops=drops, clocks=clocks
        ),
        retention=build_retention(config, place, ledger, folders=by_name),
        hearing=Hearing(Watcher(inbox.put) if is_watching else None),
        inbox=inbox,
        clocks=clocks,
        supervision=supervision,
    )


def build_retention(
    config: Config, place: Workplace, ledger: Ledger, *, folders: dict[str, HotFolder]
) -> Retention:
    """Who deletes what is old."""
    return Retention(
        place.folders,
        rejected=place.quarantine,
        keep_days=config.retention.keep_days,
        sweep_s=config.retention.sweep_s,
        histories=histories(ledger, folders),
        is_believed=Calendar(place.state).is_believed,
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
            config,
            place,
            folders=place.by_name,
            outbox=Outbox(ledger, records),
            drops=drops,
            clocks=clocks,
        ),
        retention=None,
        hearing=Hearing(None),
        inbox=inbox,
        clocks=clocks,
        supervision=Supervision(),
    )


def build(  # noqa: PLR0913  # this is where everything comes together
    config: Config,
    place: Workplace,
    engine: Engine,
    *,
    shelf: Shelf,
    retention: Retention | None,
    hearing: Hearing,
    inbox: Inbox,
    clocks: Clocks,
    supervision: Supervision,
) -> Service:
    """Wire the parts."""
    intake = Intake(shelf)
    delivery = Delivery(shelf, place.quarantine)
    recovery = Recovery(shelf, intake, delivery)
    dispatcher = build_dispatcher(config, shelf, engine, inbox=inbox)
    suspension = Suspension(shelf, delivery=delivery, dispatcher=dispatcher, recovery=recovery)
    vigil = build_vigil(supervision, engine, shelf=shelf, suspension=suspension)
    roster = Roster(shelf, intake=intake, hearing=hearing, dispatcher=dispatcher, recovery=recovery)
    herald = Herald(shelf.outbox, put=inbox.put, open_sender=supervision.open_sender)
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
        renewal=Renewal(shelf, roster, herald, retention=retention, reread=supervision.reread),
        vigil=vigil,
        herald=herald,
        notifier=supervision.notifier,
        report=Report(place.state, supervision.notifier, post=supervision.bulletin.post),
    )
    return Service(parts, inbox, clocks=clocks)


def build_dispatcher(config: Config, shelf: Shelf, engine: Engine, *, inbox: Inbox) -> Dispatcher:
    """Who gives pictures to the engine."""
    max_pixels = int(config.worker.max_megapixels * MEGA)
    return Dispatcher(shelf, engine, put=inbox.put, max_pixels=max_pixels)


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
    folders: dict[str, HotFolder],
    outbox: Outbox,
    drops: Drops,
    clocks: Clocks,
) -> Shelf:
    """What intake, delivery and recovery share. ``folders``: the one table that all look into."""
    ledger = outbox.ledger
    return Shelf(
        folders=folders,
        ledger=ledger,
        records=outbox.records,
        queue=JobQueue(config.worker.queue_size),
        drops=drops,
        outbox=outbox,
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
