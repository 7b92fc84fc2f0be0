"""Checks of the service: its state, its unit, its libraries, its monitors."""

import importlib.util
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from daemon.commands.findings import (
    CheckContext,
    Finding,
    User,
    failed,
    passed,
    skipped,
    warned,
)
from daemon.commands.status import from_ledger
from daemon.config.folders import resolve
from daemon.disk import lock
from daemon.errors import InstallError
from daemon.ledger import database
from daemon.ledger import ledger as ledgers

NAME = "cvunetd.service"
UNIT_FOLDERS = tuple(
    map(Path, ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"))
)
SCORE = re.compile(r"Overall exposure level for \S+: (\d+(?:\.\d+)?)")
GOOD_SCORE = 2.0
TIMEOUT_S = 30.0
WEB_LIBRARIES = ("starlette", "uvicorn", "python_multipart")
WORDS = ("stop", "start")


def daemon_state(context: CheckContext) -> Iterator[Finding]:
    """Check what the daemon reports."""
    if context.pid is None:
        yield warned("daemon", "it is not running", start_command(context))
        return
    if not context.report:
        yield passed("daemon", f"process {context.pid} loads its model")
        return
    yield passed("daemon", f"process {context.pid} serves on {context.report.get('device')}")
    restart = "systemctl restart cvunetd" if unit_file() else f"kill {context.pid}; cvunetd run"
    for why in context.report.get("stalled", ()):
        yield failed("daemon", f"no progress: {why}", restart)
    for name, reason in context.report.get("standby", {}).items():
        text = f"{name} stands by: {reason}"
        yield failed("daemon", text, "fix what it says; the folder resumes by itself within 10 s")
    yield from refused(context)
    for name, reason in context.report.get("polled", {}).items():
        folder = next((folder for folder in context.folders if folder.name == name), None)
        if folder is not None and folder.watch != "polling":
            _, _, command = reason.partition("allow more: ")
            yield warned("daemon", f"{name} is polled: {reason}", command or "nothing need be done")


def start_command(context: CheckContext) -> str:
    """Return what starts the daemon; if there is no configuration, also what makes one."""
    if unit_file():
        return "systemctl start cvunetd"
    named = context.config_option
    return f"cvunetd run{named}" if named else "cvunetd init && cvunetd run"


def refused(context: CheckContext) -> Iterator[Finding]:
    """Yield which files the daemon could not take, one for each folder."""
    for name, state in context.report.get("folders", {}).items():
        for one in state.get("refusals", [])[:1]:
            text = f"{state['refused']} of {name} cannot be taken, such as {one['path']}"
            yield failed("daemon", f"{text}: {one['reason']}", one["mend"])


def ledger(context: CheckContext) -> Iterator[Finding]:
    """Check whether the ledger can be read. A damaged one is moved; claimed pictures are redone."""
    path = context.state / ledgers.FILE
    if not path.exists():
        yield skipped("ledger", f"{path} is not there: nothing was ever done")
        return
    if not os.access(path, os.R_OK):
        yield skipped("ledger", f"{path} may not be read by this user: ask as root")
        return
    _, trouble = from_ledger(path, now=context.now)
    if not trouble:
        yield passed("ledger", f"{path} can be read")
        return
    yield failed("ledger", trouble, remedy(trouble, path))


def remedy(trouble: str, path: Path) -> str:
    """Return how to repair it: a damaged ledger is moved; other errors say it themselves."""
    if database.DAMAGED in trouble:
        stop, start = (f"systemctl {verb} cvunetd" if unit_file() else "true" for verb in WORDS)
        old, files = shlex.quote(str(path.parent / "old")), f"{shlex.quote(str(path))}*"
        return f"{stop}; mkdir -p {old} && mv {files} {old}/ && {start}"
    advice = trouble.rpartition(": ")[2]
    return advice if advice.startswith(("start ", "upgrade")) else "dmesg | tail"


def unit(context: CheckContext) -> Iterator[Finding]:
    """Check the installed unit: its exposure, and whether it may write where we have to."""
    path = unit_file()
    if path is None:
        yield skipped("unit", f"no {NAME} is installed")
        return
    yield score(path)
    text = unit_text(path)
    yield from writable(context, text)
    if "Type=notify" in text and importlib.util.find_spec("systemd") is None:
        yield failed(
            "systemd-python",
            "the unit waits to be told that the daemon is ready, and nothing can tell it",
            f"{sys.executable} -m pip install 'cvunet-daemon[systemd]'",
        )


def unit_file() -> Path | None:
    """Return the path of the installed unit; None if there is none."""
    return next((folder / NAME for folder in UNIT_FOLDERS if (folder / NAME).is_file()), None)


def unit_user() -> pwd.struct_passwd | None:
    """Return the user of the installed unit; None if there is no unit or no such user."""
    path = unit_file()
    names = [] if path is None else unit_values(unit_text(path), "User")
    try:
        return pwd.getpwnam(names[-1]) if names else None
    except KeyError:
        return None


def owner(state: Path) -> User:
    """Return who ran the daemon here, else the unit's user, else the folder's owner, else us."""
    named = unit_user()
    if named is not None and not (state / lock.FILE).exists():
        return User(named.pw_name, named.pw_uid, named.pw_gid)
    for path in (state / lock.FILE, state):
        if path.exists():
            return user_of(path.stat().st_uid, path.stat().st_gid)
    return user_of(os.geteuid(), os.getegid())


def user_of(uid: int, gid: int) -> User:
    """Return a user with its own group; one without a name is shown by its number."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return User(str(uid), uid, gid)
    return User(entry.pw_name, uid, entry.pw_gid)


def unit_text(path: Path) -> str:
    """Return the text of a unit and of its drop-ins."""
    return "\n".join(one.read_text(encoding="utf-8") for one in (path, *drop_ins()))


def drop_ins() -> list[Path]:
    """Return the unit's drop-ins."""
    return sorted(one for folder in UNIT_FOLDERS for one in folder.glob(f"{NAME}.d/*.conf"))


def score(path: Path) -> Finding:
    """Check the unit's exposure by `systemd-analyze security`; 0 is closed, 10 is open."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return skipped("unit's score", "systemd-analyze is not there")
    command = [program, "security", "--offline=true", "--no-pager", str(path)]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return skipped("unit's score", "systemd-analyze does not answer")
    found = SCORE.search(asked.stdout)
    if found is None:
        return skipped("unit's score", f"systemd-analyze gave none: {asked.stderr.strip()[:200]}")
    exposure = float(found[1])
    text = f"{path} has an exposure of {exposure:g}; up to {GOOD_SCORE:g} is well"
    if exposure > GOOD_SCORE:
        return warned("unit's score", text, f"see what is open: {shlex.join(command)}")
    return passed("unit's score", text)


def writable(context: CheckContext, text: str) -> Iterator[Finding]:
    """Check the unit's writable paths: ProtectSystem=strict needs all of them named."""
    if "ProtectSystem=strict" not in text:
        return
    words = [*unit_values(text, "ReadWritePaths"), *unit_values(text, "BindPaths")]
    named = [word.lstrip("+-").replace("%%", "%") for word in words]
    allowed = [Path(word) for word in named]
    allowed += [Path("/var/lib") / word for word in unit_values(text, "StateDirectory")]
    hot = [folder.path for folder in context.folders if folder.originals != "keep"]
    wanted = [*hot, *context.outputs, context.quarantine, context.state]
    missing = [path for path in wanted if not any(path.is_relative_to(place) for place in allowed)]
    if not missing:
        yield passed("unit's paths", "the unit may write all that it has to")
        return
    folder = f"/etc/systemd/system/{NAME}.d"
    mend = (
        f"mkdir -p {folder} && cvunetd systemd-paths{context.config_option} > {folder}/paths.conf"
        " && systemctl daemon-reload && systemctl restart cvunetd"
    )
    yield failed("unit's paths", f"the unit may not write {missing[0]}", mend)


def unit_values(text: str, key: str) -> list[str]:
    """Return all words of a setting; an empty setting resets earlier ones."""
    words: list[str] = []
    for line in text.splitlines():
        name, is_set, value = line.strip().partition("=")
        if is_set and name == key:
            words = [*words, *shlex.split(value)] if value.strip() else []
    return words


def page(context: CheckContext) -> Iterator[Finding]:
    """Check what the page and the API need."""
    listen = context.config.web.listen
    missing = [name for name in WEB_LIBRARIES if importlib.util.find_spec(name) is None]
    if listen is None:
        yield skipped("page", "web.listen is null")
    elif missing:
        yield failed(
            "page",
            f"web.listen is {listen}, but {missing[0]} is missing",
            f"{sys.executable} -m pip install 'cvunet-daemon[web]'",
        )
    else:
        yield passed("page", f"served at {listen}")
        yield from page_keys(context)
    for folder in context.config.web.server_folders:
        place = resolve(context.base, folder)
        if not place.is_dir():
            text = f"web.server_folders: {place} is no folder, or out of reach"
            yield warned("page", text, f"make it, or drop it from {context.config_path}")


def page_keys(context: CheckContext) -> Iterator[Finding]:
    """Check whether the page's file of keys can be read; a user who may not do so finds nothing."""
    if context.config.web.keys_file is None:
        return
    from daemon.web.keys import read_keys  # few have keys

    path = resolve(context.base, context.config.web.keys_file)
    if path.exists() and not os.access(path, os.R_OK):
        yield skipped("page", f"{path} may not be read by this user: ask as root")
        return
    try:
        read_keys(path)
    except InstallError as error:
        mend = f"put a line into {path} that `cvunetd web-key NAME` prints"
        yield failed("page", str(error), mend)


def monitors(context: CheckContext) -> Iterator[Finding]:
    """Check what the configured address needs."""
    listen = context.config.metrics.listen
    if listen is None:
        yield skipped("metrics", "metrics.listen is null")
    elif importlib.util.find_spec("prometheus_client") is None:
        yield failed(
            "metrics",
            f"metrics.listen is {listen}, but prometheus-client is missing",
            f"{sys.executable} -m pip install 'cvunet-daemon[metrics]'",
        )
    else:
        yield passed("metrics", f"told at {listen}")
