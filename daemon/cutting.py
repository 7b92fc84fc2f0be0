"""`cvunetd cut`: single pictures, without hot folder, ledger or drop."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from daemon import config as configuration
from daemon import files, store
from daemon import folders as hot_folders
from daemon.assembly import MEGA, open_local
from daemon.errors import InstallError, UsageError, describe
from daemon.jobs import Failed, Outcome, Rendering, Task
from daemon.naming import SUFFIXES, new_id


@dataclass(frozen=True, slots=True)
class Cut:
    """One picture on its way."""

    source: Path
    target: Path
    part: Path
    future: "Future[Outcome]"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one picture."""

    source: Path
    target: Path | None
    """None if it failed."""
    reason: str = ""


def cut(
    sources: Sequence[Path],
    out: Path,
    config_path: Path | None,
    *,
    start_logging: Callable[[str, str], None],
) -> list[Result]:
    """Cut pictures out into a folder, or one into a file."""
    config, base = configuration.load(config_path)
    start_logging("warning", config.log.format)
    rendering = hot_folders.rendering(config, config.output)
    targets = choose_targets(sources, out, rendering)
    engine = open_local(config, base)
    max_pixels = int(config.worker.max_megapixels * MEGA)
    cuts = []
    for serial, (source, target) in enumerate(zip(sources, targets, strict=True)):
        part = target.parent / f".{new_id(time.time(), serial)}.part"
        # A link that the user names is followed, unlike those in a hot folder.
        task = Task(source.name, source.resolve(), part, rendering, max_pixels)
        cuts.append(Cut(source, target, part, engine.submit(task)))
    results = list(map(complete, cuts))
    engine.close()
    return results


def choose_targets(sources: Sequence[Path], out: Path, rendering: Rendering) -> list[Path]:
    """Where results go; the folder is made. ``out`` is a file if it is named like one result."""
    suffix = SUFFIXES[rendering.format]
    is_file = len(sources) == 1 and out.suffix.lower() == suffix and not out.is_dir()
    if not is_file and out.suffix.lower() in SUFFIXES.values() and not out.is_dir():
        raise UsageError(
            f"-o {out}: results are {suffix} files (output.format); name such a file for one"
            " picture, or a folder"
        )
    folder = (out.parent if is_file else out).absolute()
    try:
        files.make_folders(folder)
    except OSError as error:
        raise InstallError(
            f"{folder} cannot be made: {error.strerror}; choose another -o"
        ) from error
    return [out] if is_file else [out / (source.stem + suffix) for source in sources]


def complete(cut: Cut) -> Result:
    """Wait for one picture and give the result a name that is free."""
    outcome = cut.future.result()
    if isinstance(outcome, Failed):
        store.remove_part(cut.part)
        return Result(cut.source, None, outcome.reason)
    target = files.free_name(cut.target, lambda path: False)
    try:
        store.publish(cut.part, target)
    except OSError as error:
        return Result(cut.source, None, describe(error))
    return Result(cut.source, target)
