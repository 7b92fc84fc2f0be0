"""From the configuration to working hooks: checks programs, keys and certificates."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from daemon.config import destinations
from daemon.config.folders import resolve
from daemon.config.hook_schema import HookEntry, Hooks, entries
from daemon.errors import InstallError, describe
from daemon.hooks.commands import CommandSender
from daemon.hooks.signature import credential, read_key
from daemon.notices import Command, Hook, Sender, Subscriptions, Webhook
from daemon.reporting.notify import for_children

MISSING = (
    "a url needs urllib3 2, which cannot be loaded ({}):"
    " pip install 'cvunet-daemon[hooks]', or use a command"
)


def program_path(base: Path, word: str) -> Path:
    """Return the absolute path of a program that is named by a path.

    Links stay: some programs depend on the name that they are called by.
    """
    return Path(os.path.abspath(base / os.path.expanduser(word)))  # noqa: PTH100, PTH111


class HookLoader:
    """Knows the base of relative paths, and the environment for programs and credentials."""

    def __init__(
        self, base: Path, environment: Mapping[str, str], *, is_check: bool = False
    ) -> None:
        """``is_check``: only a check, also outside of systemd, where there are no credentials."""
        self.base = base
        self.environment = environment
        self.is_check = is_check

    def subscriptions(self, hooks: Hooks) -> Subscriptions:
        """Return all hooks; `InstallError` has a line for each fault."""
        found: dict[str, Hook] = {}
        places: dict[str, str] = {}
        faults = []
        for place, event, entry in entries(hooks):
            try:
                hook = self.hook(event, entry)
            except InstallError as error:
                faults.append(f"{place}: {error}")
                continue
            if hook.key in found:
                text = f"{place}: is called {hook.name} like {places[hook.key]}: give it a name"
                faults.append(text)
            found[hook.key], places[hook.key] = hook, place
        if faults:
            raise InstallError("\n".join(faults))
        return Subscriptions(tuple(found.values()), hooks.give_up_s, hooks.max_waiting)

    def hook(self, event: str, entry: HookEntry) -> Hook:
        """Return one hook."""
        target = self.command(entry) if entry.command is not None else self.webhook(entry)
        return Hook(event, name_of(entry), target, timeout_s=entry.timeout_s)

    def command(self, entry: HookEntry) -> Command:
        """Check that the program exists and may be run."""
        assert entry.command is not None
        word, *others = entry.command
        if "/" in word:
            path = str(program_path(self.base, word))
            # These functions return False on any error.
            if not os.path.isfile(path):  # noqa: PTH113
                raise InstallError(f"{path} is not there, or closed to this user")
            if not os.access(path, os.X_OK):
                raise InstallError(f"{path} is not executable: chmod +x, and the #! line")
            return Command((path, *others))
        found = shutil.which(word, path=self.environment.get("PATH", os.defpath))
        if found is None:
            raise InstallError(f"no program {word!r} in PATH: write its path")
        return Command((os.path.abspath(found), *others))  # noqa: PTH100  # as above

    def webhook(self, entry: HookEntry) -> Webhook:
        """Check that the library, the key and the certificates are there."""
        assert entry.url is not None
        check_library()
        ca_file = None if entry.ca_file is None else resolve(self.base, entry.ca_file)
        if ca_file is not None:
            check_certificates(ca_file)
        return Webhook(
            entry.url,
            key=self.key(entry),
            ca_file=ca_file,
            allow_private=entry.allow_private,
        )

    def key(self, entry: HookEntry) -> bytes | None:
        """Return the key that signs requests."""
        if entry.secret_file is not None:
            return read_key(resolve(self.base, entry.secret_file))
        if entry.secret is None or self.is_check:
            return None
        return read_key(credential(entry.secret, self.environment))

    def open_sender(self, hook: Hook) -> Sender:
        """Return the sender for a hook."""
        if isinstance(hook.target, Command):
            environment = for_children(self.environment)
            return CommandSender(hook, hook.target, environment=environment)
        from daemon.hooks.webhooks import WebhookSender

        return WebhookSender(hook, hook.target)


def name_of(entry: HookEntry) -> str:
    """Return the name of a hook, with a default; never the path of a URL: it may be a secret."""
    if entry.name is not None:
        return entry.name
    if entry.command is not None:
        return Path(entry.command[0]).name
    assert entry.url is not None
    return destinations.parse(entry.url).host


def check_library() -> None:
    """Raise `InstallError` if urllib3 is missing or too old."""
    try:
        import daemon.hooks.webhooks  # noqa: F401
    except ImportError as error:
        raise InstallError(MISSING.format(error)) from error


def check_certificates(path: Path) -> None:
    """Raise `InstallError` for a file that holds no certificates."""
    import ssl  # imported only when needed: nothing else depends on ssl

    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise InstallError(f"ca_file {path} cannot be used: {describe(error)}") from error
