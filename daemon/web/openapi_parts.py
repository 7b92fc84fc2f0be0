"""Pieces of the API's description: parameters, bodies, answers, schemas."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from daemon.web import limits

Json = dict[str, Any]  # Any: JSON
PROBLEM = "application/problem+json"
#: Every request may be refused so, by its host, key, parameters, or because of trouble here.
ALWAYS = ("400", "401", "403", "421", "500", "503")


def ref(name: str) -> Json:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer(text: str, kind: str, schema: Json | None = None) -> Json:
    """Return an answer of one media type."""
    return {"description": text, "content": {kind: {} if schema is None else {"schema": schema}}}


def json_body(text: str, schema: Json) -> Json:
    """Return an answer in JSON."""
    return answer(text, "application/json", schema)


def operation(
    summary: str,
    good: Mapping[str, Json | None],
    *,
    parameters: list[Json] | None = None,
    problems: tuple[str, ...] = (),
) -> Json:
    """Return an operation; a good answer without a schema is filled in by the caller."""
    has_id = any(one["in"] == "path" for one in parameters or ())
    codes = sorted({*ALWAYS, *problems, *(("404",) if has_id else ()), "507"})
    answers: Json = {
        code: json_body(HTTPStatus(int(code)).phrase, schema)
        for code, schema in good.items()
        if schema is not None
    }
    for code in codes:
        answers[code] = answer(HTTPStatus(int(code)).phrase, PROBLEM, ref("Problem"))
    found: Json = {"summary": summary, "responses": answers}
    return found | ({"parameters": parameters} if parameters else {})


def form(*, is_one: bool) -> Json:
    """Return the body of an upload: a form with files, or the picture itself."""
    kind = "application/octet-stream"
    file: Json = {"type": "string", "minLength": 1, "contentMediaType": kind}
    most = 1 if is_one else limits.MAX_PARTS
    pictures: Json = {"type": "array", "items": file, "minItems": 1, "maxItems": most}
    schema = {
        "type": "object",
        "properties": {"image": file if is_one else pictures},
        "required": ["image"],
        "additionalProperties": False,
    }
    raw: Json = {"schema": {"type": "string", "minLength": 1, "format": "binary"}}
    content = {"multipart/form-data": {"schema": schema}, "application/octet-stream": raw}
    return {"required": True, "content": content}


def number(name: str, *, most: int) -> Json:
    """Return a parameter that is a number from 1."""
    schema = {"type": "integer", "minimum": 1, "maximum": most}
    return {"name": name, "in": "query", "schema": schema}


def flag(name: str) -> Json:
    """Return a parameter that is a yes or a no."""
    return {"name": name, "in": "query", "schema": {"type": "boolean"}}


def record(properties: Json, *, required: list[str] | None = None, is_open: bool = False) -> Json:
    """Return the schema of an object; all its members are there unless ``required`` says less."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": is_open,
    }


def many(schema: Json) -> Json:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}
MAYBE_TEXT: Json = {"type": ["string", "null"]}
ID: Json = {"type": "string", "pattern": "^[0-9a-f]{22}$"}
STATE: Json = {"enum": ["waiting", "queued", "running", "done", "failed"]}
FACTS: Json = {"type": "object"}
COUNTS: Json = {"type": "object", "additionalProperties": COUNT}
REASONS: Json = {"type": "object", "additionalProperties": TEXT}

WORKER = {
    "word": {"enum": ["starting", "warm", "off", "lost"]},
    "device": TEXT,
    "running": COUNT,
    "done": COUNT,
    "pictures_per_s": {"type": "number", "minimum": 0},
    "restarts": COUNT,
    "why": TEXT,
}
NODE = {"name": TEXT, "address": TEXT, "workers": many(record(WORKER)), "why": TEXT}
CLUSTER: Json = record({"address": TEXT, "trouble": TEXT, "nodes": many(record(NODE))})
MAYBE_CLUSTER: Json = {"anyOf": [CLUSTER, {"type": "null"}]}

PICTURE_ID: Json = {"name": "id", "in": "path", "required": True, "schema": ID}
DROP_ID: Json = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
NAME: Json = {
    "name": "name",
    "in": "query",
    "description": "The picture's name, if the body is the picture itself",
    "schema": {"type": "string"},
}
IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Sent again with the same pictures, the same ids are answered",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}

MAYBE_DROP: Json = {"type": ["integer", "null"], "minimum": 1}
DROP: Json = {
    "id": {"type": "integer", "minimum": 1},
    "name": TEXT,
    "folder": TEXT,
    "opened_at": TEXT,
    "closed_at": MAYBE_TEXT,
    "expires_at": MAYBE_TEXT,
    "is_there": {"type": "boolean"},
    "counts": COUNTS,
    "href": TEXT,
    "zip": TEXT,
}

SCHEMAS: Json = {
    "Problem": record(
        {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "code": TEXT,
            "detail": TEXT,
        }
    ),
    "Uploads": record(
        {"pictures": many(record({"id": ID, "name": TEXT, "state": STATE, "href": TEXT}))}
    ),
    "Picture": record(
        {
            "id": ID,
            "href": TEXT,
            "state": STATE,
            "name": TEXT,
            "drop": COUNT,
            "attempts": COUNT,
            "place": COUNT,
            "progress": FACTS,
            "reason": TEXT,
            "picture": FACTS,
            "is_plain": {"type": "boolean"},
        },
        required=["id", "href", "state"],
    ),
    "Version": record({"id": ID, "name": TEXT, "state": STATE, "href": TEXT, "version_of": ID}),
    "Deletion": record({"id": ID, "state": {"const": "deleting"}}),
    "Order": record({"id": ID, "order": {"enum": ["retry", "approve", "reject"]}}),
    "Drops": record({"drops": many(record(DROP)), "next": MAYBE_DROP}),
    "Drop": record(DROP | {"pictures": many(FACTS)}, required=list(DROP)),
    "Folders": record(
        {
            "folders": many(
                record(
                    {
                        "name": TEXT,
                        "place": TEXT,
                        "state": {"enum": ["served", "standby"]},
                        "reason": TEXT,
                        "waiting": COUNT,
                        "queued": COUNT,
                        "running": COUNT,
                        "is_for_uploads": {"type": "boolean"},
                    }
                )
            )
        }
    ),
    "Models": record({"models": many(FACTS)}),
    "Status": record(
        {
            "version": TEXT,
            "state": {"enum": ["running", "loading", "stopping", "down"]},
            "device": MAYBE_TEXT,
            "queued": COUNT,
            "running": COUNT,
            "done": COUNT,
            "failed": COUNT,
            "stages": COUNTS,
            "clips": many(FACTS),
            "standby": REASONS,
            "cluster": MAYBE_CLUSTER,
            "limits": COUNTS,
        }
    ),
}
