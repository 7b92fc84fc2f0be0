"""From the configuration to values for other parts: absolute paths, merged settings, checks."""

import os
import stat
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from daemon.config import overlaps, video
from daemon.config.addresses import Address, SocketFile
from daemon.config.model_names import model_faults, model_names, second_of
from daemon.config.output_schema import Crop, Output, OutputOverrides
from daemon.config.overrides import merged_output, merged_postprocess
from daemon.config.postprocess_schema import Colours, Postprocess, PostprocessOverrides
from daemon.config.schema import Config, Folder
from daemon.disk import drop_names, safe_open
from daemon.errors import (
    READ_ONLY_ADVICE,
    InstallError,
    MachineError,
    describe,
    explain,
    is_temporary,
)
from daemon.jobs import HotFolder
from daemon.renderings import Adjustments, Framing, Rendering

#: The name of the hot folder that uploads go to.
UPLOADS = "web"
UPLOAD_SETTLE_S = 0.01
WHITE = (255, 255, 255)
DEEP_FORMATS = ("png", "tiff")  # as in the library, which is not loaded just to check a file


def resolve(base: Path, path: Path) -> Path:
    """Return an absolute path with links resolved: two names of one place must compare equal."""
    try:
        return (base / path.expanduser()).resolve()
    except (RuntimeError, ValueError) as error:  # no such user, links in a circle, a null character
        raise InstallError(f"path {str(path)!r} leads nowhere: {error}") from error


def resolve_address(base: Path, address: Address) -> Address:
    """Return the address; a socket's relative path starts at the configuration's folder."""
    return SocketFile(resolve(base, address.path)) if isinstance(address, SocketFile) else address


def rendering(base: Path, output: Output, post: Postprocess) -> Rendering:
    """Return how results of one folder are made."""
    if output.depth == 16 and output.format not in DEEP_FORMATS:
        raise InstallError(
            f"output.depth is 16, and output.format {output.format} has 8 bits: write format: png"
            " or tiff, or depth: auto"
        )
    background = parse_background(base, output.background)
    if output.format == "jpeg" and output.content != "alpha":
        background = background or WHITE  # JPEG has no transparency
    return Rendering(
        format=output.format,
        content=output.content,
        background=background,
        depth=output.depth,
        metadata=output.metadata,
        framing=framing(output.crop),
        kernel=post.kernel,
        filter=post.filter,
        diameter=post.diameter,
        sigma_color=post.sigma_color,
        sigma_space=post.sigma_space,
        decontaminate=post.decontaminate,
        colours=post.colours,
        hair=post.hair,
        keep_haze=post.keep_haze,
        bleed=output.bleed,
        adjustments=Adjustments(**post.adjust.model_dump()),
    )


def parse_background(base: Path, text: str | None) -> tuple[int, int, int] | Path | None:
    """Turn ``#rrggbb`` into 0..255, anything else into a picture's absolute path."""
    if text is None:
        return None
    if not text.startswith("#"):
        return resolve(base, Path(text))
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def framing(crop: Crop) -> Framing:
    """Return the crop as numbers; a canvas has its own aspect, and no other may contradict it."""
    canvas, aspect = crop.canvas, None
    if crop.aspect != "none":
        width, height = map(float, crop.aspect.split(":"))
        aspect = width / height
    if canvas == "none":
        return Framing(
            crop.mode, crop.threshold, crop.margin, aspect, None, crop.align, crop.enlarge
        )
    wanted = canvas[0] / canvas[1]
    if aspect is not None and abs(aspect / wanted - 1) > 0.01:
        raise InstallError(
            f"output.crop: aspect {crop.aspect} and canvas {canvas[0]}x{canvas[1]} contradict each"
            " other: leave out aspect"
        )
    return Framing(crop.mode, crop.threshold, crop.margin, wanted, canvas, crop.align, crop.enlarge)


def hot_folder(config: Config, base: Path, folder: Folder) -> HotFolder:
    """Return one folder's values."""
    output = merged_output(config, folder.output)
    path = resolve(base, folder.path)
    try:
        post = merged_postprocess(config, folder.postprocess)
    except InstallError as error:
        raise InstallError(f"folder {path}: {error}") from error
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
        rendering=rendering(base, output, post),
        clash=output.clash,
        review_below=output.review.below,
        second=second_of(output),
        ignore=folder.ignore,
        model=folder.model or model_names(config)[0],
        drop_name=checked_drop_name(output.drop_name, folder.name or path.name),
        prune=folder.prune,
        clips=video.mode_of(folder.video, can_cut=not video.obstacle(config)),
        video=video.video_of(config, output),
    )


def checked_drop_name(template: str, folder: str) -> str:
    """Return the template of a folder's drops; `InstallError` if their names would be too long."""
    name = drop_names.drop_name(template, time="0" * 14, folder=folder)
    if len(os.fsencode(name)) <= drop_names.MAX_BYTES and not name.startswith("."):
        return template
    raise InstallError(
        f"output.drop_name {template!r} makes {name!r} of folder {folder!r}: a drop's name has at"
        f" most {drop_names.MAX_BYTES} bytes and does not begin with a dot"
    )


