"""The API's description, continued: history, review, zips, folders of the server, the machine."""

from typing import Any

from daemon.web.archives import MAX_PICTURES
from daemon.web.drop_pictures import KINDS, VERBS
from daemon.web.history import MAX_IDS, STATES
from daemon.web.machine import MAX_MINUTES
from daemon.web.openapi_parts import (
    COUNT,
    DROP_ID,
    FACTS,
    ID,
    IDEMPOTENCY_KEY,
    MAYBE_TEXT,
    TEXT,
    answer,
    flag,
    many,
    number,
    operation,
    record,
    ref,
)

Json = dict[str, Any]  # Any: JSON
V1 = "/api/v1"
TRUTH: Json = {"type": "boolean"}
JOB_ID: Json = {"name": "job", "in": "path", "required": True, "schema": ID}
FOLDER_ID: Json = {"name": "id", "in": "path", "required": True, "schema": COUNT}
TOKEN: Json = {"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}
IDS = f"^[0-9a-f]{{22}}(,[0-9a-f]{{22}}){{0,{MAX_IDS - 1}}}$"
PLACE = r"^[^/\\]{0,40}(/[^/\\]{0,40}){0,9}$"
SUMMARIES = {
    "approve": "Take a result out of review: it is good",
    "doubt": "Put a result into review again",
    "reject": "Take a result back: it is bad; its original goes into quarantine",
    "retry": "Put a failed picture back into its hot folder",
}

SCHEMAS: Json = {
    "Found": record({"pictures": many(FACTS), "next": MAYBE_TEXT, "doubtful": COUNT}),
    "States": record({"pictures": many(FACTS)}),
    "Entry": FACTS,
    "DropDeletion": record({"id": COUNT, "state": {"const": "deleting"}}),
    "DropVersion": record({"id": ID, "name": TEXT, "href": TEXT}),
    "Decision": record({"id": ID, "order": {"enum": list(VERBS)}}),
    "Archive": record({"href": TEXT, "expires_at": TEXT, "files": COUNT, "missing": COUNT}),
    "ServerFolders": record({"folders": many(record({"id": COUNT, "name": TEXT}))}),
    "ServerFolder": record(
        {
            "path": TEXT,
            "folders": many(TEXT),
            "pictures": many(record({"name": TEXT, "bytes": COUNT})),
            "total": COUNT,
            "next": MAYBE_TEXT,
        }
    ),
    "Speed": record(
        {"since": TEXT, "minutes": many(record({"done": COUNT, "failed": COUNT}))},
    ),
    "Disks": record(
        {
            "disks": many(record({"name": TEXT, "free_bytes": COUNT, "total_bytes": COUNT})),
            "min_free_bytes": COUNT,
        }
    ),
    "Checks": record(
        {
            "is_well": TRUTH,
            "checked_at": TEXT,
            "findings": many(
                record(
                    {
                        "check": TEXT,
                        "result": {"enum": ["pass", "warn", "fail", "skip"]},
                        "text": TEXT,
                        "mend": TEXT,
                    }
                )
            ),
        }
    ),
}


def text(name: str, pattern: str, *, is_needed: bool = False) -> Json:
    """Return a parameter that is a text."""
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "query", "required": is_needed, "schema": schema}


def search() -> Json:
    """Return the search through the pictures of all hot folders."""
    return operation(
        "Search ended pictures of all hot folders, the newest first",
        {"200": ref("Found")},
        parameters=[
            text("text", r"^[^\x00-\x1f\x7f]{0,200}$"),
            {"name": "state", "in": "query", "schema": {"enum": list(STATES), "type": "string"}},
            text("folder", r"^[^\x00-\x1f\x7f]{0,100}$"),
            number("drop", most=2**63 - 1),
            {"name": "before", "in": "query", "schema": ID},
            number("limit", most=200),
        ],
    )


def paths(options: list[Json]) -> Json:
    """Return the operations; ``options``: the parameters of an upload."""
    place = f"{V1}/drops/{{id}}/pictures/{{job}}"
    return {
        f"{V1}/states": {
            "get": operation(
                f"Ask for the states of 1 to {MAX_IDS} uploads",
                {"200": ref("States")},
                parameters=[text("ids", IDS, is_needed=True)],
            )
        },
        f"{V1}/drops/{{id}}/manifest": {"get": manifest()},
        place: {
            "get": entry("Ask for a picture of a drop", {"200": ref("Entry")}),
            "delete": entry("Delete a picture of a drop", {"202": ref("Deletion")}),
        },
        **{f"{place}/{kind}": {"get": file(kind)} for kind in KINDS},
        **{f"{place}/{verb}": {"post": decision(verb)} for verb in VERBS},
        f"{place}/versions": {"post": version(options)},
        f"{V1}/archives": {"post": archive()},
        f"{V1}/archives/{{token}}.zip": {"get": zipped()},
        **server_folders(options),
        **machine(),
    }


