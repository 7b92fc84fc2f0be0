"""The API's description, continued: the paths of remove.bg and of rembg, as their clients use them.

The values of each parameter come from the code that reads it.
"""

from http import HTTPStatus
from typing import Any

from daemon.web import rembg
from daemon.web.answers import REMBG
from daemon.web.openapi_parts import COUNT, TEXT, answer, many, record, ref
from daemon.web.removebg import IGNORED
from daemon.web.removebg_parameters import (
    BACKGROUND_FILE,
    BACKGROUND_URL,
    FILE,
    FORMATS,
    MEGAPIXELS,
    URL,
    WITHOUT_EFFECT,
)

Json = dict[str, Any]  # Any: JSON
TRUTH: Json = {"type": "boolean"}
ADDRESS: Json = {"type": "string", "format": "uri", "description": "needs web.fetch_urls"}
BINARY: Json = {"type": "string", "contentMediaType": "application/octet-stream"}
BASE64: Json = {"type": "string", "contentEncoding": "base64"}
#: Numbers with a unit, from 0; how large they may be depends on the unit.
LENGTH = r"[0-9]{1,5}(\.[0-9]+)?(px|%)?"
SHARE = r"([0-9]{1,2}(\.[0-9]+)?|100)%"
COLOUR: Json = {
    "type": "string",
    "pattern": "^(#?([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})|[a-zA-Z]{3,20})$",
    "examples": ["81d4fa", "#fff", "81d4fa77", "red"],
}
ACCOUNT_ERRORS = ("400", "403", "408", "421", "422", "429", "500", "503", "504", "507")
REMOVE_ERRORS = ("400", "403", "408", "415", "421", "422", "429", "500", "503", "504", "507")
REMBG_ERRORS = ("401", "413", *REMOVE_ERRORS)
PLACE = {
    "foreground_left": COUNT,
    "foreground_top": COUNT,
    "foreground_width": COUNT,
    "foreground_height": COUNT,
}

SCHEMAS: Json = {
    "RemoveBgErrors": record(
        {"errors": many(record({"title": TEXT, "code": TEXT, "detail": TEXT}))}
    ),
    "RemoveBgResult": record(
        {"data": record({"result_b64": BASE64, **PLACE}, required=["result_b64"])}
    ),
    "RemoveBgAccount": record(
        {
            "data": record(
                {
                    "attributes": record(
                        {
                            "credits": record(
                                dict.fromkeys(
                                    ("total", "subscription", "payg", "enterprise"), COUNT
                                )
                            ),
                            "api": record({"free_calls": COUNT, "sizes": {"const": "all"}}),
                        }
                    )
                }
            )
        }
    ),
    "RembgError": record(
        {"detail": {"anyOf": [TEXT, many(record({"type": TEXT, "msg": TEXT, "loc": many(TEXT)}))]}}
    ),
}


def paths() -> Json:
    """Return their operations."""
    return {
        "/v1.0/removebg": {"post": remove()},
        "/v1.0/account": {"get": account()},
        REMBG: {"get": rembg_get(), "post": rembg_post()},
    }


def one_of(values: tuple[str, ...] | list[str]) -> Json:
    """Return the schema of a text with these values."""
    return {"type": "string", "enum": list(values)}


def pattern(text: str, *examples: str) -> Json:
    """Return the schema of a text that matches a pattern as a whole."""
    return {"type": "string", "pattern": f"^{text}$", "examples": list(examples)}


def removebg_parameters() -> Json:
    """Return remove.bg's parameters but the picture."""
    without_effect: Json = {name: one_of(values) for name, values in WITHOUT_EFFECT.items()}
    without_effect |= dict.fromkeys(("semitransparency", "add_shadow"), TRUTH)
    without_effect["shadow_opacity"] = {"type": "integer", "minimum": 0, "maximum": 100}
    sizes = [name.replace("mp", "MP") for name in MEGAPIXELS]
    return {
        "size": one_of(sizes) | {"default": "preview"},
        "format": one_of(list(FORMATS)) | {"default": "auto"},
        "channels": one_of(["rgba", "alpha"]) | {"default": "rgba"},
        "crop": TRUTH | {"default": False},
        "crop_margin": pattern(f"{LENGTH}( {LENGTH}(( {LENGTH}){{2}})?)?", "10%", "30px 5%"),
        "scale": pattern(rf"(original|{SHARE})", "80%") | {"default": "original"},
        "position": pattern(f"(original|center|{SHARE}( {SHARE})?)", "center", "50% 20%"),
        "roi": pattern(f"{LENGTH}( {LENGTH}){{3}}", "0% 0% 100% 100%", "10px 10px 400px 300px"),
        "bg_color": COLOUR,
        BACKGROUND_URL: ADDRESS,
        **{name: no_effect(schema) for name, schema in without_effect.items()},
    }


