"""Who may ask: host names, origins, keys; decided from the head of a request alone."""

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from daemon.web.keys import Keys
from daemon.web.problems import Problem, bad_request

#: Methods that change nothing …
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
#: … but for these paths: they fetch and cut out a picture.
UNSAFE_PATHS = ("/api/remove",)
#: The page itself holds no secrets. It asks for the key that the API wants.
OPEN_PATHS = ("/", "/api/", "/api/v1/openapi.json", "/favicon.ico")
OPEN_FOLDER = "/static/"
#: The address of a zip is a secret itself: see `archives`.
ZIPS = "/api/v1/archives/"


@dataclass(frozen=True, slots=True)
class Head:
    """What is known before a body is read."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""

    @property
    def changes(self) -> bool:
        """Whether an answer would change something."""
        return self.method not in SAFE_METHODS or self.path in UNSAFE_PATHS


class Access:
    """Decides who may ask."""

    def __init__(self, *, keys: Keys, hosts: Collection[str], origins: Collection[str]) -> None:
        """``hosts``: names besides localhost; ``origins`` of other pages that may use the API."""
        self.keys = keys
        self.hosts = frozenset(hosts)
        self.origins = frozenset(origins)

    def check(self, head: Head) -> str:
        """Return the name of the key, empty if none is needed; `Problem` for what is refused."""
        self.check_host(head)
        if head.changes:
            self.check_origin(head)
        return self.check_key(head)

    def check_host(self, head: Head) -> None:
        """Refuse names that somebody else may have pointed at this address (DNS rebinding)."""
        host = host_of(head.headers.get("host", ""))
        if host is None:
            raise bad_request("invalid_host", "the header Host is missing or is none")
        if host == "localhost" or host in self.hosts or is_address(host):
            return
        raise Problem(
            HTTPStatus.MISDIRECTED_REQUEST,
            "unknown_host",
            "this server is not known by that name: add it to web.hosts",
            is_closing=True,
        )

    def check_origin(self, head: Head) -> None:
        """Refuse what a page of another origin has made a browser send."""
        origin = head.headers.get("origin")
        if origin is not None and origin.lower() in self.origins:
            return
        site = head.headers.get("sec-fetch-site", "none")
        is_own = origin is None or urlsplit_netloc(origin) == head.headers.get("host", "").lower()
        if not is_own or site not in ("same-origin", "none"):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "foreign_origin",
                "a page of another origin has sent this: add its origin to web.origins",
                is_closing=True,
            )

    def check_key(self, head: Head) -> str:
        """Return whose key it is; `Problem` for none or a wrong one."""
        if not self.keys.are_needed or is_open(head.path) or head.method == "OPTIONS":
            return ""
        key = key_of(head.headers)
        name = None if key is None else self.keys.name_of(key)
        if name is None:
            missing = "no key: send it as X-Api-Key, or as Authorization: Bearer"
            raise Problem(
                HTTPStatus.UNAUTHORIZED if key is None else HTTPStatus.FORBIDDEN,
                "missing_key" if key is None else "auth_failed",
                missing if key is None else "this key is not known",
                headers={"WWW-Authenticate": "Bearer"} if key is None else {},
                is_closing=True,
            )
        return name

    def cors(self, head: Head) -> dict[str, str]:
        """Return headers that let a listed origin read the answer."""
        origin = head.headers.get("origin", "").lower()
        if origin not in self.origins:
            return {}
        return {
            "Access-Control-Allow-Origin": head.headers["origin"],
            # All of them, as no browser sends credentials of its own here: X-Picture-Id and others.
            "Access-Control-Expose-Headers": "*",
            "Vary": "Origin",
        }


def is_open(path: str) -> bool:
    """Whether a path needs no key."""
    return path in OPEN_PATHS or path.startswith((OPEN_FOLDER, ZIPS))


def key_of(headers: Mapping[str, str]) -> str | None:
    """Return the key of a request; None if it has none."""
    kind, _, rest = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and rest.strip():
        return rest.strip()
    return headers.get("x-api-key") or None


def host_of(header: str) -> str | None:
    """Return name or address without a port; None for what is neither."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    if parts.netloc != header or parts.username is not None:
        return None
    return parts.hostname


def is_address(host: str) -> bool:
    """Whether it is an IP address: such cannot be rebound."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def urlsplit_netloc(origin: str) -> str:
    """Return host and port of an origin; empty for ``null`` and for what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
