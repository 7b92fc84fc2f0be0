"""How many pixels a picture has for an inch or a centimetre: printers and layouts go by it.

It belongs to the picture, not to its owner: results have it whatever `output.metadata` says. Each
format writes it in another way: JFIF 1.02 (section APP0), PNG (pHYs), TIFF 6.0 (section 8), EXIF,
BMP (biXPelsPerMeter), JPEG 2000 (resc).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

Unit = Literal["inch", "cm", "none"]
Tags = Mapping[int, Any]  # Any: TIFF's types

X, Y, UNIT = 282, 283, 296  # TIFF's tags, which are EXIF's as well
NONE, INCH, CM = 1, 2, 3  # TIFF's units
UNITS: dict[int, Unit] = {NONE: "none", INCH: "inch", CM: "cm"}
JFIF_UNITS: dict[int, Unit] = {0: "none", 1: "inch", 2: "cm"}
METRES_PER_INCH, CM_PER_INCH, INCHES_PER_METRE_OF_PILLOW = 0.0254, 2.54, 39.3701
#: Pixels for an inch. Scans of slides under a microscope have 100,000.
LEAST_DPI, MOST_DPI = 1.0, 1_000_000.0
MOST_OF_JFIF = 65_535
#: Without a unit: beyond that, no pixel is so narrow, and no format's small numbers hold it.
MOST_RATIO = 255
#: Fractions in TIFF have 32 bits above and below: so `MOST_DPI` still fits.
DENOMINATOR = 4000


@dataclass(frozen=True, slots=True)
class Resolution:
    """Pixels for one ``unit``, to the right and down; for "none" only their ratio counts."""

    x: float
    y: float
    unit: Unit = "inch"

    @property
    def is_plausible(self) -> bool:
        """Such a picture may exist, and the file says more than nothing."""
        factor = CM_PER_INCH if self.unit == "cm" else 1.0
        if not all(LEAST_DPI <= each * factor <= MOST_DPI for each in (self.x, self.y)):
            return False  # also if one is not a number
        if self.unit != "none":
            return True
        return self.x != self.y and 1 / MOST_RATIO <= self.x / self.y <= MOST_RATIO

    def turned(self) -> "Resolution":
        """Return the resolution of the picture turned by a quarter."""
        return Resolution(self.y, self.x, self.unit)

    @property
    def per_metre(self) -> tuple[int, int]:
        """Whole pixels for a metre, for PNG; not for the unit "none"."""
        if self.unit == "cm":
            return round(self.x * 100), round(self.y * 100)
        return round(self.x / METRES_PER_INCH), round(self.y / METRES_PER_INCH)

    @property
    def ratio(self) -> tuple[int, int]:
        """Return the ratio of the unit "none", in whole numbers that fit into any format."""
        ratio = Fraction(self.x / self.y).limit_denominator(MOST_RATIO)
        return ratio.numerator, ratio.denominator

    @property
    def jfif(self) -> tuple[int, int, int] | None:
        """JFIF's number of the unit, and whole pixels for it; the unit that needs less rounding.

        None if no unit can hold it.
        """
        if self.unit == "none":
            return (0, *self.ratio)
        factor = CM_PER_INCH if self.unit == "cm" else 1.0
        x, y = self.x * factor, self.y * factor
        units = ((1, x, y), (2, x / CM_PER_INCH, y / CM_PER_INCH))
        found = [
            (error(*sides), (number, *map(round, sides)))
            for number, *sides in units
            if all(1 <= round(side) <= MOST_OF_JFIF for side in sides)
        ]
        if not found:
            return None
        _, (number, width, height) = min(found)
        return number, width, height

    @property
    def tags(self) -> dict[int, Any]:  # Any: TIFF's types
        """TIFF's, with fractions; EXIF has the same but for the unit "none"."""
        number = {unit: number for number, unit in UNITS.items()}[self.unit]
        x, y = (Fraction(each).limit_denominator(DENOMINATOR) for each in (self.x, self.y))
        return {X: x, Y: y, UNIT: number}


def error(*sides: float) -> float:
    """How far rounding leads away, as a share."""
    return max(abs(round(side) - side) / side for side in sides)


def of_file(info: Mapping[Any, Any], tags: Tags, exif: Tags, kind: str | None) -> Resolution | None:
    """What a file of Pillow's format ``kind`` says; None if that is nothing or cannot be.

    ``info`` is what Pillow reports, ``tags`` are those of a TIFF. The format's own statement comes
    before EXIF, and one with a unit before one without.
    """
    own = of_format(info, tags, kind)
    found = [each for each in (own, of_tags(exif)) if each is not None and each.is_plausible]
    return next((each for each in found if each.unit != "none"), next(iter(found), None))


def of_format(info: Mapping[Any, Any], tags: Tags, kind: str | None) -> Resolution | None:
    """Return the resolution that the format's own field states; None if it states none."""
    if kind == "TIFF":
        return of_tags(tags)
    if kind in ("JPEG", "MPO"):
        pair, unit = pair_of(info.get("jfif_density")), JFIF_UNITS.get(info.get("jfif_unit", -1))
        return Resolution(*pair, unit) if pair and unit else None
    dpi = pair_of(info.get("dpi"))
    if kind == "PNG" and dpi is None and (ratio := pair_of(info.get("aspect"))):
        return Resolution(*ratio, "none")
    if dpi is None or not all(map(math.isfinite, dpi)):
        return None
    if kind == "PNG":
        return of_metre(*(round(each / METRES_PER_INCH) for each in dpi))
    if kind == "BMP":
        return of_metre(*(round(each * INCHES_PER_METRE_OF_PILLOW) for each in dpi))
    return Resolution(*dpi) if kind == "JPEG2000" else None


def of_metre(x: int, y: int) -> Resolution:
    """Whole pixels for an inch if that is what was meant: 11811 for a metre are 300.

    Else pixels for a centimetre, which give the same number for a metre again.
    """
    inches = Resolution(round(x * METRES_PER_INCH), round(y * METRES_PER_INCH))
    return inches if inches.per_metre == (x, y) else Resolution(x / 100, y / 100, "cm")


def of_tags(tags: Tags) -> Resolution | None:
    """Return the resolution that TIFF's or EXIF's tags state; None if they state none."""
    pair = pair_of((tags.get(X), tags.get(Y, tags.get(X))))
    unit = tags.get(UNIT, INCH)
    return Resolution(*pair, UNITS[unit]) if pair and unit in (NONE, INCH, CM) else None


def pair_of(value: object) -> tuple[float, float] | None:
    """Two numbers; None for anything else, such as the text of a PNG with that name."""
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    try:
        x, y = (float(each) for each in value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return x, y
