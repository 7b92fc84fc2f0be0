"""Photos dropped into a container's folder, and what comes out."""

import os
import shutil
from pathlib import Path

import skimage

from tests.system.container_kit import wait_for

PHOTO = Path(skimage.__file__).parent / "data" / "astronaut.png"
READY = "watching /srv/cvunetd/hot"
USER = 1234


def options(place: Path, *, mode: str = "rw", user: int = USER) -> tuple[str, ...]:
    """The folder is mounted, and its owner runs the daemon."""
    return ("--user", f"{user}:{user}", "--volume", f"{place}:/srv/cvunetd:{mode}")


def drop(place: Path, name: str, *, modified_s: float | None = None) -> None:
    """Drop a photo from outside; ``modified_s``: when it was changed last, in seconds of 1970."""
    part = place / "hot" / f".{name}.part"
    shutil.copy(PHOTO, part)
    os.chown(part, USER, USER)
    if modified_s is not None:
        os.utime(part, (modified_s, modified_s))
    part.rename(place / "hot" / name)


def results(place: Path, stem: str) -> list[Path]:
    """Cut-outs of a photo, in all drops."""
    return sorted((place / "outputs").glob(f"outputs_*/{stem}*.png"))


def comes_out(place: Path, stem: str) -> bool:
    """Soon."""
    return wait_for(lambda: bool(results(place, stem)), patience_s=90.0)
