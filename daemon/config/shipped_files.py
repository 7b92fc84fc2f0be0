"""Files that come with the program: in a checkout, or where a wheel puts its data."""

import sys
import sysconfig
from pathlib import Path


def find(relative: Path) -> Path | None:
    """Return a shipped file, such as ``config.yaml``; None if it was not installed."""
    checkout = Path(__file__).resolve().parents[2]
    data = (sys.prefix, sysconfig.get_path("data"), sysconfig.get_path("data", "posix_user"))
    places = (checkout, *(Path(place, "share/cvunetd") for place in data))
    return next((found for place in places if (found := place / relative).exists()), None)
