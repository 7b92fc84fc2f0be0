"""Parameters of remove.bg's API, version 1.0: each does what it says, or is refused.

A parameter that changes nothing for the pictures that remove.bg supports it for is accepted, and
named in the header ``X-Ignored-Parameters``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from daemon.web import colours
from daemon.web.problems import bad_request

Json = dict[str, Any]  # Any: JSON
FILE = "image_file"
URL = "image_url"
SOURCES = (FILE, "image_file_b64", URL)
BACKGROUND_FILE = "bg_image_file"
BACKGROUND_URL = "bg_image_url"
#: At most one of these.
BACKGROUNDS = ("bg_color", BACKGROUND_URL, BACKGROUND_FILE)
MEGA = 1_000_000
MEGAPIXELS = {
    **dict.fromkeys(("preview", "small", "regular"), 0.25),
    "medium": 1.5,
    "hd": 4.0,
    **dict.fromkeys(("full", "4k", "auto"), 25.0),
    "50mp": 50.0,
}
FORMATS = {"png": "png", "jpg": "jpeg", "webp": "webp", "zip": "zip", "auto": "auto"}
#: Parameters with the values that change nothing here.
WITHOUT_EFFECT: dict[str, tuple[str, ...]] = {
    "type": ("auto", "person", "product", "car", "animal", "graphic", "transportation", "other"),
    "type_level": ("none", "1", "2", "latest"),
    "semitransparency": ("true", "false"),  # only for windows of cars
    "add_shadow": ("true", "false"),  # only for cars
    "shadow_type": ("none",),
    "shadow_opacity": tuple(map(str, range(101))),
}
#: Of these, the values that mean the same as leaving the parameter out.
DEFAULTS = {"type": "auto", "type_level": "1", "semitransparency": "true", "add_shadow": "false"}
LENGTH = re.compile(r"(\d{1,5}(?:\.\d+)?)(px|%)?")
SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)%")
WHOLE = [[0.0, True], [0.0, True], [1.0, True], [1.0, True]]
MAX_MARGIN_SHARE = 0.5
MAX_MARGIN_PX = 500
MIN_SCALE = 0.1
TRUE = ("true", "1", "yes")
FALSE = ("false", "0", "no")
#: What their clients expect, whatever `web.output` says.
NEUTRAL: Json = {
    "format": "png",
    "content": "cutout",
    "background": "none",
    "depth": "auto",
    "crop": "none",
    "crop_margin": 0.0,
    "crop_aspect": "none",
    "crop_canvas": "none",
}
#: An arrangement that changes nothing; see `cvunet.matte.arranging`.
PLAIN: Json = {
    "roi": None,
    "margins": None,
    "scale": None,
    "position": None,
    "colour": None,
    "max_pixels": None,
    "format": "auto",
    "channels": "rgba",
    "has_background": False,
}
#: For an arrangement the worker makes the whole cut-out, and the server the rest.
WHOLE_CUTOUT = NEUTRAL | {"depth": 8}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants: of the worker, and of the server afterwards."""

    options: Json
    arrangement: Json | None = None
    """None: the worker's result is the answer."""


def wanted(given: dict[str, str], *, has_background: bool = False) -> Wanted:
    """Return what to do for their parameters; `Problem` for what is not offered.

    ``has_background``: a picture has come for the background.
    """
    asked = PLAIN | {"max_pixels": int(MEGAPIXELS["preview"] * MEGA)}
    asked["has_background"] = has_background
    for name, value in given.items():
        try:
            asked |= READERS[name](value) if name in READERS else without_effect(name, value)
        except ValueError as error:
            raise bad_request(f"invalid_{name[:40]}", f"{name[:40]} {error}") from error
    check_whole(asked)
    is_cropped = asked.pop("is_cropped", False)
    if not is_cropped:
        asked["margins"] = None
    elif asked["margins"] is None:
        asked["margins"] = [[0.0, True]] * 4
    if asked["scale"] is not None and "position" not in given:
        asked["position"] = [0.5, 0.5]
    plain = options_of(asked)
    return Wanted(plain) if plain is not None else Wanted(whole_cutout(asked), asked)


def check_whole(asked: Json) -> None:
    """Refuse what cannot be had together."""
    is_on_something = asked["has_background"] or asked["colour"] is not None
    if asked["has_background"] and asked["colour"] is not None:
        raise bad_request("multiple_backgrounds", f"give one of {', '.join(BACKGROUNDS)}")
    if asked["format"] == "zip" and (is_on_something or asked["channels"] == "alpha"):
        text = "a zip holds colours and alpha: it takes neither a background nor channels=alpha"
        raise bad_request("invalid_format", text)


def options_of(asked: Json) -> Json | None:
    """Return options for the worker if it can make all of it; else None."""
    colour, margins = asked["colour"], asked["margins"]
    is_placed = any(asked[name] is not None for name in ("roi", "scale", "position"))
    is_clear = colour is None or colour[3] in (0, 255)
    is_even = margins is None or (margins.count(margins[0]) == 4 and margins[0][1])
    if is_placed or asked["has_background"] or asked["format"] == "zip":
        return None
    if not is_clear or not is_even:
        return None
    has_colour = colour is not None and colour[3] == 255
    kind = asked["format"]
    if kind == "auto":  # theirs is JPEG, too, where nothing is transparent
        kind = "jpeg" if has_colour and asked["channels"] == "rgba" else "png"
    options = NEUTRAL | {
        "format": kind,
        "content": "alpha" if asked["channels"] == "alpha" else "cutout",
        "background": "#{:02x}{:02x}{:02x}".format(*colour[:3]) if has_colour else "none",
        "max_megapixels": asked["max_pixels"] / MEGA,
    }
    if margins is not None:
        share = margins[0][0]
        # Theirs is a share of the subject's side, ours one of the result's.
        options |= {"crop": "subject", "crop_margin": share / (1 + 2 * share)}
    return options


