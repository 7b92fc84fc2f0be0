"""The section `worker.ray:` of `config.yaml`: the cluster of `worker.engine: ray`."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from daemon.config.output_schema import Positive, Section

ADDRESS = re.compile(r"local|(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}")
RESOURCE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class MappedPath(Section):
    """A folder that some nodes see under another path."""

    here: Path
    there: Path
    nodes: str = "*"

    @field_validator("here", "there")
    @classmethod
    def check_absolute(cls, value: Path) -> Path:
        """Check that a path means the same whatever the current folder is."""
        if not value.is_absolute():
            raise ValueError("a path of worker.ray.paths begins with /")
        return value


class Ray(Section):
    """A cluster, and how it is used."""

    address: str = "127.0.0.1:6379"
    namespace: Annotated[str, Field(min_length=1)] = "cvunetd"
    resource: str = "cvunetd"
    concurrency: Annotated[int, Field(ge=1)] | None = None
    silence_s: Annotated[float, Field(ge=5)] = 30.0
    auth: Literal["token", "none"] = "token"
    token_file: Path | None = None
    runtime_env: dict[str, Any] | None = None  # Any: passed on to Ray as it is
    paths: tuple[MappedPath, ...] = ()
    transport: Literal["share", "object-store"] = "share"
    transport_mb: Positive = 50.0

    @field_validator("address")
    @classmethod
    def check_address(cls, value: str) -> str:
        """Accept the address of a head, or that there is to be a cluster of our own."""
        if not ADDRESS.fullmatch(value):
            raise ValueError("an address is that of Ray's head, as 10.0.0.5:6379, or local")
        return value

    @field_validator("resource")
    @classmethod
    def check_resource(cls, value: str) -> str:
        """Accept a name that Ray has not given a meaning of its own."""
        if not RESOURCE.fullmatch(value) or value in ("CPU", "GPU", "memory"):
            raise ValueError("a resource is a name of letters and digits, not CPU, GPU or memory")
        return value
