"""The API's description: complete, shown without a network, and true for the running server."""

from collections.abc import Iterator
from threading import Barrier
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    positive_data_acceptance,
    use_after_free,
)
from starlette.routing import Route

from daemon.config.request_options import Options
from daemon.web import app, limits, openapi
from tests.web.web_kit import Kit, running

pytestmark = pytest.mark.web
#: Of its checks those that mean something else here: keys are off on loopback, no header is
#: required, and what was deleted is gone a moment later.
NOT_MEANT = [ignored_auth, missing_required_header, use_after_free]
#: Options may contradict each other, such as 16 bits and a format that has 8. And a form turns
#: whatever is drawn for a file into bytes, of which the server knows only later what they are.
NOT_MEANT_OF_UPLOADS = [positive_data_acceptance, negative_data_rejection]
ENDLESS = "/api/v1/events"
DOCUMENT = openapi.document()
OPERATIONS = [
    (path, verb) for path, verbs in DOCUMENT["paths"].items() for verb in verbs if path != ENDLESS
]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """Server and daemon, with one picture that is done."""
    web = {"max_waiting": 100_000}
    with running(Kit(tmp_path_factory.mktemp("openapi"), web=web)) as kit:
        kit.wait(kit.upload())
        # All threads now: one that a test made would outlive it, as the kit does.
        together = Barrier(limits.FILE_THREADS)
        list(kit.server.site.pool.map(lambda _: together.wait(), range(limits.FILE_THREADS)))
        yield kit


def test_every_route_is_described():
    """And nothing is described that is not there."""
    routes = {
        (route.path, verb.lower())
        for route in app.routes(None)  # type: ignore[arg-type]  # nothing is asked of it
        if isinstance(route, Route) and route.path.startswith("/api/v1/")
        for verb in route.methods or ()
        if verb != "HEAD"
    }
    described = {(path, verb) for path, verbs in DOCUMENT["paths"].items() for verb in verbs}

    zipped = ("/api/v1/drops/{id}.zip", "get")  # answered where drops are
    assert described - {zipped} == routes - {("/api/v1/openapi.json", "get")}


def test_every_option_is_described():
    """With its values."""
    names = {one["name"] for one in DOCUMENT["paths"]["/api/v1/pictures"]["post"]["parameters"]}

    assert set(Options.model_fields) | {"name", "Idempotency-Key"} == names


def test_the_description_is_served(kit: Kit):
    """As JSON, and as a page without scripts that names every operation."""
    page = kit.client.get("/api/").text

    assert kit.client.get("/api/v1/openapi.json").json() == DOCUMENT
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert all(
        f"{verb.upper()} {path}" in page
        for path, verbs in DOCUMENT["paths"].items()
        for verb in verbs
    )


@pytest.mark.slow
@pytest.mark.parametrize(("path", "verb"), OPERATIONS, ids=lambda one: str(one))
def test_the_server_does_what_is_described(kit: Kit, path: str, verb: str):
    """Requests that are right and requests that are wrong: statuses, types and contents."""
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    strategy = schema[path][verb].as_strategy() | schema[path][verb].as_strategy(
        generation_mode=schemathesis.GenerationMode.NEGATIVE
    )
    is_upload = verb == "post" and path.endswith(("/cutouts", "/pictures", "/versions"))
    check_all(strategy, kit.server.url, NOT_MEANT_OF_UPLOADS if is_upload else [])


def check_all(strategy: Any, url: str, excluded: list[Any]) -> None:  # Any: of a library
    """Send what is drawn and check the answers."""
    from hypothesis import given

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
    )
    @given(case=strategy)
    def run(case: Any) -> None:  # Any: a library's case
        case.call_and_validate(base_url=url, excluded_checks=[*NOT_MEANT, *excluded])

    run()
