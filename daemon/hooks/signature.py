"""Signatures of notices as in https://www.standardwebhooks.com: HMAC with SHA-256."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from pathlib import Path

from daemon.errors import InstallError, explain

CREDENTIALS = "CREDENTIALS_DIRECTORY"  # set by systemd for LoadCredential=
ENCODED = "whsec_"
SHORTEST_BYTES = 16
LARGEST_BYTES = 4096


def credential(name: str, environment: Mapping[str, str]) -> Path:
    """Return the file of a systemd credential."""
    folder = environment.get(CREDENTIALS)
    if folder is None:
        raise InstallError(
            f"no credential {name!r}: let systemd start the daemon with"
            f" LoadCredential={name}:FILE, or set secret_file instead of secret"
        )
    path = Path(folder, name)
    if not path.is_file():
        raise InstallError(
            f"no credential {name!r}: add LoadCredential={name}:FILE to the unit, then restart it"
        )
    return path


def read_key(path: Path) -> bytes:
    """Return the key in a file: ``whsec_`` and base64, or any other text as it is."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise InstallError(f"{path} cannot be read: {explain(error)}") from error
    key = content.strip()
    if key.startswith(ENCODED.encode()):
        try:
            key = base64.b64decode(key.removeprefix(ENCODED.encode()), validate=True)
        except binascii.Error as error:
            raise InstallError(f"{path}: what follows {ENCODED} is not base64") from error
    if not SHORTEST_BYTES <= len(key) <= LARGEST_BYTES:
        raise InstallError(
            f"{path} holds {len(key)} bytes, a key has {SHORTEST_BYTES} to {LARGEST_BYTES}:"
            f" (echo -n {ENCODED}; openssl rand -base64 32) > FILE"
        )
    return key


def sign(key: bytes, event_id: str, moment: int, body: bytes) -> str:
    """Return ``webhook-signature``; ``moment`` as in ``webhook-timestamp``, UTC seconds."""
    signed = b".".join((event_id.encode(), str(moment).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
