"""The API's description: complete, shown without a network, and true for the running server."""

from collections.abc import Iterator
from threading import Barrier
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    positive_data_acceptance,
    use_after_free,
)
from starlette.routing import Route

from daemon.config.request_options import Options
from daemon.web import app, limits, openapi, openapi_page, rembg
from daemon.web import removebg_parameters as removebg
from daemon.web.problems import Problem
from tests.web.web_kit import Kit, running

pytestmark = pytest.mark.web
#: Of its checks those that mean something else here: keys are off on loopback, no header is
#: required, and what was deleted is gone a moment later.
NOT_MEANT = [ignored_auth, missing_required_header, use_after_free]
#: Options may contradict each other, such as 16 bits and a format that has 8. And a form turns
#: whatever is drawn for a file into bytes, of which the server knows only later what they are.
NOT_MEANT_OF_UPLOADS = [positive_data_acceptance, negative_data_rejection]
ENDLESS = "/api/v1/events"
#: Pages, not operations.
PAGES = ("/api/", "/", "/index.html", "/static/{name:path}", "/api/v1/openapi.json")
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
        if isinstance(route, Route) and route.path not in PAGES
        for verb in route.methods or ()
        if verb != "HEAD"
    }
    described = {(path, verb) for path, verbs in DOCUMENT["paths"].items() for verb in verbs}

    zipped = ("/api/v1/drops/{id}.zip", "get")  # answered where drops are
    assert described - {zipped} == routes


def test_every_option_is_described():
    """With its values."""
    names = {one["name"] for one in DOCUMENT["paths"]["/api/v1/pictures"]["post"]["parameters"]}

    assert set(Options.model_fields) | {"name", "Idempotency-Key"} == names


def test_every_parameter_of_other_programs_is_described():
    """Each one that is read, in each place from which it is read."""
    paths = DOCUMENT["paths"]
    bodies = paths["/v1.0/removebg"]["post"]["requestBody"]["content"]
    texts = {*removebg.READERS, *removebg.WITHOUT_EFFECT, "image_file_b64", "image_url"}
    texts |= {removebg.BACKGROUND_URL}
    files = {removebg.FILE, removebg.BACKGROUND_FILE}
    form = paths["/api/remove"]["post"]
    fields = form["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    in_query = {one["name"] for one in form["parameters"]}
    of_get = {one["name"] for one in paths["/api/remove"]["get"]["parameters"]}

    assert {kind: set(one["schema"]["properties"]) for kind, one in bodies.items()} == {
        "multipart/form-data": texts | files,
        "application/x-www-form-urlencoded": texts,
        "application/json": texts,
    }
    assert {"bgc", "extras"} == in_query
    assert set(fields) | in_query == {*rembg.READERS, "file"}
    assert of_get == {*rembg.READERS, "url"}


@pytest.mark.parametrize(
    ("name", "value", "is_valid"),
    [
        *[("crop_margin", "10%", True), ("crop_margin", "1% 2px", True)],
        *[("crop_margin", "1% 2% 3% 4%", True), ("crop_margin", "1% 2% 3%", False)],
        *[("scale", "original", True), ("scale", "80%", True), ("scale", "80", False)],
        *[("position", "center", True), ("position", "5% 90.5%", True), ("position", "x", False)],
        *[("roi", "0% 0% 100% 100%", True), ("roi", "10% 10% 90%", False)],
        *[("bg_color", "81d4fa77", True), ("bg_color", "#fff", True), ("bg_color", "#ff", False)],
    ],
)
def test_values_that_are_described_are_read(name: str, value: str, is_valid: bool):
    """And what the description refuses is refused."""
    described = DOCUMENT["paths"]["/v1.0/removebg"]["post"]["requestBody"]["content"]
    schema = described["application/json"]["schema"]["properties"][name]
    try:
        removebg.wanted({name: value})
        is_read = True
    except Problem:
        is_read = False

    assert Draft202012Validator(schema).is_valid(value) is is_read is is_valid


def test_the_page_tells_fields_values_and_refusals():
    """Of each kind of body, and the schema of each refusal."""
    removed = DOCUMENT["paths"]["/v1.0/removebg"]["post"]
    text = openapi_page.operation("/v1.0/removebg", "post", removed)

    assert "<code>bg_image_file</code></td><td>form</td>" in text
    assert "Body: multipart/form-data or application/x-www-form-urlencoded or" in text
    assert text.count("<code>size</code>") == 1  # with all kinds of bodies that may hold it
    assert "such as 10%, 30px 5%" in text
    assert "preview | small" in text
    assert "X-Ignored-Parameters" in text
    assert '400 Bad Request: application/json <a href="#RemoveBgErrors">' in text


def test_the_description_is_served(kit: Kit):
    """As JSON, and as a page without scripts that names every operation."""
    page = kit.client.get("/api/").text

    assert kit.client.get("/api/v1/openapi.json").json() == DOCUMENT
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert all(f'id="{name}"' in page for name in DOCUMENT["components"]["schemas"])
    assert all(
        f"{verb.upper()} {path}" in page
        for path, verbs in DOCUMENT["paths"].items()
        for verb in verbs
    )


@pytest.mark.parametrize(
    ("address", "described"),
    [
        ("/api/v1/pictures/{id}/versions", "/api/v1/pictures/{id}/versions"),
        ("{href}/versions", "/api/v1/drops/{id}/pictures/{job}/versions"),
    ],
)
def test_a_version_is_answered_as_described(kit: Kit, address: str, described: str):
    """Of an upload, and of a picture in a drop: the two differ."""
    [found, *_] = kit.client.get("/api/v1/pictures?text=cat").json()["pictures"]
    answer = kit.client.post(address.format(id=found["upload"], href=found["href"]))
    good = DOCUMENT["paths"][described]["post"]["responses"]["202"]
    schema = good["content"]["application/json"]["schema"] | {"components": DOCUMENT["components"]}

    assert answer.status_code == 202, answer.text
    assert list(Draft202012Validator(schema).iter_errors(answer.json())) == []


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        ("/api/v1/cutouts", "post"),
        ("/v1.0/removebg", "post"),
        ("/api/remove", "post"),
        ("/api/remove", "get"),
    ],
)
def test_that_clips_are_not_waited_for_is_described(path: str, verb: str):
    """Wherever a client waits for its picture."""
    assert "415" in DOCUMENT["paths"][path][verb]["responses"]


@pytest.mark.slow
@pytest.mark.parametrize(("path", "verb"), OPERATIONS, ids=lambda one: str(one))
def test_the_server_does_what_is_described(kit: Kit, path: str, verb: str):
    """Requests that are right and requests that are wrong: statuses, types and contents."""
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    strategy = schema[path][verb].as_strategy() | schema[path][verb].as_strategy(
        generation_mode=schemathesis.GenerationMode.NEGATIVE
    )
    ends = ("/cutouts", "/pictures", "/versions", "/removebg", "/remove")
    is_upload = path.endswith(ends) and (verb == "post" or path == "/api/remove")
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
