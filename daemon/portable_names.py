"""Names as other systems see them: which ones they take for one, and which ones they refuse."""

import os
import re
import unicodedata
from pathlib import Path

#: Refused by Windows in every name; control characters and DEL, too.
REFUSED = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/]')
#: A byte of a name that is no UTF-8, as Python shows it: SMB and macOS cannot show such a name.
NO_TEXT = re.compile(r"[\udc80-\udcff]")
#: Names of devices in DOS and Windows; what follows the first dot does not count.
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *", re.IGNORECASE)
#: eCryptfs has room for 143; the number of a version is put behind.
SHORT_BYTES = 130
LAST = re.compile(r"[. ]+$")


def folded(text: str) -> str:
    """Return a text that is the same for all spellings in upper and lower case, NFC and NFD.

    This is Unicode's canonical caseless matching, which APFS and ext4 use, too.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def name_key(path: bytes) -> bytes:
    """Return what two paths have in common that SMB or macOS take for one."""
    return path.lower() if path.isascii() else os.fsencode(folded(os.fsdecode(path)))


def portable(name: str) -> str:
    """Return one name, without slashes, as Windows and macOS accept it; most stay as they are."""
    name = NO_TEXT.sub("_", REFUSED.sub("_", name))
    name = LAST.sub(lambda found: "_" * len(found[0]), name)
    stem, dot, rest = name.partition(".")
    return f"{stem}_{dot}{rest}" if DEVICE.fullmatch(stem) else name


def short(name: str) -> str:
    """Return one name as every file system can have it: portable, and cut if it is long."""
    name = portable(name)
    if len(os.fsencode(name)) <= SHORT_BYTES:
        return name
    suffix = Path(name).suffix
    ending = suffix if len(os.fsencode(suffix)) < SHORT_BYTES // 2 else ""
    room = SHORT_BYTES - len(os.fsencode(ending))
    stem = os.fsencode(name.removesuffix(ending))[:room].decode("utf-8", "ignore")
    return portable(stem) + ending


def portable_path(relative: Path) -> Path:
    """Return a relative path whose parts are all portable."""
    return Path(*map(portable, relative.parts))


def short_path(relative: Path) -> Path:
    """Return a relative path whose parts every file system can have."""
    return Path(*map(short, relative.parts))
