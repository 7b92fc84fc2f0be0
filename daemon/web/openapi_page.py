"""``/api/``: the API's description for people, without a network and without a script."""

import json
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from daemon import __version__
from daemon.web.openapi import V1, document

Json = dict[str, Any]  # Any: JSON
#: Media types of bodies in short, for tables.
SHORT = {
    "multipart/form-data": "form",
    "application/x-www-form-urlencoded": "urlencoded form",
    "application/json": "JSON",
}


async def page(request: Request) -> Response:
    """Answer the page."""
    content = document()
    rows = [
        operation(path, verb, one)
        for path, verbs in content["paths"].items()
        for verb, one in verbs.items()
    ]
    schemas = [schema(name, one) for name, one in content["components"]["schemas"].items()]
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>API of cvunetd</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">'
        '<link rel="stylesheet" href="/static/api.css"></head><body><main><h1>API of cvunetd</h1>'
        f"<p>Version {escape(__version__)}. For programs: "
        f'<a href="{V1}/openapi.json">openapi.json</a>. <a href="/">The page</a>.</p>'
        f"{''.join(rows)}<h2>Bodies of answers</h2>{''.join(schemas)}</main></body></html>"
    )
    return HTMLResponse(text)


def operation(path: str, verb: str, one: Json) -> str:
    """Return an operation as HTML: what may be sent, and what is answered."""
    rows = [
        row(each["name"], each["in"], each["schema"], is_needed=each.get("required", False))
        for each in one.get("parameters", [])
    ]
    bodies = one.get("requestBody", {}).get("content", {})
    rows += body_rows(bodies)
    told = f"<p>Body: {escape(' or '.join(bodies))}.</p>" if bodies else ""
    table = f'<div class="wide"><table>{"".join(rows)}</table></div>' if rows else ""
    answers = "".join(map(answer, one["responses"], one["responses"].values()))
    return (
        f"<section><h2><code>{verb.upper()} {escape(path)}</code></h2>"
        f"<p>{escape(one['summary'])}.</p>{told}{table}<ul>{answers}</ul></section>"
    )


def body_rows(content: Json) -> list[str]:
    """Return what bodies hold: each field once with its media types, or that it is one file."""
    rows: list[str] = []
    kinds: dict[str, list[str]] = {}
    fields: Json = {}
    needed: set[str] = set()
    for kind, body in content.items():
        schema = body.get("schema", {})
        if "properties" not in schema:
            rows.append(row("(body)", kind, schema))
            continue
        for name, each in schema["properties"].items():
            kinds.setdefault(name, []).append(SHORT.get(kind, kind))
            fields[name] = each
        needed |= set(schema.get("required", []))
    return rows + [
        row(name, ", ".join(kinds[name]), each, is_needed=name in needed)
        for name, each in fields.items()
    ]


def row(name: str, place: str, values: Json, *, is_needed: bool = False) -> str:
    """Return a parameter as a row of a table."""
    more = ["needed"] if is_needed else []
    more += [values["description"]] if "description" in values else []
    return (
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(place)}</td>"
        f"<td><code>{escape(values_of(values))}</code> {escape(', '.join(more))}</td></tr>"
    )


def answer(code: str, one: Json) -> str:
    """Return one answer as an entry of a list: its status, and what its body is."""
    kinds = [
        kind + (f" {link(body['schema'])}" if body.get("schema") else "")
        for kind, body in one.get("content", {}).items()
    ]
    return f"<li>{code} {escape(one['description'])}: {', '.join(kinds)}</li>"


def link(content: Json) -> str:
    """Return a link to a schema of the page; empty for one without a name."""
    name = str(content.get("$ref", "")).rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a>' if name else ""


def schema(name: str, content: Json) -> str:
    """Return the body of an answer as HTML."""
    text = escape(json.dumps(content, indent=1))
    return f'<section id="{escape(name)}"><h3>{escape(name)}</h3><pre>{text}</pre></section>'


def values_of(content: Json) -> str:
    """Return which values a parameter may have."""
    if "enum" in content:
        return " | ".join(map(str, content["enum"]))
    if "const" in content:
        return str(content["const"])
    if "examples" in content:
        return f"{content.get('type', '')}, such as {', '.join(content['examples'])}"
    limits = [
        f"{name} {content[name]}" for name in ("minimum", "maximum", "pattern") if name in content
    ]
    return ", ".join([str(content.get("type", "")), *limits])
