"""What becomes of clips, by the configuration and by what is installed."""

from importlib.util import find_spec
from typing import Literal

from daemon.config.output_schema import Output
from daemon.config.schema import Config
from daemon.jobs import HotFolder
from daemon.renderings import Video

EXTRA = "cvunet-daemon[video]"


def is_installed() -> bool:
    """Whether the library that reads and writes clips is there; it is not loaded."""
    return find_spec("av") is not None


def obstacle(config: Config) -> str:
    """Return why clips cannot be cut out here; empty if they can."""
    if config.worker.engine == "ray":
        return "the workers of a cluster (worker.engine: ray) cut out pictures only"
    return "" if is_installed() else f"PyAV is not installed: install {EXTRA}"


def mode_of(
    setting: Literal["auto", "cut", "first-frame", "ignore"], *, can_cut: bool
) -> Literal["cut", "first-frame", "ignore"]:
    """Return what `folders[].video` means where clips can or cannot be cut out."""
    if setting == "auto":
        return "cut" if can_cut else "first-frame"
    return setting


def video_of(config: Config, output: Output) -> Video:
    """Return how the results of one folder's clips are made."""
    return Video(
        format=output.video.format,
        animations=output.video.animations,
        quality=output.video.quality,
        speed=output.video.speed,
        window=config.video.steady.window,
        strength=config.video.steady.strength,
        on_damage=config.video.on_damage,
        max_minutes=config.worker.max_video_minutes,
    )


def missing(config: Config, folders: list[HotFolder]) -> list[str]:
    """Return faults of folders whose clips are to be cut out, which nothing here can do."""
    if not (reason := obstacle(config)):
        return []
    return [
        f"folder {folder.path}: video: cut is not possible, {reason}; or write video: auto"
        for folder in folders
        if folder.clips == "cut"
    ]


def notice(config: Config) -> str:
    """Return what a person should know of clips that are not cut out; empty if they are."""
    has_auto = any(folder.video == "auto" for folder in config.folders)
    if not has_auto or not (reason := obstacle(config)):
        return ""
    return (
        f"clips are not cut out: {reason}. Animated pictures give their first frame, video files"
        " stay in their folder"
    )
