"""Ids of uploads: new ones, or those that an ``Idempotency-Key`` leads to."""

import hashlib
import json
from collections.abc import Callable

from starlette.requests import Request

from daemon.web.problems import bad_request
from daemon.web.site import Site

KEY_LETTERS = 255
#: From the number of a picture in its request to its id.
MakeId = Callable[[int], str]


def ids(site: Site, request: Request) -> MakeId:
    """Return how pictures of a request get their ids; the same ones for an Idempotency-Key."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return lambda number: site.new_id()
    if not 0 < len(key) <= KEY_LETTERS:
        raise bad_request("invalid_idempotency_key", f"it has 1 to {KEY_LETTERS} letters")
    owner = request.scope["state"].get("key_name") or ""

    def make(number: int) -> str:
        text = json.dumps([owner, key, number])
        return hashlib.sha256(text.encode()).hexdigest()[:22]

    return make
