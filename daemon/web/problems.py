"""Refusals: a status, a code for programs and a sentence for people, in the client's own format."""

from collections.abc import Mapping
from http import HTTPStatus

#: After so many seconds a client that is told to wait may ask again.
RETRY_AFTER_S = 5


class Problem(Exception):
    """Why a request is refused."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        is_closing: bool = False,
    ) -> None:
        """``code`` is one word for programs, ``detail`` says what happened and what to do.

        ``is_closing``: the rest of the request is not read, the connection ends.
        """
        super().__init__(f"{status.value} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.is_closing = is_closing


def bad_request(code: str, detail: str) -> Problem:
    """Return a refusal of something that the client has to change."""
    return Problem(HTTPStatus.BAD_REQUEST, code, detail)


def not_found(detail: str) -> Problem:
    """Return a refusal for something that is not there."""
    return Problem(HTTPStatus.NOT_FOUND, "not_found", detail)


def too_large(limit_bytes: int) -> Problem:
    """Return a refusal of a request with too many bytes."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "file_too_large",
        f"a request may have {limit_bytes} bytes (web.max_upload_mb)",
        is_closing=True,
    )


def busy(detail: str) -> Problem:
    """Return a refusal of something that is welcome later."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "rate_limit_exceeded",
        detail,
        headers={"Retry-After": str(RETRY_AFTER_S)},
        is_closing=True,
    )


def unavailable(detail: str, *, code: str = "unavailable") -> Problem:
    """Return a refusal because of trouble on this side that may pass."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        code,
        detail,
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def takes_long() -> Problem:
    """Return a refusal of what is being found out: nothing is wrong, it may be asked again."""
    return unavailable("this takes long: ask again", code="takes_long")


def as_json(problem: Problem) -> dict[str, object]:
    """Return a refusal as RFC 9457 writes it."""
    return {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "code": problem.code,
        "detail": problem.detail,
    }
