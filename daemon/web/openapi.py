"""The API's description (OpenAPI 3.1), and a page that shows it without a network."""

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

Json = dict[str, Any]  # Any: JSON


def document() -> Json:
    """Return the description."""
    return {"openapi": "3.1.0", "info": {"title": "cvunetd", "version": "1"}, "paths": {}}


async def page(request: Request) -> Response:
    """Answer the description for people."""
    return HTMLResponse("<!doctype html><title>cvunetd</title>")
