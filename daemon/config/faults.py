"""Faults of a configuration, by line: which key, what is wrong, what was probably meant."""

import re
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from yaml.nodes import MappingNode, Node, SequenceNode

from daemon.config.near_names import did_you_mean

Place = tuple[int | str, ...]
Fault = tuple[Place, str, str, object]
"""Place, kind, message and the wrong value, as pydantic tells them."""
QUOTED = re.compile(r"'([^']*)'")
NUMBER = re.compile(r"\d+")
#: What a value has to be, by the kind of a fault.
WANTED = {
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type"), "a section with keys"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    "finite_number": "a finite number",
    "string_type": "text; put it in quotes",
    "path_type": "a path",
}
BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of")


def explain(path: Path, tree: Node | None, faults: list[Fault], model: type[BaseModel]) -> str:
    """Return one line for each fault."""
    return "\n".join(f"{path}:{line_of(tree, f[0])}: {describe(f, model)}" for f in faults)


def describe(fault: Fault, model: type[BaseModel]) -> str:
    """Describe a fault without its line."""
    place, kind, message, value = fault
    key = dotted(place)
    if kind == "extra_forbidden":
        known = known_keys(model, place[:-1])
        hint = did_you_mean(str(place[-1]), known) or f"known keys: {', '.join(known)}"
        if "://" in str(place[-1]):  # its path may be a secret
            return f"{dotted(place[:-1])}: a URL is no key; {hint}"
        return f"unknown key {key!r}; {hint}"
    if kind == "literal_error" and isinstance(value, str):
        options = QUOTED.findall(message)
        hint = " ".join(filter(None, (did_you_mean(value, options), "known values are")))
        return f"{key}: {value!r} is none of its values; {hint} {', '.join(options)}"
    if kind == "missing":
        return f"key {key!r} is missing"
    # Below `hooks` it may be a URL, whose path may be a secret.
    is_secret = place[:1] == ("hooks",) and isinstance(value, str)
    text = in_words(kind, message, "this text" if is_secret else shown(value))
    return f"{key}: {text}" if key else text


def in_words(kind: str, message: str, told: str) -> str:
    """Return what is wrong with a value, told as people know it, and what it has to be."""
    if kind in WANTED:
        return f"{told} is not {WANTED[kind]}"
    if kind in BOUNDS:
        return f"{told} must be {message.removeprefix('Input should be ')}"
    if kind == "too_short" and (least := NUMBER.search(message)):
        return f"at least {least.group()} must be named"
    return message.removeprefix("Value error, ")


def shown(value: object) -> str:
    """Return a value as YAML writes it; of a list or a section only what it is."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return "a list"
    return "a section" if isinstance(value, dict) else repr(value)


def dotted(place: Place) -> str:
    """Return a key as people write it: folders[0].path."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def line_of(node: Node | None, place: Place) -> int:
    """Return the line of the deepest part of a key that the file has; 1 for an empty file."""
    line = node.start_mark.line if node is not None else 0
    for part in place:
        child: Node | None = None
        if isinstance(node, MappingNode):
            for key, value in node.value:
                if key.value == part:
                    line, child = key.start_mark.line, value
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            child = node.value[part]
            line = child.start_mark.line
        if child is None:
            break
        node = child
    return line + 1


def duplicates(node: Node | None) -> list[tuple[int, str]]:
    """Return line and name of each key that stands twice in a mapping; YAML keeps the last one."""
    if isinstance(node, SequenceNode):
        return [duplicate for item in node.value for duplicate in duplicates(item)]
    if not isinstance(node, MappingNode):
        return []
    seen: set[str] = set()
    found: list[tuple[int, str]] = []
    for key, value in node.value:
        if key.value in seen:
            found.append((key.start_mark.line + 1, str(key.value)))
        seen.add(str(key.value))
        found += duplicates(value)
    return found


def known_keys(model: type[BaseModel], place: Place) -> list[str]:
    """Return the keys that a section may have."""
    is_name = False
    for part in place:
        if isinstance(part, int) or is_name:
            is_name = False
            continue
        field = model.model_fields.get(part)
        is_name = field is not None and get_origin(field.annotation) is dict
        inner = model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def model_in(annotation: Any) -> type[BaseModel] | None:  # Any: annotations have no common type
    """Return the section inside an annotation such as ``list[Folder]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(model_in, get_args(annotation))), None)