def no_effect(schema: Json) -> Json:
    """Return the schema of a parameter that changes nothing here."""
    return schema | {"description": f"changes nothing here; the header {IGNORED} names it"}


def remove() -> Json:
    """Return remove.bg's operation on a picture, with its three kinds of bodies."""
    known = removebg_parameters()
    texts = {"image_file_b64": BASE64, URL: ADDRESS} | known
    files = {FILE: BINARY} | texts | {BACKGROUND_FILE: BINARY}
    bodies = {
        "multipart/form-data": record(files, required=[]),
        "application/x-www-form-urlencoded": record(texts, required=[]),
        "application/json": record(texts, required=[]),
    }
    found = described(
        "Cut a picture out as remove.bg does; give exactly one of image_file, image_file_b64,"
        " image_url",
        REMOVE_ERRORS,
        "RemoveBgErrors",
    )
    good: Json = answer("The result; JSON for clients that prefer it (Accept)", "image/*")
    good["content"] |= {
        "application/zip": {},
        "application/json": {"schema": ref("RemoveBgResult")},
    }
    good["headers"] = headers()
    found["responses"]["200"] = good
    content = {kind: {"schema": schema} for kind, schema in bodies.items()}
    return found | {"requestBody": {"required": True, "content": content}}


def headers() -> Json:
    """Return the headers of remove.bg's answers."""
    places = [f"X-Foreground-{side}" for side in ("Left", "Top", "Width", "Height")]
    names = ("X-Width", "X-Height", "X-Type", "X-Credits-Charged", *places)
    limits = [f"X-RateLimit-{one}" for one in ("Limit", "Remaining", "Reset")]
    return {name: {"schema": TEXT} for name in (*names, *limits, IGNORED)}


def account() -> Json:
    """Return remove.bg's operation on an account."""
    found = described(
        "Ask for credits as remove.bg's clients do: there are always some",
        ACCOUNT_ERRORS,
        "RemoveBgErrors",
    )
    found["responses"]["200"] = answer("Credits", "application/json", ref("RemoveBgAccount"))
    return found


def rembg_parameters() -> Json:
    """Return rembg's parameters that stand in the query or in the form."""
    level: Json = {"type": "integer", "minimum": 0, "maximum": 255}
    size = level | {"maximum": 1000}
    models = f"a name in models:, or {', '.join(rembg.GENERAL_MODELS)}: ours takes their place"
    return {
        "model": TEXT | {"description": models},
        "a": no_effect(TRUTH),
        "af": no_effect(level),
        "ab": no_effect(level),
        "ae": no_effect(size),
        "om": TRUTH | {"description": "only the mask"},
        "ppm": no_effect(TRUTH),
    }


def query_only() -> list[Json]:
    """Return rembg's parameters that its clients send in the query, also on POST."""
    level = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[0-9]{1,2})"
    colour = pattern(f"{level}(,{level}){{3}}", "255,255,255,255")
    return [
        in_query("bgc", colour | {"description": "background: red, green, blue, alpha"}),
        in_query("extras", {"const": "{}", "description": "the subject is found without points"}),
    ]


def in_query(name: str, schema: Json, *, is_needed: bool = False) -> Json:
    """Return a parameter of the query."""
    return {"name": name, "in": "query", "required": is_needed, "schema": schema}


def rembg_get() -> Json:
    """Return rembg's operation on a picture at an address."""
    found = described(
        "Cut out the picture at an address, as rembg does",
        REMBG_ERRORS,
        "RembgError",
    )
    found["responses"]["200"] = answer("The result", "image/png")
    named = [in_query(name, schema) for name, schema in rembg_parameters().items()]
    return found | {"parameters": [in_query("url", ADDRESS, is_needed=True), *named, *query_only()]}


def rembg_post() -> Json:
    """Return rembg's operation on a picture of a form."""
    found = described(
        "Cut out the picture of a form, as rembg does",
        REMBG_ERRORS,
        "RembgError",
    )
    found["responses"]["200"] = answer("The result", "image/png")
    form = record({"file": BINARY} | rembg_parameters(), required=["file"])
    body = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    return found | {"parameters": query_only(), "requestBody": body}


def described(summary: str, codes: tuple[str, ...], schema: str) -> Json:
    """Return an operation with its refusals: their statuses, and the schema of all of them."""
    answers: Json = {
        code: answer(HTTPStatus(int(code)).phrase, "application/json", ref(schema))
        for code in sorted(codes)
    }
    return {"summary": summary, "responses": answers}
