"""Checks of hooks: whether programs may be run, keys are there, and the unit has a network."""

import os
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from daemon.commands.checks import service
from daemon.commands.checks.permissions import may, unreachable
from daemon.commands.findings import CheckContext, Finding, User, failed, passed, warned
from daemon.config.folders import resolve
from daemon.config.hook_schema import HookEntry, entries
from daemon.disk import tree
from daemon.errors import InstallError
from daemon.hooks.loader import HookLoader, check_library
from daemon.notices import Command

DROP_IN = "/etc/systemd/system/cvunetd.service.d/hooks.conf"
INSTALLED = "share/cvunetd/packaging/hooks.conf"


def check_entries(context: CheckContext) -> Iterator[Finding]:
    """Check each hook, then what they share."""
    found = list(entries(context.config.hooks))
    for place, event, entry in found:
        yield from check_entry(context, place, event, entry)
    if any(entry.url is not None for _, _, entry in found):
        yield certificates()
        yield from network()


def check_entry(
    context: CheckContext, place: str, event: str, entry: HookEntry
) -> Iterator[Finding]:
    """Check one hook as the start would, but as the daemon's user."""
    edit = f"${{EDITOR:-vi}} {shlex.quote(str(context.config_path))}"
    base = context.base
    try:
        hook = HookLoader(base, os.environ, is_check=True).hook(event, entry)
    except InstallError as error:
        yield failed("hooks", f"{place}: {error}", install_command(entry) or edit)
        return
    if isinstance(hook.target, Command):
        yield check_runnable(context.user, place, Path(hook.target.argv[0]))
        return
    yield passed("hooks", f"{place}: {hook.name}")
    if entry.secret_file is not None:
        yield from check_key_mode(resolve(base, entry.secret_file))
    if entry.secret is not None:
        yield from check_credential(entry.secret)


def check_runnable(user: User, place: str, program: Path) -> Finding:
    """Check whether the daemon's user can reach and run a program."""
    if (fault := unreachable("hooks", user, program, where=f"{place}: ")) is not None:
        return fault
    if not may(user, program, "x"):
        text = f"{place}: {program} may not be run by {user.name}"
        return failed("hooks", text, f"chmod a+rx {shlex.quote(str(program))}")
    if program.stat().st_mode & stat.S_IWOTH:
        text = f"{place}: {program} may be changed by everybody"
        return failed("hooks", text, f"chmod o-w {shlex.quote(str(program))}")
    return passed("hooks", f"{place}: {program} may be run by {user.name}")


def install_command(entry: HookEntry) -> str:
    """Return the command that installs what is missing; empty if nothing is."""
    try:
        if entry.url is not None:
            check_library()
    except InstallError:
        return f"{sys.executable} -m pip install 'cvunet-daemon[hooks]'"
    return ""


def check_key_mode(path: Path) -> Iterator[Finding]:
    """Warn if everybody may read a key."""
    if path.stat().st_mode & stat.S_IROTH:
        text = f"{path}, a key, may be read by everybody"
        yield warned("hooks", text, f"chmod o-rwx {shlex.quote(str(path))}")


def check_credential(name: str) -> Iterator[Finding]:
    """Check whether the installed unit loads a credential."""
    path = service.unit_file()
    if path is None:
        return
    text = service.unit_text(path)
    keys = ("LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted")
    loaded = [word.partition(":")[0] for key in keys for word in service.unit_values(text, key)]
    if name not in loaded:
        line = f"LoadCredential={name}:/etc/cvunetd/{name}.key"
        mend = f"add {line} to {DROP_IN}, then systemctl daemon-reload"
        yield failed("hooks", f"the unit loads no credential {name}", mend)


def certificates() -> Finding:
    """Check whether the system's certificates are there."""
    import ssl  # the others do not need it

    paths = ssl.get_default_verify_paths()
    found = [Path(path) for path in (paths.cafile, paths.capath) if path]  # None: nothing is there
    # The folder is there without the package ca-certificates, too, but empty.
    found = [path for path in found if path.is_file() or tree.holds_anything(path)]
    if not found:
        text = f"the system's certificates are missing ({paths.openssl_cafile})"
        return failed("hooks", text, "apt-get install ca-certificates, or set ca_file")
    return passed("hooks", f"servers are checked by {found[0]}")


def network() -> Iterator[Finding]:
    """Check whether the unit has a network; by default it has none."""
    path = service.unit_file()
    if path is None:
        return
    text = service.unit_text(path)
    is_alone = service.unit_values(text, "PrivateNetwork")[-1:] == ["yes"]
    families = service.unit_values(text, "RestrictAddressFamilies")
    if is_alone or (families and "AF_INET" not in families):
        mend = (
            f"install -m 0644 {Path(sys.prefix, INSTALLED)} {DROP_IN}"
            " && systemctl daemon-reload && systemctl restart cvunetd"
        )
        yield failed("hooks", "the unit has no network: webhooks reach nobody", mend)
    else:
        yield passed("hooks", "the unit has a network")