def all_folders(config: Config, base: Path) -> list[HotFolder]:
    """Return every folder's values, unchecked: a folder need not exist.

    `InstallError` has a line for each folder whose settings contradict each other.
    """
    found, faults = [], []
    for folder in config.folders:
        try:
            found.append(hot_folder(config, base, folder))
        except InstallError as error:
            faults.append(str(error))
    if faults:
        raise InstallError("\n".join(faults))
    uploads = uploads_folder(config, base)
    return found if uploads is None else [*found, uploads]


def uploads_folder(config: Config, base: Path) -> HotFolder | None:
    """Return the hot folder of the page and the API; None if there is none."""
    if config.web.folder is None:
        return None
    # Uploads are whole when they appear: nothing has to settle, and waiting mends nothing.
    own = Folder(path=config.web.folder, name=UPLOADS, settle_s=UPLOAD_SETTLE_S, defer_s=0)
    own = own.model_copy(update={"output": config.web.output})
    return replace(hot_folder(config, base, own), has_uploads=True)


def hot_folders(
    config: Config, base: Path, *, known: Container[Path] = frozenset()
) -> list[HotFolder]:
    """Return all folders, checked against each other; `InstallError` has a line for each fault.

    ``known`` are hot folders that work already: if the share of one is away now, we wait for it.
    """
    folders = all_folders(config, base)
    faults = [
        *state_faults(resolve(base, config.state_dir)),
        *missing([folder for folder in folders if folder.path not in known]),
        *missing_backgrounds(folders),
        *overlaps.backgrounds_in_hot(folders),
        *video.missing(config, folders),
        *(fault for folder in folders for fault in model_faults(folder, model_names(config))),
        *overlaps.duplicate_names(folders),
        *overlaps.overlaps(
            folders, resolve(base, config.state_dir), resolve(base, config.quarantine_dir)
        ),
    ]
    if faults:
        raise InstallError("\n".join(faults))
    return folders


def missing(folders: list[HotFolder]) -> list[str]:
    """Return faults of folders that do not exist, or that we may not use."""
    return [fault for folder in folders if (fault := fault_of(folder))]


def state_faults(state: Path) -> list[str]:
    """Return that the state folder cannot be one: a file has its name, or one of those above."""
    taken = next((one for one in (state, *state.parents) if os.path.lexists(one)), state)
    if os.path.isfile(taken):  # noqa: PTH113  # False also where it cannot be looked at
        return [
            f"state_dir {state} cannot be a folder: {taken} is a file; move it, or name another"
        ]
    return []


def backgrounds(config: Config, base: Path) -> tuple[Path, ...]:
    """Return all backgrounds that are files: pictures and clips."""
    own = (OutputOverrides(), config.web.output, *(folder.output for folder in config.folders))
    found = (parse_background(base, merged_output(config, each).background) for each in own)
    return tuple(sorted({path for path in found if isinstance(path, Path)}))


def needed_colours(config: Config) -> Colours:
    """Return what has to be installed for the common settings and for those of all folders.

    "refine" means the extra of that name.
    """
    common = config.postprocess
    for own in (PostprocessOverrides(), *(folder.postprocess for folder in config.folders)):
        colours = own.colours or common.colours
        is_used = common.decontaminate if own.decontaminate is None else own.decontaminate
        if is_used and colours == "refine":  # colours that are never estimated need no extra
            return "refine"
        if (own.hair or common.hair) == "exact":
            return "refine"
    return "fast"


def missing_backgrounds(folders: list[HotFolder]) -> list[str]:
    """Return faults of backgrounds that do not exist."""
    backgrounds = {folder.rendering.background for folder in folders}
    return [
        f"background {path} is no file: correct output.background"
        for path in sorted(path for path in backgrounds if isinstance(path, Path))
        if not os.path.isfile(path)  # noqa: PTH113  # False also where it cannot be looked at
    ]


def fault_of(folder: HotFolder) -> str:
    """Return what is wrong with a hot folder itself; empty if nothing is."""
    try:
        if not is_dir(folder.path):
            if folder.has_uploads:  # ours: it is made with its lock
                return ""
            return f"folder {folder.path} does not exist: make it, or correct folders[].path"
        is_kept, claims = folder.originals == "keep", folder.path / safe_open.CLAIMS
        if os.access(folder.path, os.R_OK | os.X_OK | (0 if is_kept else os.W_OK)):
            if is_kept or not claims.is_symlink():
                return ""
            return f"{claims} is a link, which claimed pictures would follow: remove it"
        if not is_kept and os.statvfs(folder.path).f_flag & os.ST_RDONLY:
            return f"folder {folder.path} is read-only: {READ_ONLY_ADVICE}, or set originals: keep"
    except OSError as error:
        if is_temporary(error):  # systemd will try again
            raise MachineError(f"folder {folder.path}: {describe(error)}") from error
        return (
            f"folder {folder.path} cannot be entered ({explain(error)}): correct the modes of the"
            " folders above; under systemd `cvunetd systemd-paths` prints what ProtectHome= hides"
        )
    return (
        f"folder {folder.path} may not be {'read' if is_kept else 'written'} by this user:"
        " change its owner or mode, or set originals: keep if it is read-only"
    )


def is_dir(path: Path) -> bool:
    """Like `Path.is_dir`, which since Python 3.14 also returns False for a share that is down."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
