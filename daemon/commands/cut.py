"""`cvunetd cut`: cuts out single pictures, without hot folder, ledger or drop."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType

from daemon.commands import cut_clips
from daemon.commands.cut_clips import STOPPED, Result, made_folder
from daemon.commands.signals import Stopping
from daemon.config import folders as hot_folders
from daemon.config import options as run_options
from daemon.config import schema as configuration
from daemon.config.model_names import second_of
from daemon.config.output_schema import OutputOverrides
from daemon.config.overrides import merged_output
from daemon.config.schema import Config
from daemon.disk import files, publication, store
from daemon.errors import UsageError, describe
from daemon.jobs import Done, Failed, Outcome, SecondLook, Stamp, Task
from daemon.lifecycle.naming import SUFFIXES, alpha_name, new_id
from daemon.portable_names import portable
from daemon.renderings import Rendering
from daemon.service.local_engine import MEGA, open_local
from daemon.worker.engines import Engine

#: Formats by the suffix of a file. The first of several is meant if nothing else is said.
FORMATS = {
    ".png": ("png",),
    ".webp": ("webp", "webp-lossless"),
    ".avif": ("avif",),
    ".tif": ("tiff",),
    ".tiff": ("tiff",),
    ".jpg": ("jpeg",),
    ".jpeg": ("jpeg",),
}
#: Suffixes of files that pictures are not written as. A folder of such a name would surprise.
UNWRITTEN = (
    *(".bmp", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".pdf", ".ppm", ".psd", ".svg"),
    *(".mov", ".mp4", ".webm", ".zip"),
)


@dataclass(frozen=True, slots=True)
class Cut:
    """One picture in work."""

    source: Path
    part: Path
    alpha_part: Path | None
    """The unfinished mask; None unless the content is both."""
    target: Path
    """The preferred name of the result."""
    rendering: Rendering
    future: "Future[Outcome]"
    review_below: float = 0.0
    """Results with a lower confidence are doubtful."""


def cut(
    sources: Sequence[Path],
    out: Path,
    config_path: Path | None,
    *,
    start_logging: Callable[[str, str], None],
    on_signal: Callable[..., None] = lambda stop, **more: None,
    tell: Callable[[str], None] = lambda line: None,
    options: Mapping[str, object] = MappingProxyType({}),
) -> list[Result]:
    """Cut out pictures and clips into a folder, or one into a file.

    ``options`` as in `options.apply`: they win over the configuration; `cut_clips.clip_options` are
    for clips. ``tell`` gets lines about the progress of clips.
    """
    config, base = configuration.load(config_path)
    start_logging("warning", config.log.format)
    stopping = Stopping()
    on_signal(stopping.wish, clear=stopping.clear)
    is_one = len(sources) == 1
    check_place(out, is_one=is_one)
    clips = [source for source in sources if cut_clips.is_clip(source)]
    pictures = [source for source in sources if source not in clips]
    common = {name: value for name, value in options.items() if name not in cut_clips.OWN_OPTIONS}
    changed = run_options.apply(config, {**common, "format": None}, current=Path.cwd())
    own = cut_clips.clip_options(
        options, out, has_clips=bool(clips), is_one=is_one, content=changed.output.content
    )
    if pictures:  # what is wrong with their options is said before a clip takes an hour
        config = apply_options(config, common, sources=pictures, out=out)
    results = []
    if clips:
        setup = cut_clips.Setup(changed, base, out, own, is_one=is_one)
        results = cut_clips.cut_clips(clips, setup, on_signal=stopping.listen, tell=tell)
    if not pictures:
        return results
    return results + cut_pictures(pictures, out, config=config, base=base, stopping=stopping)


def check_place(out: Path, *, is_one: bool) -> None:
    """Raise `UsageError` if the results of several files are to go into one."""
    known = {*FORMATS, *UNWRITTEN, *cut_clips.CLIP_FORMATS, *cut_clips.UNWRITTEN}
    if not is_one and out.suffix.lower() in known and not out.is_dir():
        raise UsageError(f"-o {out} is the name of one file: for several files name a folder")


def cut_pictures(
    sources: Sequence[Path], out: Path, *, config: Config, base: Path, stopping: Stopping
) -> list[Result]:
    """Cut out pictures into a folder, or one into a file. A signal ends those not begun."""
    output = merged_output(config, OutputOverrides())
    rendering = hot_folders.rendering(base, output, config.postprocess)
    targets = choose_targets(sources, out, rendering)
    missing = [
        Result(source, None, why) for source in sources if (why := cut_clips.why_unreadable(source))
    ]
    if len(missing) == len(sources):
        return missing  # without loading the model
    unreadable = {result.source for result in missing}
    if stopping.is_wished:
        return [Result(source, None, STOPPED) for source in sources]
    max_pixels = int(config.worker.max_megapixels * MEGA)
    other = second_of(output)
    second = SecondLook(other, output.review.below) if other else None
    cuts = []
    with closing(open_local(config, base)) as engine:
        for serial, (source, target) in enumerate(zip(sources, targets, strict=True)):
            if source in unreadable:
                continue
            task = task_for(source, target, rendering, serial=serial, max_pixels=max_pixels)
            future, below = engine.submit(replace(task, second=second)), output.review.below
            cuts.append(Cut(source, task.part, task.alpha_part, target, rendering, future, below))
        return missing + list(results_of(cuts, engine, stopping))


def results_of(cuts: Sequence[Cut], engine: Engine, stopping: Stopping) -> Iterator[Result]:
    """Yield each result when it has its name; after a signal only what was begun is finished."""
    news: SimpleQueue[object] = SimpleQueue()  # a signal may put into it at any moment
    rest = deque(cuts)
    stopping.listen(news.put, clear=lambda: [*map(remove_parts, rest)])
    for cut in cuts:
        cut.future.add_done_callback(news.put)
    while rest and not stopping.is_wished:
        if rest[0].future.done():
            yield complete(rest.popleft())
        else:
            news.get()
    engine.drain()
    yield from map(complete, rest)


def task_for(
    source: Path, target: Path, rendering: Rendering, *, serial: int, max_pixels: int
) -> Task:
    """Return what the worker gets; the unfinished files lie beside the target."""
    job_id = new_id(time.time(), serial)
    part = target.parent / f".{job_id}.part"
    alpha_part = target.parent / f".{job_id}-alpha.part" if rendering.content == "both" else None
    # A link that the user names is followed, unlike those in a hot folder.
    return Task(source.name, source.resolve(), part, rendering, max_pixels, alpha_part=alpha_part)


def apply_options(
    config: Config, options: Mapping[str, object], *, sources: Sequence[Path], out: Path
) -> Config:
    """Return the configuration with the options in it, and with the format of a file ``out``."""
    if len(sources) == 1 and out.suffix.lower() in UNWRITTEN and not out.is_dir():
        text = f"pictures are not written as {out.suffix.lower()}: use {', '.join(FORMATS)}"
        raise UsageError(f"-o {out}: {text}")
    if not is_one_file(sources, out):
        return run_options.apply(config, options, current=Path.cwd())
    fitting, wanted = FORMATS[out.suffix.lower()], options.get("format")
    if wanted is None and config.output.format not in fitting:
        wanted = fitting[0]
    elif wanted is not None and wanted not in fitting:
        raise UsageError(
            f"-o {out} is the name of a {fitting[0]} file, and --format says {wanted}: leave out"
            " --format, or give the file another suffix"
        )
    return run_options.apply(config, {**options, "format": wanted}, current=Path.cwd())


def is_one_file(sources: Sequence[Path], out: Path) -> bool:
    """Whether ``out`` is the file of a single result, by its suffix."""
    return len(sources) == 1 and out.suffix.lower() in FORMATS and not out.is_dir()


def choose_targets(sources: Sequence[Path], out: Path, rendering: Rendering) -> list[Path]:
    """Return where results go; makes the folder. ``out`` is a file if it is named like a result."""
    suffix = SUFFIXES[rendering.format]
    is_file = is_one_file(sources, out)
    folder = made_folder(out, is_file=is_file)
    names = [out.name] if is_file else [portable(source.stem + suffix) for source in sources]
    return [folder / name for name in names]


def complete(cut: Cut) -> Result:
    """Wait for one picture and give its files free names: all of them, or none."""
    outcome = cut.future.result()
    if not isinstance(outcome, Done):
        remove_parts(cut)
        return Result(cut.source, None, outcome.reason if isinstance(outcome, Failed) else STOPPED)
    published: list[tuple[Path, Stamp]] = []
    for part, target in free_names(cut):
        found = files.identity(part)
        try:
            store.publish(part, target)
        except OSError as error:
            for name, stamp in published:
                publication.remove_if_unchanged(name, stamp)
            remove_parts(cut)
            return Result(cut.source, None, describe(error))
        if found is not None:
            published.append((target, found.stamp))
    return Result(cut.source, target, warnings=remarks(cut, outcome))


def remarks(cut: Cut, outcome: Done) -> tuple[str, ...]:
    """Return the warnings about a result, and why it is doubtful, if it is."""
    sure = outcome.confidence
    if sure is None or sure.score >= cut.review_below:
        return outcome.warnings
    reasons = "; ".join(why for why in sure.reasons if why not in outcome.warnings)
    doubt = f"have a look at it, its confidence is only {sure.score:.2f}"
    return (*outcome.warnings, f"{doubt} ({reasons})" if reasons else doubt)


def free_names(cut: Cut) -> list[tuple[Path, Path]]:
    """Return part and name of every file, in one version: `cat_2_alpha.png`, `cat_2.png`."""

    def is_taken(version: Path) -> bool:
        alpha = alpha_name(version, cut.rendering)
        is_alpha_taken = alpha is not None and (
            files.exists(alpha) or files.has_other_spelling(alpha)
        )
        return is_alpha_taken or files.has_other_spelling(version)

    target = files.free_name(cut.target, is_taken)
    alpha = alpha_name(target, cut.rendering)
    if alpha is None or cut.alpha_part is None:
        return [(cut.part, target)]
    return [(cut.alpha_part, alpha), (cut.part, target)]


def remove_parts(cut: Cut) -> None:
    """Delete the unfinished files."""
    for part in (cut.part, cut.alpha_part):
        if part is not None:
            store.remove_part(part)
