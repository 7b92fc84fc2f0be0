"""`cvunetd cut` of clips: one after another, with progress; each is there whole or not at all."""

import hashlib
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config import video
from daemon.config.models import model_settings
from daemon.config.output_schema import OutputOverrides
from daemon.config.overrides import merged_output
from daemon.config.schema import Config
from daemon.disk import files, store
from daemon.errors import (
    InstallError,
    MachineError,
    PictureError,
    UsageError,
    describe,
    explain,
    printable,
)
from daemon.lifecycle.naming import CLIP_SUFFIXES
from daemon.portable_names import portable, short
from daemon.renderings import VideoFormat
from daemon.watching.ignored_names import VIDEO
from daemon.worker.clips import alone, kinds

#: Formats of clips by the suffix of a file. The first of several is meant if nothing else is said.
CLIP_FORMATS: dict[str, tuple[VideoFormat, ...]] = {
    ".webm": ("webm",),
    ".mov": ("mov-prores", "mov-qtrle", "alpha"),
    ".mp4": ("mp4",),
    ".png": ("apng",),
    ".apng": ("apng",),
    ".webp": ("webp",),
    ".zip": ("png-sequence",),
}
#: Suffixes of files that clips are not written as. A folder of such a name would surprise.
UNWRITTEN = (
    *(".gif", ".mkv", ".avi", ".avif", ".m4v", ".wmv"),
    *(".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".heic", ".pdf"),
)
CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)")
#: Options of `cut` that no key of the configuration stands for.
OWN_OPTIONS = ("from", "to")
MEGA = 1_000_000
EVERY_S = 0.2  # more lines than these nobody can read
STOPPED = "stopped before its end: nothing is left of its result"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one picture or clip."""

    source: Path
    target: Path | None
    """None if it failed."""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    """What a person should know of the result."""


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """What a person has typed for clips alone."""

    format: VideoFormat | None
    start_s: float
    end_s: float | None


@dataclass(frozen=True, slots=True)
class Setup:
    """What is the same for all clips of a command."""

    config: Config
    base: Path
    """The folder that its relative paths start from."""
    out: Path
    options: ClipOptions
    is_one: bool
    """There is one source, so ``out`` may be its file."""


def is_clip(source: Path) -> bool:
    """Whether a file is a clip by its content, or by its name if it can be no picture either."""
    is_named_so = source.suffix.lower() in VIDEO.split()
    return bool(kinds.kind_of(source)) or (is_named_so and not kinds.may_be_picture(source))


def clip_options(
    options: Mapping[str, object], out: Path, *, has_clips: bool, is_one: bool, content: str
) -> ClipOptions:
    """Return what the options say of clips; `UsageError` for what they cannot be.

    ``is_one``: there is one source, so ``out`` may be its file. ``content``: of results, by the
    options or else by the configuration.
    """
    given = [name for name in OWN_OPTIONS if options.get(name) is not None]
    if not has_clips:
        if given:
            raise UsageError(f"--{given[0]} is for clips, and none of the files is one")
        return ClipOptions(None, 0.0, None)
    start_s, end_s = (seconds(options.get(name), name) for name in ("from", "to"))
    if end_s is not None and end_s <= (start_s or 0):
        raise UsageError("--to is not after --from: nothing would be left of the clip")
    wanted = options.get("format")
    chosen: VideoFormat | None = None
    if wanted is not None:
        found = {"png": "apng"}.get(str(wanted), str(wanted))
        chosen = next((format for format in CLIP_SUFFIXES if format == found), None)
        if chosen is None:
            known = ", ".join(sorted(CLIP_SUFFIXES))
            raise UsageError(f"--format {wanted} is for pictures; for clips there are {known}")
    elif content == "alpha":
        chosen = "alpha"
    if is_one and out.suffix and not out.is_dir():
        chosen = _of_suffix(out, chosen)
    return ClipOptions(chosen, start_s or 0.0, end_s)


def _of_suffix(out: Path, chosen: VideoFormat | None) -> VideoFormat | None:
    suffix = out.suffix.lower()
    if suffix in UNWRITTEN:
        raise UsageError(
            f"-o {out}: clips are not written as {suffix}: use {', '.join(CLIP_FORMATS)}"
        )
    fitting = CLIP_FORMATS.get(suffix)
    if fitting is None:
        return chosen  # a folder
    if chosen is not None and chosen not in fitting:
        raise UsageError(
            f"-o {out} is the name of a {fitting[0]} file, and {chosen} is wanted: leave out"
            f" --format or output.content, or name a file with {CLIP_SUFFIXES[chosen]}"
        )
    return chosen or fitting[0]


def seconds(text: object, option: str) -> float | None:
    """Return "90", "1:30" or "0:01:30.5" in seconds; None if it is not given."""
    if text is None:
        return None
    found = CLOCK.fullmatch(str(text))
    if found is None:
        raise UsageError(f"--{option} {text}: give seconds (90 or 90.5), or h:mm:ss (0:01:30)")
    hours, minutes, rest = found.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def cut_clips(
    sources: Sequence[Path],
    setup: Setup,
    *,
    on_signal: Callable[..., None],
    tell: Callable[[str], None],
) -> list[Result]:
    """Cut out clips. A signal ends the one in work; those after it are not begun.

    ``tell`` gets lines about the progress.
    """
    config, options = setup.config, setup.options
    output = merged_output(config, OutputOverrides())
    rendering = hot_folders.rendering(setup.base, output, config.postprocess)
    settings = video.video_of(config, output)
    state = hot_folders.resolve(setup.base, config.state_dir)
    missing = {source: why for source in sources if (why := why_unreadable(source))}
    results = [Result(source, None, why) for source, why in missing.items()]
    if len(missing) == len(sources):
        return results  # without loading the network
    cutter = alone.ClipCutter(model_settings(config, setup.base)[0], (state,))
    on_signal(lambda number: cutter.stop.set(), clear=cutter.clear)
    for source in (source for source in sources if source not in missing):
        format = options.format or settings.format_for(kinds.kind_of(source))
        target = target_of(source, setup, format)
        order = alone.Order(
            source.resolve(),
            part_of(target),
            format,
            rendering,
            settings,
            max_pixels=int(config.worker.max_megapixels * MEGA),
            start_s=options.start_s,
            end_s=options.end_s,
        )
        results.append(cut_one(cutter, order, source, target, tell=tell))
    return results


def target_of(source: Path, setup: Setup, format: VideoFormat) -> Path:
    """Return where a result goes; makes its folder."""
    out = setup.out
    is_file = setup.is_one and out.suffix.lower() in CLIP_FORMATS and not out.is_dir()
    folder = made_folder(out, is_file=is_file)
    name = out.name if is_file else portable(source.stem + CLIP_SUFFIXES[format])
    return folder / name


def part_of(target: Path) -> Path:
    """Return the name of an unfinished result, which the next run finds again; it may be short."""
    name = short(target.name)
    if name != target.name:  # others may be cut to the same
        name += f"-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]}"
    return target.with_name(f".{name}.part")


def why_unreadable(source: Path) -> str:
    """Return why there is no file under a name that a user has typed; empty if one may be."""
    try:
        os.lstat(source)
    except PermissionError as error:
        return f"it cannot be looked at: {explain(error)}"
    except OSError:
        return "there is no such file"
    if not source.exists():
        return "it is a link that leads nowhere"
    return "it is a folder: use `cvunetd batch`" if source.is_dir() else ""


def made_folder(out: Path, *, is_file: bool) -> Path:
    """Return the folder of results, which is made if it is missing; ``out`` as a person typed it.

    ``is_file``: it names the result itself.
    """
    folder = (out.parent if is_file else out).resolve()
    try:
        files.make_folders(folder)
    except OSError as error:
        raise InstallError(
            f"{folder} cannot be made: {explain(error)}; choose another -o"
        ) from error
    return folder


def cut_one(
    cutter: alone.ClipCutter,
    order: alone.Order,
    source: Path,
    target: Path,
    *,
    tell: Callable[[str], None],
) -> Result:
    """Cut out one clip and give its result a free name."""
    if cutter.stop.is_set():
        return Result(source, None, STOPPED)
    progress = Progress(source.name, tell, time.monotonic)

    def publish(part: Path) -> Path:
        tell("")
        free = files.free_name(target, files.has_other_spelling)
        store.publish(part, free)
        return free

    try:
        made = cutter.cut(order, progress.note, publish)
    except alone.CutStopped:
        return Result(source, None, STOPPED)
    except alone.InUse:
        return Result(source, None, f"another process is making {target} now")
    except (PictureError, MachineError) as error:
        return Result(source, None, str(error))
    except OSError as error:
        return Result(source, None, describe(error))
    return Result(source, made.target, warnings=made.warnings)


class Progress:
    """Tells how far a clip has come: frame n of m, frames a second, time left."""

    def __init__(self, name: str, tell: Callable[[str], None], clock: Callable[[], float]) -> None:
        """``tell`` gets a line every `EVERY_S` seconds."""
        self.name = name
        self.tell = tell
        self.clock = clock
        self.start = clock()
        self.told = -math.inf

    def note(self, done: int, total: int | None) -> None:
        """So many frames are finished, of so many; None if that is unknown."""
        now = self.clock()
        if now - self.told < EVERY_S and done != total:
            return
        self.told = now
        rate = done / max(now - self.start, 1e-9)
        of_all = f" of {total}" if total is not None and done <= total else ""
        left = f", {clock_text((total - done) / rate)} left" if of_all and total else ""
        self.tell(f"{printable(self.name)}: frame {done}{of_all}, {rate:.1f} frames/s{left}")


def clock_text(left_s: float) -> str:
    """Return a time as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(left_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
