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
from daemon.naming import SUFFIXES, alpha_name, new_id
from daemon.outputconfig import OutputOverrides


@dataclass(frozen=True, slots=True)
class Cut:
    """One picture on its way."""

    source: Path
    outputs: tuple[tuple[Path, Path], ...]
    """Part and name of every file."""
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
    output = hot_folders.merged_output(config, OutputOverrides())
    rendering = hot_folders.rendering(config, base, output)
    targets = choose_targets(sources, out, rendering)
    engine = open_local(config, base)
    max_pixels = int(config.worker.max_megapixels * MEGA)
    cuts = []
    for serial, (source, target) in enumerate(zip(sources, targets, strict=True)):
        job_id = new_id(time.time(), serial)
        part, alpha = target.parent / f".{job_id}.part", alpha_name(target, rendering)
        alpha_part = alpha and target.parent / f".{job_id}-alpha.part"
        # A link that the user names is followed, unlike those in a hot folder.
        task = Task(
            source.name, source.resolve(), part, rendering, max_pixels, alpha_part=alpha_part
        )
        outputs = (
            ((alpha_part, alpha), (part, target)) if alpha and alpha_part else ((part, target),)
        )
        cuts.append(Cut(source, outputs, engine.submit(task)))
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
    """Wait for one picture and give its files names that are free."""
    outcome = cut.future.result()
    if isinstance(outcome, Failed):
        for part, _ in cut.outputs:
            store.remove_part(part)
        return Result(cut.source, None, outcome.reason)
    target = None
    for part, wanted in cut.outputs:
        target = files.free_name(wanted, lambda path: False)
        try:
            store.publish(part, target)
        except OSError as error:
            return Result(cut.source, None, describe(error))
    return Result(cut.source, target)
