"""The section `web:` of `config.yaml`: the page and the API."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from daemon.config import addresses
from daemon.config.addresses import Address, Loopback
from daemon.config.output_schema import Count, OutputOverrides, Positive, Section

HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")


class Web(Section):
    """The page and the API, off by default."""

    listen: str | None = None
    folder: Path | None = None
    output: OutputOverrides = OutputOverrides()
    keys_file: Path | None = None
    keys: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,255}$")] | None = None
    hosts: Annotated[list[str], Field(max_length=100)] = Field(default=[])
    origins: Annotated[list[str], Field(max_length=100)] = Field(default=[])
    fetch_urls: bool = False
    max_upload_mb: Positive = 100.0
    max_waiting: Count = 500
    server_folders: Annotated[list[Path], Field(max_length=20)] = Field(default=[])

    @field_validator("listen")
    @classmethod
    def check_listen(cls, value: str | None) -> str | None:
        """Accept any address; whether keys are needed is checked with all keys."""
        if value is not None:
            addresses.parse_any(value)
        return value

    @field_validator("hosts")
    @classmethod
    def check_hosts(cls, value: list[str]) -> list[str]:
        """Accept names as browsers send them, without a port."""
        return checked_each(value, HOST, "is no host name: write it without scheme and port")

    @field_validator("origins")
    @classmethod
    def check_origins(cls, value: list[str]) -> list[str]:
        """Accept origins as browsers send them."""
        return checked_each(value, ORIGIN, 'is no origin: write "https://shop.example"')

    @model_validator(mode="after")
    def check_whole(self) -> "Web":
        """Check what belongs together."""
        if self.listen is not None and self.folder is None:
            raise ValueError("listen needs a folder for uploads: write folder: uploads")
        if self.keys_file is not None and self.keys is not None:
            raise ValueError("keys and keys_file both name the keys: write one of them")
        check_keys(self.address, has_keys=self.has_keys)
        return self

    @property
    def has_keys(self) -> bool:
        """Whether a request needs a key."""
        return self.keys_file is not None or self.keys is not None

    @property
    def address(self) -> Address | None:
        """Return where to listen; None if the page is off."""
        return None if self.listen is None else addresses.parse_any(self.listen)


def checked_each(values: list[str], pattern: re.Pattern[str], fault: str) -> list[str]:
    """Return texts in lower case; `ValueError` for the first that does not match."""
    for text in values:
        if pattern.fullmatch(text) is None:
            raise ValueError(f"{text!r} {fault}")
    return [text.lower() for text in values]


def check_keys(address: Address | None, *, has_keys: bool) -> None:
    """Raise `ValueError` for an address that other machines reach, without keys."""
    if isinstance(address, Loopback) and not address.is_loopback and not has_keys:
        raise ValueError(
            f"{address.host} can be reached from other machines: set web.keys_file or"
            " web.keys (`cvunetd web-key NAME` makes a key), or listen on 127.0.0.1"
        )