def whole_cutout(asked: Json) -> Json:
    """Return options for the cut-out that the server arranges."""
    return WHOLE_CUTOUT | {"bleed": asked["format"] == "zip"}


def without_effect(name: str, value: str) -> Json:
    """Accept what changes nothing; `ValueError` for anything else."""
    if name not in WITHOUT_EFFECT:
        raise ValueError("is unknown, or not offered here")
    if value.lower() not in WITHOUT_EFFECT[name]:
        allowed = WITHOUT_EFFECT[name]
        text = ", ".join(allowed) if len(allowed) < 10 else f"{allowed[0]} to {allowed[-1]}"
        raise ValueError(f"is not offered with this value; there are: {text}")
    return {}


def ignored(given: dict[str, str]) -> list[str]:
    """Return the parameters that change nothing here, though they ask for something."""
    return [name for name in WITHOUT_EFFECT if given.get(name) not in (None, DEFAULTS.get(name))]


# --- values --------------------------------------------------------------------------------


def size(value: str) -> Json:
    """Read how large the result may be."""
    if value.lower() not in MEGAPIXELS:
        raise ValueError(f"has these values: {', '.join(MEGAPIXELS)}")
    return {"max_pixels": int(MEGAPIXELS[value.lower()] * MEGA)}


def file_format(value: str) -> Json:
    """Read the result's format."""
    if value not in FORMATS:
        raise ValueError("is auto, png, jpg, webp or zip")
    return {"format": FORMATS[value]}


def channels(value: str) -> Json:
    """Read whether only the mask is wanted."""
    if value not in ("rgba", "alpha"):
        raise ValueError("is rgba or alpha")
    return {"channels": value}


def truth(value: str) -> bool:
    """Read yes or no."""
    if value.lower() not in TRUE + FALSE:
        raise ValueError("is true or false")
    return value.lower() in TRUE


def lengths(value: str) -> list[list[Any]]:  # Any: number and yes or no
    """Read lengths in pixels or in percent, as number and whether it is a share."""
    found = [LENGTH.fullmatch(one) for one in value.split()]
    if not found or None in found:
        raise ValueError("has values such as 10% or 30px")
    return [
        [float(one[1]) / 100, True] if one[2] == "%" else [float(one[1]), False]
        for one in found
        if one is not None
    ]


def margins(value: str) -> Json:
    """Read the space around the subject: for all sides, for two and two, or for each."""
    found = lengths(value)
    if len(found) not in (1, 2, 4):
        raise ValueError("has 1, 2 or 4 values, such as 10% or 30px")
    if any(one > (MAX_MARGIN_SHARE if is_share else MAX_MARGIN_PX) for one, is_share in found):
        raise ValueError(f"is at most {MAX_MARGIN_SHARE:.0%} or {MAX_MARGIN_PX}px")
    zero = [[0.0, True] if not one[0] else one for one in found]
    return {"margins": (zero * 4)[:4]}


def scale(value: str) -> Json:
    """Read how large the subject becomes."""
    if value == "original":
        return {"scale": None}
    share = share_of(value)
    if share < MIN_SCALE:
        raise ValueError("is original, or 10% to 100%")
    return {"scale": share}


def share_of(value: str) -> float:
    """Read one percentage up to 100 %."""
    found = SHARE.fullmatch(value)
    if found is None or float(found[1]) > 100:
        raise ValueError("has values from 0% to 100%, with the sign")
    return float(found[1]) / 100


def position(value: str) -> Json:
    """Read where the subject goes: across and down, as shares of the free space."""
    if value == "original":
        return {"position": None}
    if value == "center":
        return {"position": [0.5, 0.5]}
    shares = [share_of(one) for one in value.split()]
    if len(shares) not in (1, 2):
        raise ValueError("is original, center, or 1 or 2 values such as 20%")
    return {"position": (shares * 2)[:2]}


def region(value: str) -> Json:
    """Read the rectangle in which the subject is: left, top, right and lower edge."""
    found = lengths(value)
    if len(found) != 4:
        raise ValueError("has 4 values: the left, top, right and lower edge")
    left, top, right, bottom = found
    for low, high in ((left, right), (top, bottom)):
        if low[1] == high[1] and low[0] >= high[0]:
            raise ValueError("is empty: the right and lower edge come last")
    return {"roi": None if found == WHOLE else found}


READERS: dict[str, Callable[[str], Json]] = {
    "size": size,
    "format": file_format,
    "channels": channels,
    "crop": lambda value: {"is_cropped": truth(value)},
    "crop_margin": margins,
    "scale": scale,
    "position": position,
    "roi": region,
    "bg_color": lambda value: {"colour": colours.levels(value)},
}
