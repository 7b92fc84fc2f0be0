"""The API's description (OpenAPI 3.1)."""

from typing import Any

from daemon import __version__
from daemon.config.request_options import Options
from daemon.web import openapi_compatible, openapi_history
from daemon.web.openapi_parts import (
    DROP_ID,
    IDEMPOTENCY_KEY,
    NAME,
    PICTURE_ID,
    SCHEMAS,
    answer,
    flag,
    form,
    number,
    operation,
    ref,
)
from daemon.web.pictures import KINDS, VERBS

Json = dict[str, Any]  # Any: JSON
V1 = "/api/v1"
SUMMARIES = {
    "result": "Fetch the result",
    "mask": "Fetch the mask beside the result (content=both)",
    "original": "Fetch the original",
    "thumbnail": "Fetch a small PNG of the result",
    "retry": "Try a failed picture again",
    "approve": "Take a result out of review: it is good",
    "reject": "Take a result back: it is bad; its original goes into quarantine",
}


def document() -> Json:
    """Return the description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cvunetd",
            "version": __version__,
            "description": "Pictures lose their background. docs/api.md explains this API.",
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"key": []}, {"bearer": []}],
        "paths": paths(),
        "components": {
            "schemas": joined(SCHEMAS, openapi_history.SCHEMAS, openapi_compatible.SCHEMAS),
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def joined(*parts: Json) -> Json:
    """Return all members of objects that have none in common."""
    found: Json = {}
    for part in parts:
        assert found.keys().isdisjoint(part), found.keys() & part
        found |= part
    return found


def options() -> list[Json]:
    """Return the parameters that say how a result is made."""
    found = []
    for name, schema in Options.model_json_schema()["properties"].items():
        kinds = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
        found.append({"name": name, "in": "query", "schema": kinds[0] | LIMITS.get(name, {})})
    return found


#: What the model checks by code, as patterns.
LIMITS: dict[str, Json] = {
    "background": {"pattern": "^(none|#?[0-9a-fA-F]{6})$"},
    "depth": {"enum": ["auto", "8", "16"], "type": "string"},
    "crop_aspect": {"pattern": "^(none|[1-9]:[1-9])$", "examples": ["4:5"]},
    "crop_canvas": {"pattern": "^(none|[1-9][0-9]{2,3}(x[1-9][0-9]{2,3})?)$"},
}


def paths() -> Json:
    """Return all operations."""
    return {
        f"{V1}/cutouts": {"post": cutouts()},
        f"{V1}/pictures": {"get": openapi_history.search(), "post": upload()},
        f"{V1}/pictures/{{id}}": {
            "get": operation(
                "Ask what is known of a picture", {"200": ref("Picture")}, parameters=[PICTURE_ID]
            ),
            "delete": operation(
                "Delete a picture and all that was made of it",
                {"202": ref("Deletion")},
                parameters=[PICTURE_ID],
            ),
        },
        f"{V1}/pictures/{{id}}/versions": {"post": version()},
        **{f"{V1}/pictures/{{id}}/{kind}": {"get": file(kind)} for kind in KINDS},
        **{f"{V1}/pictures/{{id}}/{verb}": {"post": judgement(verb)} for verb in VERBS},
        **drops(),
        **openapi_history.paths(options()),
        f"{V1}/folders": {"get": operation("List the hot folders", {"200": ref("Folders")})},
        f"{V1}/status": {"get": operation("Ask what the daemon does", {"200": ref("Status")})},
        f"{V1}/models": {"get": operation("List the networks", {"200": ref("Models")})},
        f"{V1}/events": {"get": events()},
        **openapi_compatible.paths(),
    }


def drops() -> Json:
    """Return the operations on drops."""
    listing = [number("limit", most=200), number("before", most=2**63 - 1)]
    return {
        f"{V1}/drops": {
            "get": operation("List the newest drops", {"200": ref("Drops")}, parameters=listing)
        },
        f"{V1}/drops/{{id}}": {
            "get": operation("Ask for a drop", {"200": ref("Drop")}, parameters=[DROP_ID]),
            "delete": operation(
                "Delete a drop with all its pictures",
                {"202": ref("DropDeletion")},
                parameters=[DROP_ID],
            ),
        },
        f"{V1}/drops/{{id}}.zip": {"get": zipped()},
        f"{V1}/drops/{{id}}/close": {
            "post": operation(
                "Close a drop: the next picture opens another one",
                {"202": ref("Drop")},
                parameters=[DROP_ID],
            )
        },
    }


def cutouts() -> Json:
    """Return the operation that waits for its picture."""
    found = operation(
        "Cut one picture out; the answer is the result",
        {"200": None},
        parameters=[NAME, IDEMPOTENCY_KEY, *options()],
        problems=("400", "408", "409", "413", "415", "422", "429", "503", "504", "507"),
    )
    found["responses"]["200"] = answer("The result", "image/*")
    return found | {"requestBody": form(is_one=True)}


def upload() -> Json:
    """Return the operation that takes pictures."""
    found = operation(
        "Send pictures; they are cut out later, and safe when this is answered",
        {"202": ref("Uploads")},
        parameters=[NAME, IDEMPOTENCY_KEY, *options()],
        problems=("400", "408", "409", "413", "422", "429", "507"),
    )
    return found | {"requestBody": form(is_one=False)}


def version() -> Json:
    """Return the operation that makes another result from the same original."""
    found = operation(
        "Make another result from the same original: other options, or touched up by a mask",
        {"202": ref("Version")},
        parameters=[PICTURE_ID, IDEMPOTENCY_KEY, *options()],
        problems=("400", "404", "408", "409", "410", "413", "422", "429", "507"),
    )
    mask = {"schema": {"type": "string", "format": "binary"}}
    return found | {"requestBody": {"required": False, "content": {"image/png": mask}}}


def file(kind: str) -> Json:
    """Return the operation that fetches a file of a picture."""
    problems = ("400", "404", "409", "410", "422") if kind == "thumbnail" else ("404", "409", "410")
    found = operation(SUMMARIES[kind], {"200": None}, parameters=[PICTURE_ID], problems=problems)
    found["responses"]["200"] = answer("The file", "*/*")
    return found


def judgement(verb: str) -> Json:
    """Return the operation for a verb."""
    problems = ("404", "409", "507")
    good = {"202": ref("Order")}
    return operation(SUMMARIES[verb], good, parameters=[PICTURE_ID], problems=problems)


def zipped() -> Json:
    """Return the operation that fetches a whole drop."""
    found = operation(
        "Fetch results and manifest of a drop as a zip",
        {"200": None},
        parameters=[DROP_ID, flag("originals")],
        problems=("400", "404", "410"),
    )
    found["responses"]["200"] = answer("The zip", "application/zip")
    return found


def events() -> Json:
    """Return the operation that streams events."""
    found = operation(
        "Listen: queued, running, done, failed, standby (server-sent events)",
        {"200": None},
        problems=("429",),
    )
    found["responses"]["200"] = answer("Events without end", "text/event-stream")
    return found
