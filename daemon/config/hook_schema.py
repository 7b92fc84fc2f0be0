"""The section `hooks:` of `config.yaml`: which hook gets which event."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from daemon.config import destinations
from daemon.config.output_schema import Count, Positive, Section

CREDENTIAL = re.compile(r"[A-Za-z0-9._-]{1,200}")
NAME = re.compile(r"[A-Za-z0-9._-]{1,60}")
#: The keys of `hooks:` that have entries.
EVENTS = ("on_done", "on_failed", "on_drop_closed")
Word = Annotated[str, Field(min_length=1)]


class HookEntry(Section):
    """One listener: a command, or a URL."""

    name: str | None = None
    command: Annotated[list[Word], Field(min_length=1)] | None = None
    url: str | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    secret: str | None = None
    secret_file: Path | None = None
    ca_file: Path | None = None
    allow_private: bool = False
    allow_http: bool = False

    @field_validator("name")
    @classmethod
    def check_name(cls, value: str | None) -> str | None:
        """Check that the name is one word, for logs and metrics."""
        if value is not None and NAME.fullmatch(value) is None:
            raise ValueError("a hook's name has letters, digits and . _ - only, 60 at most")
        return value

    @field_validator("command")
    @classmethod
    def check_command(cls, value: list[str] | None) -> list[str] | None:
        """Check that the system can run the command."""
        if value is not None and any("\0" in word for word in value):
            raise ValueError("a command has no null characters")
        return value

    @field_validator("url")
    @classmethod
    def check_url(cls, value: str | None) -> str | None:
        """Check the form of the URL only: its name is resolved when it is needed."""
        if value is not None:
            destinations.parse(value)
        return value

    @field_validator("secret")
    @classmethod
    def check_secret(cls, value: str | None) -> str | None:
        """Check the name of the secret; the secret itself is never written here."""
        if value is not None and (CREDENTIAL.fullmatch(value) is None or value in (".", "..")):
            raise ValueError("secret is the name of a systemd credential: LoadCredential=NAME:FILE")
        return value

    @model_validator(mode="after")
    def check_kind(self) -> "HookEntry":
        """Check that there is either a command or a URL, and only the keys that belong to it."""
        if (self.command is None) == (self.url is None):
            raise ValueError("a hook has either a command or a url")
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("a hook has either secret or secret_file")
        if self.command is not None and self.model_fields_set & FOR_URLS:
            misplaced = ", ".join(sorted(self.model_fields_set & FOR_URLS))
            raise ValueError(f"{misplaced}: only for a url")
        if self.url is not None:
            self.check_reach(destinations.parse(self.url))
        return self

    def check_reach(self, place: destinations.Destination) -> None:
        """Check the URL as far as this is possible without DNS."""
        if place.scheme == "http" and not (self.allow_http and self.allow_private):
            raise ValueError(
                "http:// can be read and changed on its way: write https://, or, for a private"
                " address, allow_http: true and allow_private: true"
            )
        if place.literal is not None:
            try:
                destinations.check(str(place.literal), place, allow_private=self.allow_private)
            except destinations.Forbidden as error:
                raise ValueError(str(error)) from error


#: Keys that have no meaning for a command.
FOR_URLS = frozenset({"secret", "secret_file", "ca_file", "allow_private", "allow_http"})


Entries = Annotated[list[HookEntry], Field(max_length=20)]


class Hooks(Section):
    """All listeners by event."""

    on_done: Entries = Field(default=[])
    on_failed: Entries = Field(default=[])
    on_drop_closed: Entries = Field(default=[])
    give_up_s: Positive = 86_400.0
    max_waiting: Count = 10_000


def entries(hooks: Hooks) -> Iterator[tuple[str, str, HookEntry]]:
    """Yield each entry with its place in the file and its event."""
    for event in EVENTS:
        for number, entry in enumerate(getattr(hooks, event)):
            yield f"hooks.{event}[{number}]", event, entry
