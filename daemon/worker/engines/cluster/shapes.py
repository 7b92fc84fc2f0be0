"""Whether a value from another machine has the types that our own classes say."""

from dataclasses import fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

MISSING = object()


def fits(value: object, hint: Any) -> bool:  # Any: a type, or what `typing` makes of several
    """Whether a value has a type, with all that is in it. A subclass of a dataclass does not."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        return isinstance(value, tuple) and is_tuple_of(value, inner)
    if origin is dict:
        key_hint, value_hint = inner
        return isinstance(value, dict) and all(
            fits(key, key_hint) and fits(one, value_hint) for key, one in value.items()
        )
    if is_dataclass(hint):
        return type(value) is hint and all(
            fits(getattr(value, name, MISSING), one) for name, one in hints_of(hint)
        )
    return is_plain(value, NoneType if hint is None else hint)


def is_tuple_of(value: tuple[object, ...], inner: tuple[Any, ...]) -> bool:  # Any: as above
    """Whether a tuple has these types, or any number of the only one."""
    if inner[-1:] == (...,):
        return all(fits(one, inner[0]) for one in value)
    return len(value) == len(inner) and all(map(fits, value, inner))


def is_plain(value: object, kind: type) -> bool:
    """Whether a value is of a class; a whole number is one with a point, and a bool is neither."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


@lru_cache(maxsize=64)
def hints_of(kind: Any) -> tuple[tuple[str, Any], ...]:  # Any: a dataclass
    """Return the fields of a dataclass with their types."""
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))
