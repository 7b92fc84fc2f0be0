"""From configuration to the values that the parts take: absolute paths, merged settings, checks."""

import os
import sys
from collections.abc import Container
from pathlib import Path

from daemon.config import Config, Folder, Model, Output
from daemon.errors import READ_ONLY_ADVICE, InstallError
from daemon.jobs import HotFolder, Rendering

WHITE = (255, 255, 255)


def resolve(base: Path, path: Path) -> Path:
    """Absolute, links followed: two names of one place must compare equal."""
    try:
        return (base / path.expanduser()).resolve()
    except (RuntimeError, ValueError) as error:  # no such user, links in a circle, a null character
        raise InstallError(f"path {str(path)!r} leads nowhere: {error}") from error


def find_weights(config: Config, base: Path) -> Path:
    """The weights file: as written, or the one that was installed with the program."""
    named = resolve(base, config.model.weights)
    if config.model.weights != Model().weights or named.exists():
        return named
    source_tree = Path(__file__).resolve().parents[1]
    installed = Path(sys.prefix) / "share" / "cvunetd"
    places = (root / config.model.weights for root in (source_tree, installed))
    return next((place for place in places if place.exists()), named)


def rendering(config: Config, output: Output) -> Rendering:
    """How results of one folder are made."""
    post = config.postprocess
    background = parse_colour(output.background)
    if output.format == "jpeg" and output.content == "cutout":
        background = background or WHITE  # JPEG has no transparency
    return Rendering(
        format=output.format,
        content=output.content,
        background=background,
        filter=post.filter,
        diameter=post.diameter,
        sigma_color=post.sigma_color,
        sigma_space=post.sigma_space,
        decontaminate=post.decontaminate,
    )


def parse_colour(text: str | None) -> tuple[int, int, int] | None:
    """``#rrggbb`` to 0..255."""
    if text is None:
        return None
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def merged_output(config: Config, folder: Folder) -> Output:
    """The folder's own ``output:`` over the common one."""
    own = folder.output.model_dump(exclude_unset=True)
    # Null says "as above", but for the background, where it says "transparent".
    said = {key: value for key, value in own.items() if value is not None or key == "background"}
    return config.output.model_copy(update=said)


def hot_folder(config: Config, base: Path, folder: Folder) -> HotFolder:
    """One folder's values."""
    output = merged_output(config, folder)
    path = resolve(base, folder.path)
    return HotFolder(
        name=folder.name or path.name,
        path=path,
        recursive=folder.recursive,
        settle_s=folder.settle_s,
        defer_s=folder.defer_s,
        watch=folder.watch,
        originals=folder.originals,
        priority=folder.priority,
        output_root=resolve(base, output.root),
        drop_idle_s=output.drop_idle_s,
        drop_max_files=output.drop_max_files,
        name_template=output.name,
        rendering=rendering(config, output),
    )


def hot_folders(
    config: Config, base: Path, *, known: Container[Path] = frozenset()
) -> list[HotFolder]:
    """All folders, checked against each other; `InstallError` has one line for each fault.

    ``known`` are hot folders that work already: one whose share is away just now is waited for.
    """
    folders = [hot_folder(config, base, folder) for folder in config.folders]
    faults = [
        *missing([folder for folder in folders if folder.path not in known]),
        *twins(folders),
        *overlaps(folders, resolve(base, config.state_dir), resolve(base, config.quarantine_dir)),
    ]
    if faults:
        raise InstallError("\n".join(faults))
    return folders


def missing(folders: list[HotFolder]) -> list[str]:
    """Folders that are not there, or that we may not use."""
    return [fault for folder in folders if (fault := fault_of(folder))]


def fault_of(folder: HotFolder) -> str:
    """What is wrong with a hot folder itself; empty if nothing is."""
    try:
        if not folder.path.is_dir():
            return f"folder {folder.path} does not exist: make it, or mend folders[].path"
        is_kept = folder.originals == "keep"
        if os.access(folder.path, os.R_OK | os.X_OK | (0 if is_kept else os.W_OK)):
            return ""
        if not is_kept and os.statvfs(folder.path).f_flag & os.ST_RDONLY:
            return f"folder {folder.path} is read-only: {READ_ONLY_ADVICE}, or set originals: keep"
    except OSError as error:
        return (
            f"folder {folder.path} cannot be entered ({error.strerror}): mend the modes of the"
            " folders above; under systemd `cvunetd systemd-paths` prints what ProtectHome= hides"
        )
    return (
        f"folder {folder.path} may not be {'read' if is_kept else 'written'} by this user:"
        " change its owner or mode, or set originals: keep if it is read-only"
    )


def twins(folders: list[HotFolder]) -> list[str]:
    """Names that two folders share; a name is how the ledger tells folders apart."""
    names = [folder.name for folder in folders]
    return [
        f"two folders are named {name!r}: give each its own folders[].name"
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


def overlaps(folders: list[HotFolder], state: Path, quarantine: Path) -> list[str]:
    """Places inside each other: results would be taken for new pictures."""
    faults = []
    outputs = sorted({folder.output_root for folder in folders})
    for index, folder in enumerate(folders):
        for what, place in (
            *(("output", output) for output in outputs),
            ("state_dir", state),
            ("quarantine_dir", quarantine),
        ):
            if is_inside(place, folder.path):
                faults.append(f"{what} {place} lies inside hot folder {folder.path}: move it out")
            elif is_inside(folder.path, place):
                faults.append(f"hot folder {folder.path} lies inside {what} {place}: move it out")
        faults += [
            f"hot folders {folder.path} and {other.path} overlap: keep one of them"
            for other in folders[index + 1 :]
            if is_inside(folder.path, other.path) or is_inside(other.path, folder.path)
        ]
    return faults


def is_inside(inner: Path, outer: Path) -> bool:
    """The same place counts as inside."""
    return inner.is_relative_to(outer)
