"""Bodies of requests, a chunk at a time: limited in bytes and seconds, never whole in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from daemon.web import limits
from daemon.web.problems import Problem, bad_request, too_large

#: One of these stands before each value of JSON; in memory the value takes about 100 bytes more.
BEFORE_VALUES = (b"[", b"{", b",")


class ClientGone(Exception):
    """The connection was cut while the body came."""


def kind_of(request: Request) -> str:
    """Return the media type of a body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_length(request: Request, limit_bytes: int) -> None:
    """Refuse a body by the length that it announces."""
    text = request.headers.get("content-length")
    if text is not None and text.isdecimal() and int(text) > limit_bytes:
        raise too_large(limit_bytes)


async def chunks(request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body; `Problem` if it is too long or too slow, `ClientGone` if it is cut."""
    check_length(request, limit_bytes)
    count = 0
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limits.BODY_S
    while True:
        pause_s = min(limits.PAUSE_S, deadline - loop.time())
        try:
            async with asyncio.timeout(max(pause_s, 0)):
                message = await request.receive()
        except TimeoutError as error:
            text = "the request came too slowly"
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "timeout", text, is_closing=True) from error
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        count += len(chunk)
        if count > limit_bytes:
            raise too_large(limit_bytes)
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return


async def json_fields(request: Request, limit_bytes: int) -> dict[str, Any]:  # Any: JSON
    """Return the members of a JSON object, which has to be in memory."""
    text, count = bytearray(), 0
    async for chunk in chunks(request, limit_bytes):
        text += chunk
        count += sum(map(chunk.count, BEFORE_VALUES))
        if count > limits.MAX_VALUES:
            detail = f"the body has more than {limits.MAX_VALUES} values"
            raise bad_request("invalid_json", detail)
    return members(text)


def members(text: bytes | bytearray) -> dict[str, Any]:  # Any: JSON
    """Return the members of a JSON object."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_request("invalid_json", "the body is no JSON") from error
    if not isinstance(content, dict):
        raise bad_request("invalid_json", "the body is no JSON object")
    return content


def form_fields(text: bytes) -> list[tuple[str, str]]:
    """Return the fields of an urlencoded form."""
    try:
        plain = text.decode("ascii")
        return parse_qsl(plain, keep_blank_values=True, max_num_fields=limits.MAX_PARTS)
    except ValueError as error:
        raise bad_request("invalid_form", "the body is no form") from error
