"""Checks of what the daemon's user may do."""

import os
import pwd
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

from daemon.commands.findings import CheckContext, Finding, Severity, User, failed, passed, warned
from daemon.disk import free_space, safe_open, tree
from daemon.jobs import HotFolder
from daemon.watching import refusals, scan
from daemon.watching.ignored_names import SkippedFolders, why_left
from daemon.watching.refusals import Refusal

#: So many are looked at: a hot folder may hold a whole archive.
FOLDERS, FILES = 300, 1000
MODES = {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}


def permissions(context: CheckContext) -> Iterator[Finding]:
    """Check hot folders, and the folders that we write."""
    me = os.geteuid()
    if me not in (0, context.user.uid):
        yield warned(
            "permissions",
            f"the state folder belongs to {context.user.name}: another user can check little here",
            f"sudo -u {context.user.name} cvunetd doctor{context.config_option}",
        )
        return
    for folder in context.folders:
        if folder.has_uploads:  # the daemon makes it
            yield check_own_folder(context.user, folder.name, folder.path)
            continue
        is_kept = folder.originals == "keep"
        yield check_hot_folder(context.user, folder.name, folder.path, "rx" if is_kept else "rwx")
    backgrounds = {folder.rendering.background for folder in context.folders}
    for path in sorted(one for one in backgrounds if isinstance(one, Path)):
        yield check_background(context.user, path)
    for path in context.outputs:
        yield check_own_folder(context.user, "output", path)
    yield check_own_folder(context.user, "quarantine", context.quarantine)
    yield check_own_folder(context.user, "state", context.state)


def pictures(context: CheckContext) -> Iterator[Finding]:
    """Check whether the pictures and sub-folders of each hot folder can be taken from."""
    asker = asker_for(context.user)
    for folder in context.folders:
        check = f"pictures of {folder.name}"
        found: dict[str, list[Refusal]] = {}
        try:
            looked_at = list(places_of(folder))
        except OSError:
            continue  # `permissions` tells that the folder itself cannot be used
        for path in looked_at:
            if (refusal := refusals.find(folder, path, asker)) is not None:
                found.setdefault(refusal.reason, []).append(refusal)
        for reason, alike in found.items():
            yield failed(check, f"cannot be taken: {reason}", alike[0].mend)
        if not found:
            yield passed(
                check, f"{len(looked_at)} files and sub-folders looked at: all can be taken"
            )


def places_of(folder: HotFolder) -> Iterator[Path]:
    """Yield a name in each folder and the files of a hot folder, but not too many."""
    left_out = SkippedFolders(folder)
    below = scan.folders(folder.path, is_deep=folder.recursive, skipped=left_out)
    yield from (place / "any picture" for place in islice(below, FOLDERS) if place != folder.path)
    files = scan.pictures(folder.path, recursive=folder.recursive, skipped=left_out)
    yield from islice((path for path in files if not why_left(path, folder)), FILES)


def asker_for(user: User) -> refusals.Asker:
    """Return the daemon's user; where we may not ask for it, nothing counts as forbidden."""
    can_ask = os.geteuid() in (0, user.uid)

    @cache
    def may_it(path: Path, modes: str) -> bool:
        return not can_ask or may(user, path, modes)

    return refusals.Asker(user.name, user.uid, user.group, may_it)


def check_hot_folder(user: User, name: str, path: Path, modes: str) -> Finding:
    """Check a hot folder, which must exist: somebody drops pictures into it."""
    check = f"permissions of {name}"
    quoted = shlex.quote(str(path))
    if not os.path.lexists(path) and may(user, tree.nearest_existing(path), "x"):
        remedy = f"install -d -o {user.name} -g {user.group} -m 2770 {quoted}"
        return failed(check, f"{path} does not exist", remedy)
    return check_folder(check, user, path, modes)


def check_background(user: User, path: Path) -> Finding:
    """Check a picture or clip that results are put on."""
    check, quoted = "permissions of background", shlex.quote(str(path))
    if (fault := unreachable(check, user, path)) is not None:
        return fault
    if not may(user, path, "r"):
        return failed(check, f"{path} may not be read by {user.name}", f"chmod a+r {quoted}")
    return passed(check, f"{path} may be read by {user.name}")


def unreachable(check: str, user: User, path: Path, *, where: str = "") -> Finding | None:
    """Return that a user may not enter some folder above a path; None if all are open.

    ``where``: words before the path.
    """
    closed = next((above for above in reversed(path.parents) if not may(user, above, "x")), None)
    if closed is None:
        return None
    text = f"{where}{path} cannot be reached: {closed} is closed to {user.name}"
    return failed(check, text, f"chmod o+x {shlex.quote(str(closed))}")


def check_own_folder(user: User, what: str, path: Path) -> Finding:
    """Check a folder that we make if it is missing; we must be able to write its files."""
    check = f"permissions of {what}"
    if os.path.lexists(path):
        # Into the others people may put files of theirs, such as .DS_Store.
        prefix = "" if what == "state" else safe_open.CLAIMS
        own = [one for one in files_in(path) if one.name.startswith(prefix)]
        foreign = [one for one in own if not may(user, one, "w")]
        if foreign and may(user, path, "wx"):
            text = f"{foreign[0]} is not writable for {user.name}"
            return failed(check, text, f"chown -R {user.name}: {shlex.quote(str(path))}")
        return check_folder(check, user, path, "rwx")
    found = check_folder(check, user, tree.nearest_existing(path), "rwx")
    if found.severity is not Severity.PASS:
        return found
    return passed(check, f"{path} is made when it is needed: {found.text}")


def files_in(path: Path) -> list[Path]:
    """Return the files directly in a folder, such as the ledger; none if they cannot be listed."""
    try:
        return [one for one in path.iterdir() if one.is_file()]
    except OSError:
        return []


def check_folder(check: str, user: User, path: Path, modes: str) -> Finding:
    """Check whether a folder can be used in this way."""
    words = {"rx": "read", "rwx": "read and written"}[modes]
    if (fault := unreachable(check, user, path)) is not None:
        return fault
    quoted = shlex.quote(str(path))
    if not path.is_dir():
        return failed(check, f"{path} is no folder", f"mv {quoted} {quoted}.old")
    if "w" in modes and free_space.is_read_only(path):
        mount = next(place for place in (path, *path.parents) if place.is_mount())
        text = f"{path} is on a file system that is mounted read-only"
        return failed(check, text, f"mount -o remount,rw {shlex.quote(str(mount))}")
    if not may(user, path, modes):
        group = f"chgrp {user.group} {quoted} && chmod g+{modes}s {quoted}"
        return failed(check, f"{path} may not be {words} by {user.name}", group)
    return passed(check, f"{path} may be {words} by {user.name}")


def may(user: User, path: Path, modes: str) -> bool:
    """Whether the daemon's user may do that; asked in a process of that user if we are another."""
    if user.uid == os.geteuid():
        wanted = sum(MODES[mode] for mode in modes)
        return os.access(path, wanted, effective_ids=True)
    tests = " -a ".join(f"-{mode} {shlex.quote(str(path))}" for mode in modes)
    asked = subprocess.run(
        ["/bin/sh", "-c", f"test {tests}"],
        user=user.uid,
        group=user.gid,
        extra_groups=groups(user),
        cwd="/",
        check=False,
    )
    return asked.returncode == 0


def groups(user: User) -> list[int]:
    """Return all groups of a user; for one without a name, its own group."""
    try:
        return os.getgrouplist(pwd.getpwuid(user.uid).pw_name, user.gid)
    except KeyError:
        return [user.gid]
