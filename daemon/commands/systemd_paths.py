"""The systemd drop-in that lets the unit's sandbox reach all configured folders."""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.config import shipped_files
from daemon.config.hook_schema import entries
from daemon.config.models import model_settings
from daemon.config.schema import Config
from daemon.disk import mounts
from daemon.errors import printable
from daemon.hooks.loader import program_path
from daemon.watching import scan

DROP_IN = "/etc/systemd/system/cvunetd.service.d/paths.conf"
#: What ``ProtectHome=`` and ``PrivateTmp=`` hide: a folder there must be bound, not just allowed.
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
HIDDEN = (*HOMES, Path("/tmp"), Path("/var/tmp"))
#: The unit's ``StateDirectory=``, which systemd makes and lets us write.
STATE = Path("/var/lib/cvunetd")
#: Folders directly in the root, and these, hold files of many owners.
SHALLOW = 2
SHARED_FOLDERS = frozenset(map(Path, ("/var/lib", "/var/spool", "/var/tmp", "/usr/local")))
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "%": "%%", "$": "$"}


def lines(config_path: Path | None) -> Iterator[str]:
    """Yield the drop-in line by line; `InstallError` for a configuration that is wrong."""
    config, base = configuration.load(config_path)
    places = writable(config, base)
    read = [one for one in without_nested(readable(config, base)) if not is_below(one, places)]
    found = configuration.find(config_path)
    named = "" if found is None else f" --config {shlex.quote(printable(found.absolute()))}"
    yield "# Made by `cvunetd systemd-paths`; when folders in the configuration change, again:"
    yield f"#   cvunetd systemd-paths{named} > {DROP_IN}"
    yield "#   systemctl daemon-reload && systemctl restart cvunetd"
    yield "[Service]"
    for place in places:
        if not place.is_dir():
            yield f"# {printable(place)} is not there: make it, and let the daemon's user write it."
    if any(is_below(place, HOMES) for place in (*places, *read)):
        yield "ProtectHome=tmpfs"
    for place in places:
        key = "BindPaths" if is_below(place, HIDDEN) else "ReadWritePaths"
        yield f"{key}={quoted(place)}"
    for place in read:
        if is_below(place, HIDDEN):
            yield f"BindReadOnlyPaths={quoted(place)}"


def writable(config: Config, base: Path) -> list[Path]:
    """Return where the daemon writes, as few places as possible.

    Each place becomes a mount of its own for the daemon, and between two mounts a file has to be
    copied. So places in one private folder are replaced by that folder.
    """
    quarantine = hot_folders.resolve(base, config.quarantine_dir)
    places = {hot_folders.resolve(base, config.state_dir)}
    for folder in hot_folders.all_folders(config, base):
        own = [folder.output_root, quarantine]
        if folder.originals != "keep":
            own.append(folder.path)
        places |= common_parent(own)
    table = mounts.read()
    return without_nested(share_mount(place, table) for place in places - {STATE})


def share_mount(place: Path, table: str) -> Path:
    """Return the mount point of the share that a place is on; else the place itself.

    A named place becomes a mount of its own for the daemon, unless it is one already. Such a mount
    would keep the share open: if the share were unmounted outside, the daemon would go on with it,
    and would never see the share that is mounted next.
    """
    points = (Path(point) for point, _ in mounts.points(table))
    point = max((one for one in points if place.is_relative_to(one)), key=depth, default=place)
    is_share = scan.is_remote(scan.file_system(place, table))
    return point if is_share and is_private(point) and not is_below(place, HIDDEN) else place


def depth(path: Path) -> int:
    """Return how far below the root a path is."""
    return len(path.parts)


def readable(config: Config, base: Path) -> set[Path]:
    """Return what is only read: hot folders, backgrounds, models, what page and hooks name."""
    kept = {f.path for f in hot_folders.all_folders(config, base) if f.originals == "keep"}
    hooks = [entry for _, _, entry in entries(config.hooks)]
    programs = (entry.command[0] for entry in hooks if entry.command is not None)
    named = [
        *config.web.server_folders,
        config.web.keys_file,
        config.worker.ray.token_file,
        *(file for entry in hooks for file in (entry.secret_file, entry.ca_file)),
    ]
    called = [program_path(base, program) for program in programs if "/" in program]
    return {
        *kept,
        *hot_folders.backgrounds(config, base),
        *(file for model in models(config, base) for file in files_of(model)),
        *(hot_folders.resolve(base, path) for path in named if path is not None),
        *called,  # by a link, if it is one
        *(path.resolve() for path in called),
    }


def models(config: Config, base: Path) -> set[Path]:
    """Return the models of the configuration; the shipped weights lie where the program does."""
    shipped = shipped_files.find(Config().model.weights)
    return {model.file for model in model_settings(config, base)} - {shipped}


def files_of(model: Path) -> Iterator[Path]:
    """Yield a model's file and what describes it, beside a link and beside what it leads to."""
    for file in dict.fromkeys((model, model.resolve())):
        yield file
        beside = (file.with_suffix(".yaml"), file.with_name("manifest.yaml"))
        yield from (entry for entry in beside if entry.exists())


def common_parent(places: list[Path]) -> set[Path]:
    """Return the folder that holds all places, if it is private; else the places themselves."""
    above = {place.parent for place in places}
    if len(above) == 1 and is_private(*above):
        return above
    return set(places)


def is_private(folder: Path) -> bool:
    """Whether a folder is neither shared by many owners nor somebody's home."""
    is_deep = len(folder.parts) > SHALLOW
    return is_deep and folder not in SHARED_FOLDERS and folder.parent not in HOMES


def without_nested(places: Iterable[Path]) -> list[Path]:
    """Return the places that are not inside others."""
    found = set(places)
    return sorted(place for place in found if not found & set(place.parents))


def is_below(place: Path, tops: Iterable[Path]) -> bool:
    """Whether the place is one of the tops, or inside one."""
    return any(place.is_relative_to(top) for top in tops)


def quoted(place: Path) -> str:
    """Return a path as a unit file spells it; a missing one is no error there."""
    is_bind = is_below(place, HIDDEN)
    text = "".join(ESCAPES.get(letter, letter) for letter in str(place))
    text = text.replace(":", "\\:") if is_bind else text
    return f'"-{text}"'
