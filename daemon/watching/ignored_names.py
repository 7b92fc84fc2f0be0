"""Names that are never taken: hidden, unfinished, litter of desktops, bins and snapshots.

docs/input.md lists them for people. `folders[].ignore` adds to them.
"""

import re
from fnmatch import translate
from pathlib import Path

from daemon.jobs import HotFolder
from daemon.name_patterns import compiled

#: Patterns are compared in lower case with the name of a file, and with that of each folder.
#: Hidden and temporary. `.*` also covers bins and snapshots such as `.Trash-1000`, `.snapshot`,
#: `.zfs`, `.sync`, `.stversions`, `.dropbox.cache`.
HIDDEN = (".*", "*~", "~$*", "*.tmp", "*.temp", "*.swp", "*.lock")
#: Files that a browser, a copy or a download has not finished.
UNFINISHED = (
    *("*.part", "*.partial", "*.crdownload", "*.download", "*.opdownload", "*.fdmdownload"),
    *("*.!sync", "*.bts", "*.!ut", "*.!qb", "*.!bt", "*.bc!", "*.ob!", "*.jc!", "*.xltd"),
    *("*.aria2", "*.gstmp", "*.filepart", "*.dctmp", "*.tacitpart", "*.ytdl", "*.unfinished"),
    "*.sb-????????-??????",  # a save by macOS
)
#: What stands for the colon before the name of a stream: itself; Samba's `catia` (U+00F7); and in
#: the range for private use, Services for Macintosh (U+F022), WSL and Cygwin (U+F03A).
COLON = "[:\u00f7\uf022\uf03a]"
#: Streams of NTFS that became files of their own. Zips and syncs also drop or replace the colon.
STREAMS = (
    *("*zone.identifier", "*zone.identifier?$data"),
    *(f"*{COLON}{name}" for name in ("afp_afpinfo", "afp_resource", "smartscreen", "encryptable")),
    *(f"*{COLON}{name}" for name in ("com.dropbox.*", "com.apple.*", "summaryinformation")),
    f"*{COLON}$data",
)
#: Files that desktops leave in every folder. The icon of macOS ends in a carriage return, which
#: Windows' file names cannot hold (U+F00D).
LITTER = (
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
    *("icon\r", "icon\uf00d", "desktop db", "desktop df"),
)
#: Folders of deleted files: of Windows, Synology, QNAP, macOS' file sharing, and fsck.
BINS = ("$recycle.bin", "recycler", "#recycle", "@recycle", "network trash folder", "lost+found")
#: Folders of earlier versions: of Synology, QNAP and NetApp.
SNAPSHOTS = ("#snapshot", "@recently-snapshot", "~snapshot", "system volume information")
#: Folders in which a NAS or an archiver keeps things about the files.
SERVICE_FOLDERS = ("@eadir", "@tmp", "temporary items", "__macosx")
#: What programs write beside a picture.
SIDECARS = (
    ".aae .arp .cof .comask .cop .cos .cot .dop .dr4 .exv .gpx .ini .json .lrf .lrv .nksc .nkx"
)
SIDECARS += (
    " .on1 .pp3 .spd .thm .txt .vrd .xml .xmp .yaml .yml .md5 .sha1 .sha256 .sfv .nfo .log .db"
)
VIDEO = (
    ".3g2 .3gp .avi .flv .insv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .vob .webm .wmv"
)
#: Those that are cut out where clips are.
CUT_VIDEO = frozenset((".3g2", ".3gp", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"))
AUDIO = ".aac .aif .aiff .amr .flac .m4a .mid .mp3 .oga .ogg .opus .wav .wma"
ARCHIVES = ".7z .bz2 .cab .dmg .gz .iso .rar .tar .tbz2 .tgz .txz .xz .zip .zst"
DOCUMENTS = ".csv .doc .docm .docx .eml .epub .htm .html .ics .key .md .msg .numbers .odp .ods .odt"
DOCUMENTS += " .pages .pdf .ppt .pptm .pptx .rtf .tsv .vcf .xls .xlsm .xlsx"
PROGRAMS = (
    ".apk .bat .cmd .css .deb .dll .exe .jar .js .msi .otf .ps1 .py .rpm .sh .so .ttf .woff .woff2"
)
SHORTCUTS = ".desktop .lnk .url .webloc"
CATALOGUES = ".lrcat .lrprev .cocatalogdb .sqlite .sqlite3"
#: Endings of files that are left where they are: each is named in the log, and all are counted.
OTHER_FILES = frozenset(
    " ".join((SIDECARS, VIDEO, AUDIO, ARCHIVES, DOCUMENTS, PROGRAMS, SHORTCUTS, CATALOGUES)).split()
)

NEVER_TAKEN = (*HIDDEN, *UNFINISHED, *STREAMS, *LITTER, *BINS, *SNAPSHOTS, *SERVICE_FOLDERS)
MATCHER = re.compile("|".join(translate(pattern) for pattern in NEVER_TAKEN))


def is_never_taken(name: str) -> bool:
    """Whether a file or folder with this name is hidden, temporary or made by a program."""
    return MATCHER.match(name.lower()) is not None


def has_ignored_part(relative: Path) -> bool:
    """Whether some part of a path below a hot folder is never taken."""
    return any(is_never_taken(part) for part in relative.parts)


class SkippedFolders:
    """The folders below a hot folder that its settings leave out; a container of paths."""

    def __init__(self, folder: HotFolder) -> None:
        self.folder = folder
        self.patterns = compiled(folder.ignore)

    def __contains__(self, path: object) -> bool:
        """Whether a folder is left out: a batch's OUT, or a match of `folders[].ignore`."""
        if not isinstance(path, Path):
            return False
        relative = path.relative_to(self.folder.path)
        return path in self.folder.skipped or self.patterns.has_folder(relative)


def why_left(path: Path, folder: HotFolder) -> str:
    """Return why a file of a hot folder is left where it is; empty if it may be a picture."""
    verdict = compiled(folder.ignore).verdict(path.relative_to(folder.path))
    if verdict:
        return "folders[].ignore names it"
    suffix = path.suffix.lower()
    if folder.clips == "cut" and suffix in CUT_VIDEO:
        return ""
    if verdict is None and suffix in CUT_VIDEO:
        return f"{suffix} files are not cut out here: folders[].video (docs/video.md)"
    if verdict is None and suffix in OTHER_FILES:
        return f"{suffix} files are no pictures (docs/input.md)"
    return ""
