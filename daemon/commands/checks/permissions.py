"""Whether the daemon's user may do what it has to."""

import os
import pwd
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

from daemon.commands.checks.places import nearest
from daemon.commands.findings import Finding, Person, Scene, failed, passed, warned
from daemon.disk import free_space

MODES = {"r": os.R_OK, "w": os.W_OK, "x": os.X_OK}


def permissions(scene: Scene) -> Iterator[Finding]:
    """Hot folders, and the folders that we write."""
    me = os.geteuid()
    if me not in (0, scene.person.uid):
        config = shlex.quote(str(scene.config_path))
        yield warned(
            "permissions",
            f"the state folder belongs to {scene.person.name}: for others little can be told",
            f"sudo -u {scene.person.name} cvunetd doctor --config {config}",
        )
        return
    for folder in scene.folders:
        is_kept = folder.originals == "keep"
        yield of_hot_folder(scene.person, folder.name, folder.path, "rx" if is_kept else "rwx")
    for path in scene.outputs:
        yield of_our_folder(scene.person, "output", path)
    yield of_our_folder(scene.person, "quarantine", scene.quarantine)
    yield of_our_folder(scene.person, "state", scene.state)


def of_hot_folder(person: Person, name: str, path: Path, modes: str) -> Finding:
    """It has to be there: somebody drops pictures into it."""
    check = f"permissions of {name}"
    quoted = shlex.quote(str(path))
    if not os.path.lexists(path) and may(person, nearest(path), "x"):
        remedy = f"install -d -o {person.name} -g {person.group} -m 2770 {quoted}"
        return failed(check, f"{path} does not exist", remedy)
    return judged(check, person, path, modes)


def of_our_folder(person: Person, what: str, path: Path) -> Finding:
    """We make it where it is missing; what is in it must be ours, too."""
    check = f"permissions of {what}"
    if os.path.lexists(path):
        foreign = [one for one in ours(path) if not may(person, one, "w")]
        if foreign and may(person, path, "wx"):
            text = f"{foreign[0]} is not writable for {person.name}"
            return failed(check, text, f"chown -R {person.name}: {shlex.quote(str(path))}")
    return judged(check, person, nearest(path), "rwx")


def ours(path: Path) -> list[Path]:
    """Files that lie in a folder itself, such as the ledger; none where they cannot be seen."""
    try:
        return [one for one in path.iterdir() if one.is_file()]
    except OSError:
        return []


def judged(check: str, person: Person, path: Path, modes: str) -> Finding:
    """May this folder be used so?"""
    words = {"rx": "read", "rwx": "read and written"}[modes]
    closed = next((above for above in reversed(path.parents) if not may(person, above, "x")), None)
    if closed is not None:
        text = f"{path} cannot be reached: {closed} is closed to {person.name}"
        return failed(check, text, f"chmod o+x {shlex.quote(str(closed))}")
    quoted = shlex.quote(str(path))
    if not path.is_dir():
        return failed(check, f"{path} is no folder", f"mv {quoted} {quoted}.old")
    if "w" in modes and free_space.is_read_only(path):
        mount = next(place for place in (path, *path.parents) if place.is_mount())
        text = f"{path} is on a file system that is mounted read-only"
        return failed(check, text, f"mount -o remount,rw {shlex.quote(str(mount))}")
    if not may(person, path, modes):
        group = f"chgrp {person.group} {quoted} && chmod g+{modes}s {quoted}"
        return failed(check, f"{path} may not be {words} by {person.name}", group)
    return passed(check, f"{path} may be {words} by {person.name}")


def may(person: Person, path: Path, modes: str) -> bool:
    """The daemon's user may do that; asked by its own process where we are somebody else."""
    if person.uid == os.geteuid():
        wanted = sum(MODES[mode] for mode in modes)
        return os.access(path, wanted, effective_ids=True)
    tests = " -a ".join(f"-{mode} {shlex.quote(str(path))}" for mode in modes)
    asked = subprocess.run(
        ["/bin/sh", "-c", f"test {tests}"],
        user=person.uid,
        group=person.gid,
        extra_groups=groups(person),
        cwd="/",
        check=False,
    )
    return asked.returncode == 0


def groups(person: Person) -> list[int]:
    """All groups of a user; of one without a name, its own."""
    try:
        return os.getgrouplist(pwd.getpwuid(person.uid).pw_name, person.gid)
    except KeyError:
        return [person.gid]
