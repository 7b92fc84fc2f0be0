"""What in an expired drop is ours, and what a person has put there."""

import json
import re
from collections.abc import Iterator
from fnmatch import translate
from pathlib import Path
from typing import Any

from daemon.disk import deletion, safe_open, segments, store
from daemon.disk.safe_open import RelativeParts
from daemon.errors import printable
from daemon.json_values import as_text

MANIFEST_BYTES = 1 << 30
#: The longest list of files in one line of the log.
NAMED = 20
#: Keys of a manifest's picture that hold a path in the drop.
PLACES = ("result", "alpha", "review", "original")
#: What desktops and NAS write beside files of anybody. It goes with a drop that holds nothing else
#: of other people.
LITTER = (
    *(".ds_store", "._*", "icon\r", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory"),
    *("@eadir", ".appledouble", "*zone.identifier"),
)
LITTER_NAME = re.compile("|".join(translate(pattern) for pattern in LITTER))


def select_foreign(drop: int) -> deletion.IsKept:
    """Return what tells the files in an open drop's folder that are not ours, by its manifest."""
    own = own_files(drop)

    def is_foreign(parts: RelativeParts) -> bool:
        is_ours = as_text(Path(*parts)) in own or has_our_name(parts[-1])
        return not is_ours

    def is_foreign_and_no_litter(parts: RelativeParts) -> bool:
        return is_foreign(parts) and not any(LITTER_NAME.match(part.lower()) for part in parts)

    has_theirs = any(map(is_foreign_and_no_litter, deletion.files_below(drop)))
    return is_foreign if has_theirs else is_foreign_and_no_litter


def has_our_name(name: str) -> bool:
    """Whether only we give such names: unfinished files, and segments of clips."""
    return bool(store.OUR_PART.fullmatch(name) or segments.OURS.fullmatch(name))


def own_files(drop: int) -> frozenset[str]:
    """Return the paths in an open drop's folder that we have written, mark and manifest included.

    `ValueError` or `OSError` if the manifest cannot be read.
    """
    content = json.loads(deletion.read(store.MANIFEST, drop, limit_bytes=MANIFEST_BYTES))
    return frozenset((store.MARKER, store.MANIFEST, *listed(content)))


def listed(content: Any) -> Iterator[str]:  # Any: JSON
    """Yield all paths of a manifest; a damaged entry has none."""
    pictures = content.get("pictures") if isinstance(content, dict) else None
    for picture in pictures if isinstance(pictures, list) else ():
        if isinstance(picture, dict):
            yield from (path for key in PLACES if isinstance(path := picture.get(key), str))


def foreign_files(drop: Path) -> list[str]:
    """Return the files in a drop that will stay; `ValueError` or `OSError` if it is not ours."""
    with safe_open.folder(drop.parent) as root, safe_open.below(root, (drop.name,)) as folder:
        is_foreign = select_foreign(folder)
        return sorted("/".join(one) for one in deletion.files_below(folder) if is_foreign(one))


def files_left(drop: Path) -> list[str]:
    """Return all files that are left of a deleted drop; none if it is gone."""
    try:
        with safe_open.folder(drop.parent) as root, safe_open.below(root, (drop.name,)) as folder:
            return sorted("/".join(one) for one in deletion.files_below(folder))
    except FileNotFoundError:
        return []


def exception(names: list[str]) -> str:
    """Return the end of a sentence about a deletion, which names what stays."""
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f", but not what others have put there: {printable(', '.join(names[:NAMED]))}{more}"
