"""Keys of clients: made here, kept as hashes in a file, compared by hash."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from daemon.errors import InstallError, explain

NAME = re.compile(r"[A-Za-z0-9._-]{1,60}")
HASH = re.compile(r"[0-9a-f]{64}")
KEY_BYTES = 32


def new_key() -> str:
    """Return a key that nobody can guess; so a fast hash is enough to keep it."""
    return secrets.token_urlsafe(KEY_BYTES)


def hashed(key: str) -> str:
    """Return what the file holds of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def line_of(name: str, key: str) -> str:
    """Return the line of the file for a key; `ValueError` for a name that is no single word."""
    if NAME.fullmatch(name) is None:
        raise ValueError("a key's name has letters, digits and . _ - only, 60 at most")
    return f"{name}:{hashed(key)}"


class Keys:
    """Who may ask, by the hash of his key."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """``names`` by hash; without any, everybody may ask."""
        self.names = names

    def name_of(self, key: str) -> str | None:
        """Return whose key this is; None for a wrong one."""
        # The hash of a guess says nothing of a key, so the time of this look-up tells nothing.
        return self.names.get(hashed(key))

    @property
    def are_needed(self) -> bool:
        """Whether a request needs a key."""
        return bool(self.names)


def read_keys(path: Path) -> Keys:
    """Return the keys of a file; `InstallError` names a line that is wrong, never its content."""
    try:
        text = path.read_text(encoding="ascii")
    except UnicodeDecodeError as error:
        raise InstallError(f"{path}: has letters outside of ASCII") from error
    except OSError as error:
        raise InstallError(f"{path} cannot be read ({explain(error)}): web.keys_file") from error
    names: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, digest = line.strip().partition(":")
        if NAME.fullmatch(name) is None or HASH.fullmatch(digest) is None:
            raise InstallError(
                f"{path}:{number}: is not NAME:SHA256: `cvunetd web-key NAME` prints such a line"
            )
        names[digest] = name
    if not names:
        raise InstallError(f"{path}: holds no key: `cvunetd web-key NAME` prints one")
    return Keys(names)
