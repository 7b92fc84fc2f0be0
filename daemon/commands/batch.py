"""`cvunetd batch`: cuts out a tree of pictures into an equal tree, under a progress bar."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from tqdm import tqdm

from daemon.clips import ClipProgress
from daemon.commands.startup import (
    OnSignal,
    StartLogging,
    has_open_jobs,
    has_pictures,
    signal_inbox,
    tell_of_clips,
)
from daemon.config import folders as hot_folders
from daemon.config import options as run_options
from daemon.config import schema as configuration
from daemon.config import video
from daemon.config.schema import Config, Folder
from daemon.disk import files, store
from daemon.errors import InstallError, printable
from daemon.jobs import HotFolder, State
from daemon.service.assembly import assemble_batch
from daemon.service.configured_engine import open_configured
from daemon.service.owned_folders import OwnedFolders, locked
from daemon.service.service import Clocks, Service
from daemon.watching import scan
from daemon.watching.ignored_names import why_left
from daemon.worker.engines.lazy import LazyEngine

logger = logging.getLogger(__name__)

BATCH_STATE = ".cvunetd"


def batch_folder(config: Config, base: Path, source: Path, out: Path) -> HotFolder:
    """Return IN as a hot folder whose originals stay and whose files are complete already."""
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
    tell: Callable[[str], object] = lambda line: None,
    options: Mapping[str, object] = MappingProxyType({}),
) -> int:
    """Return how many pictures failed or could not be done; ``tell`` gets the summary.

    ``options`` as in `options.apply`: they win over the configuration.
    """
    config, base = configuration.load(config_path)
    config = run_options.apply(config, options, current=Path.cwd())
    start_logging("warning", config.log.format)
    tell_of_clips(config)
    folder = batch_folder(config, base, source, out)
    if faults := video.missing(config, [folder]):
        raise InstallError("\n".join(faults))
    state = folder.output_root / BATCH_STATE
    place = OwnedFolders([folder], state=state, quarantine=state / "failed")
    inbox = signal_inbox(on_signal)
    with locked(place) as place:
        engine = LazyEngine(lambda: open_configured(config, base, [folder]))
        service = assemble_batch(
            config, place, folder.output_root, engine, inbox=inbox, clocks=Clocks()
        )
        forget_changed(service)
        records = service.parts.records
        if has_open_jobs(records) or has_pictures(folder, records):
            engine.open()  # now, so that the bar below measures pictures and not the model
        run_with_progress_bar(service, folder)
        tell(summary(service, folder))
    for reason in service.parts.standby.reasons.values():
        logger.error("stopped: %s; correct that, then start again", reason)
    return service.count_unfinished()


def forget_changed(service: Service) -> None:
    """Let a new run retry what failed, and redo results that somebody deleted, even in part.

    The rest of such a result is deleted first, so that the new one gets its names; a changed result
    stays.
    """
    parts = service.parts
    for drop in parts.records.open_drops():
        for ending in parts.records.endings(drop):
            job = ending.job
            if job.quarantine is not None:  # the original stayed in IN: this is only its reason
                files.remove(store.reason_file(job.quarantine))
            if job.reason or not all(files.exists(target) for _, target in job.outputs):
                parts.results.discard(job)
                parts.ledger.forget(job)


def run_with_progress_bar(service: Service, folder: HotFolder) -> None:
    """Run a batch under a progress bar with rate and time left."""
    found = scan.pictures(folder.path, recursive=True, skipped=folder.skipped)
    total = sum(1 for path in found if not why_left(path, folder))
    ready = service.parts.records.counts().get(folder.name, {}).get("done", 0)
    with tqdm(total=total, initial=min(ready, total), unit="picture") as bar:

        def show() -> None:
            bar.set_postfix(service.parts.engine.inside, refresh=False)
            bar.update()

        def show_clips() -> None:
            for clip in service.parts.engine.clips.values():
                bar.set_postfix_str(frames_of(clip))

        service.on_end, service.on_tick = show, show_clips
        service.run_once(is_patient=True)


def frames_of(clip: ClipProgress) -> str:
    """Return how far a clip has come, for the bar."""
    total = "" if clip.total is None else f" of {clip.total}"
    left = "" if clip.left_s is None else f", {clip.left_s:.0f} s left"
    return f"frame {clip.frames}{total}, {clip.frames_per_s:.1f}/s{left}"


def summary(service: Service, folder: HotFolder) -> str:
    """Return how many files of IN are done, doubtful, rejected, ignored, and where to look."""
    records, out = service.parts.records, folder.output_root
    endings = [one for drop in records.open_drops() for one in records.endings(drop)]
    done = [one.job for one in endings if one.job.state is State.DONE]
    doubtful = sum(job.review is not None for job in done)
    rejected = len(endings) - len(done)
    ignored = service.parts.intake.inventory.left.count(folder.name)
    reviews = f" (also in {printable(out / store.REVIEW)})" if doubtful else ""
    reasons = out / BATCH_STATE / "failed" / folder.name
    where = f" (reasons in {printable(reasons)})" if rejected else ""
    kinds = " (no pictures by their name)" if ignored else ""
    return (
        f"{len(done)} done, {doubtful} of them doubtful{reviews}, {rejected} rejected{where},"
        f" {ignored} ignored{kinds}"
    )