def manifest() -> Json:
    """Return the operation that fetches a manifest."""
    found = operation(
        "Fetch the manifest of a drop", {"200": None}, parameters=[DROP_ID], problems=("410",)
    )
    found["responses"]["200"] = answer("The manifest", "application/json")
    return found


def entry(summary: str, good: Json) -> Json:
    """Return an operation on a picture of a drop."""
    return operation(summary, good, parameters=[DROP_ID, JOB_ID], problems=("404", "409"))


def file(kind: str) -> Json:
    """Return the operation that fetches a file."""
    problems = ("400", "404", "409", "410", "422")
    name = kind.replace("-", ": ")
    found = operation(
        f"Fetch a file of a picture ({name})",
        {"200": None},
        parameters=[DROP_ID, JOB_ID],
        problems=problems,
    )
    found["responses"]["200"] = answer("The file", "*/*")
    return found


def decision(verb: str) -> Json:
    """Return the operation for what a person decides."""
    return operation(
        SUMMARIES[verb],
        {"202": ref("Decision")},
        parameters=[DROP_ID, JOB_ID, flag("doubtful")],
        problems=("404", "409", "410"),
    )


def version(options: list[Json]) -> Json:
    """Return the operation that takes an original in once more."""
    return operation(
        "Cut the original out again, as an upload of its own, with other options",
        {"202": ref("DropVersion")},
        parameters=[DROP_ID, JOB_ID, IDEMPOTENCY_KEY, *options],
        problems=("400", "409", "410", "413", "422", "429"),
    )


def archive() -> Json:
    """Return the operation that prepares a zip."""
    folder = {"type": "string", "pattern": PLACE}
    picture = record({"id": ID, "folder": folder}, required=["id"])
    pictures: Json = {"type": "array", "items": {"anyOf": [ID, picture]}}
    pictures |= {"minItems": 1, "maxItems": MAX_PICTURES}
    one_drop: Json = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
    of_pictures = {"pictures": pictures, "originals": TRUTH, "name": TEXT}
    of_drop = {"drop": one_drop, "originals": TRUTH}
    body = {
        "oneOf": [
            record(of_pictures, required=["pictures"]),
            record(of_drop, required=["drop"]),
        ]
    }
    found = operation(
        "Prepare a zip of uploads, or of a drop; it is fetched without a key, for an hour",
        {"201": ref("Archive")},
        problems=("400", "404", "408", "409", "410", "413"),
    )
    content = {"application/json": {"schema": body}}
    return found | {"requestBody": {"required": True, "content": content}}


def zipped() -> Json:
    """Return the operation that fetches a zip."""
    found = operation("Fetch a zip that was prepared", {"200": None}, parameters=[TOKEN])
    found["responses"]["200"] = answer("The zip", "application/zip")
    return found


def server_folders(options: list[Json]) -> Json:
    """Return the operations on folders of the server."""
    path = text("path", r"^[^/\\.][^\\]*$")
    return {
        f"{V1}/server-folders": {
            "get": operation("List the allowed folders", {"200": ref("ServerFolders")})
        },
        f"{V1}/server-folders/{{id}}": {
            "get": operation(
                "List pictures in an allowed folder",
                {"200": ref("ServerFolder")},
                parameters=[
                    FOLDER_ID,
                    path,
                    {"name": "after", "in": "query", "schema": TEXT},
                    number("limit", most=1000),
                ],
            )
        },
        f"{V1}/server-folders/{{id}}/pictures": {
            "post": operation(
                "Take a copy of a picture in an allowed folder, like an upload",
                {"202": ref("Uploads")},
                parameters=[FOLDER_ID, path | {"required": True}, IDEMPOTENCY_KEY, *options],
                problems=("400", "409", "413", "422", "429"),
            )
        },
    }


def machine() -> Json:
    """Return the operations about the machine."""
    return {
        f"{V1}/speed": {
            "get": operation(
                "Ask how many pictures ended in each of the last minutes",
                {"200": ref("Speed")},
                parameters=[number("minutes", most=MAX_MINUTES)],
            )
        },
        f"{V1}/disks": {"get": operation("Ask for free space", {"200": ref("Disks")})},
        f"{V1}/checks": {
            "get": operation(
                "Ask what `cvunetd doctor` finds, at most a minute old", {"200": ref("Checks")}
            )
        },
    }
