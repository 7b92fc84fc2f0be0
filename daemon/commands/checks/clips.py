"""Whether clips are cut out, and by what."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from daemon.commands.findings import CheckContext, Finding, failed, passed, skipped
from daemon.config import video

CHECK = "clips"


def clips(context: CheckContext) -> Iterator[Finding]:
    """Check whether the library is installed that a folder needs."""
    folders = context.folders
    if faults := video.missing(context.config, folders):
        yield failed(CHECK, "; ".join(faults), remedy())
    elif any(folder.clips == "cut" for folder in folders):
        yield passed(CHECK, f"cut out frame by frame, by PyAV {installed_version()}")
    elif text := video.notice(context.config):
        yield skipped(CHECK, text)
    else:
        yield skipped(CHECK, "no folder has them cut out (folders[].video)")


def remedy() -> str:
    """Return the line that mends it."""
    if video.is_installed():
        return "write folders[].video: auto, or worker.engine: local"
    return f"pip install '{video.EXTRA}'"


def installed_version() -> str:
    """Return PyAV's version; empty if its package does not say it."""
    try:
        return version("av")
    except PackageNotFoundError:
        return ""
