"""Families of models that other programs use, and how a file's family is recognised.

Their numbers are those of their authors and of rembg 2.0.86. A file is recognised by its checksum,
or by its input, its outputs and its name together; a doubt is told and never decided in silence.
"""

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cvunet.errors import WeightsError
from cvunet.models.description import Answer, Description, Fit, Scale

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
ONE = (1.0, 1.0, 1.0)
REMBG = "https://github.com/danielgatis/rembg/releases/tag/v0.0.0"
BIREFNET_GENERAL = r"birefnet(?!.*(lite|tiny|portrait|[-_]dis|[-_]hrsod|[-_]cod|massive)).*"
NOT_COMMERCIAL = "not for commercial use (CC BY-NC 4.0; BRIA sells licences)"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Family:
    """Models of one kind: how pictures are given to them, and what is known of their licence."""

    name: str
    side: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    answer: Answer
    licence: str
    source: str
    names: str
    """A pattern that a file's name without its ending matches, in small letters."""
    scale: Scale = "255"
    fit: Fit = "squeeze"
    least_outputs: int = 1
    md5: str = ""
    """Of the file that rembg downloads."""


def u2net(name: str, names: str, md5: str, licence: str = "Apache-2.0") -> Family:
    """One of the U2-Nets: seven outputs, the first is the answer."""
    mean, deviation = IMAGENET
    return Family(
        name, 320, mean, deviation, "min-max", licence, REMBG, names, "max", "squeeze", 7, md5
    )


def birefnet(name: str, names: str, md5: str) -> Family:
    """One of the BiRefNets: logits."""
    mean, deviation = IMAGENET
    return Family(name, 1024, mean, deviation, "logits", "MIT", REMBG, names, md5=md5)


FAMILIES = (
    u2net("u2netp", r"u2netp.*", "8e83ca70e441ab06c318d82300c84806"),
    u2net("u2net-human-seg", r"u2net[-_]human.*", "c09ddc2e0104f800e3e1bb4652583d1f"),
    u2net("u2net", r"u2net(?!p|[-_]human|[-_]cloth).*", "60024c5c889badc19c04ad937298a77b"),
    u2net("silueta", r"silueta.*", "55e59e0d8062d2f5d013f4725ee84782", "unknown (a U2-Net made"
          " smaller; U2-Net is Apache-2.0)"),
    Family("isnet-anime", 1024, IMAGENET[0], ONE, "min-max", "Apache-2.0", REMBG,
           r"isnet[-_]?anime.*", md5="6f184e756bb3bd901c8849220a83e38e"),
    Family("isnet-general-use", 1024, HALF, ONE, "min-max", "Apache-2.0", REMBG,
           r"isnet(?![-_]?anime).*", md5="fc16ebd8b0c10d971d3513d564d01e29"),
    birefnet("birefnet-general-lite", r"birefnet.*(lite|tiny).*",
             "4fab47adc4ff364be1713e97b7e66334"),
    birefnet("birefnet-portrait", r"birefnet.*portrait.*", "c3a64a6abf20250d090cd055f12a3b67"),
    birefnet("birefnet-dis", r"birefnet[-_]dis.*", "2d4d44102b446f33a4ebb2e56c051f2b"),
    birefnet("birefnet-hrsod", r"birefnet[-_]hrsod.*", "c017ade5de8a50ff0fd74d790d268dda"),
    birefnet("birefnet-cod", r"birefnet[-_]cod.*", "f6d0d21ca89d287f17e7afe9f5fd3b45"),
    birefnet("birefnet-massive", r"birefnet[-_]massive.*", "33e726a2136a3d59eb0fdf613e31e3e9"),
    birefnet("birefnet-general", BIREFNET_GENERAL,
             "7a35a0141cbbc80de11d9c9a28f52697"),
    Family("bria-rmbg-1.4", 1024, HALF, ONE, "min-max", NOT_COMMERCIAL,
           "https://huggingface.co/briaai/RMBG-1.4", r".*(rmbg|bria).*1[._-]?4.*"),
    Family("bria-rmbg", 1024, *IMAGENET, "min-max", NOT_COMMERCIAL,
           "https://huggingface.co/briaai/RMBG-2.0", r".*rmbg(?!.*1[._-]?4).*"),
    Family("ben2", 1024, *IMAGENET, "min-max", "MIT",
           "https://huggingface.co/PramaLLC/BEN2", r"ben2?([-_].*)?"),
    Family("modnet", 512, HALF, HALF, "probabilities", "Apache-2.0",
           "https://github.com/ZHKKKe/MODNet", r"modnet.*", fit="shorter"),
)  # fmt: skip
BY_NAME = {family.name: family for family in FAMILIES}
#: Files of rembg that do something else.
OTHERS = {"2434d1f3cb744e0e49386c906e5a08bb": "u2net_cloth_seg, which finds clothes, not a subject"}


@dataclass(frozen=True, slots=True)
class Signature:
    """What a file says of itself."""

    shape: tuple[int | str | None, ...]
    """Of its input."""
    outputs: int

    @property
    def layout(self) -> str:
        """ "nchw" or "nhwc"; by where the three colours are."""
        return "nhwc" if len(self.shape) == 4 and self.shape[3] == 3 != self.shape[1] else "nchw"

    @property
    def sides(self) -> tuple[int | str | None, ...]:
        """Return height and width."""
        return self.shape[1:3] if self.layout == "nhwc" else self.shape[2:4]


@dataclass(frozen=True, slots=True)
class Recognised:
    """A family, and for people how it was found."""

    family: Family
    evidence: str


def recognise(path: Path, signature: Signature, *, family: str | None = None) -> Recognised:
    """The family of a file. `WeightsError` if there is none, or if it cannot be told which.

    ``family``: what a person says; the file must still be able to be one.
    """
    possible = [one for one in FAMILIES if can_be(one, signature)]
    if family is not None:
        return Recognised(named(family, possible, signature), "you said so")
    digest = md5_of(path)
    if digest in OTHERS:
        raise WeightsError(f"{path}: is {OTHERS[digest]}: it cannot be used here")
    known = [one for one in FAMILIES if one.md5 == digest]
    if known:
        return Recognised(known[0], "its checksum is that of the file which rembg downloads")
    stem = path.stem.lower()
    by_name = [one for one in possible if re.fullmatch(one.names, stem)]
    if len(by_name) == 1:
        return Recognised(by_name[0], f"by its name, its input {shape_text(signature)} and"
                          f" {signature.outputs} outputs")  # fmt: skip
    raise WeightsError(doubt(path, signature, possible))


def can_be(family: Family, signature: Signature) -> bool:
    """Whether a file with this input and so many outputs can be of a family."""
    if len(signature.shape) != 4 or signature.outputs < family.least_outputs:
        return False
    if family.fit == "shorter":
        return not any(isinstance(side, int) for side in signature.sides)
    return all(side == family.side or not isinstance(side, int) for side in signature.sides)


def named(name: str, possible: Sequence[Family], signature: Signature) -> Family:
    """The family of that name; `WeightsError` if there is none, or if the file cannot be one."""
    if name not in BY_NAME:
        raise WeightsError(f"there is no family {name!r}: choose one of {', '.join(BY_NAME)}")
    family = BY_NAME[name]
    if family not in possible:
        raise WeightsError(
            f"the file cannot be a {name}: its input is {shape_text(signature)} and it has"
            f" {signature.outputs} outputs; a {name} has {family.side}x{family.side}"
        )
    return family


def doubt(path: Path, signature: Signature, possible: Sequence[Family]) -> str:
    """What a person has to say."""
    what = f"{path}: its input is {shape_text(signature)} and it has {signature.outputs} outputs"
    if not possible:
        return (
            f"{what}, which fits no known family ({', '.join(BY_NAME)}): describe it yourself in"
            f" {path.with_suffix('.yaml').name}, see docs/models.md"
        )
    return (
        f"{what}, which fits {', '.join(one.name for one in possible)}, and its name does not say"
        " which: say --family NAME"
    )


def shape_text(signature: Signature) -> str:
    """1x3x320x320; sides that are not fixed are question marks."""
    return "x".join(str(one) if isinstance(one, int) else "?" for one in signature.shape)


def describe(path: Path, family: Family, signature: Signature, *, sha256: str) -> Description:
    """The entry of a file of a family."""
    plain = Description(
        sha256=sha256,
        bytes=path.stat().st_size,
        width=family.side,
        height=family.side,
        mean=family.mean,
        deviation=family.deviation,
        answer=family.answer,
        scale=family.scale,
        fit=family.fit,
        resize="area" if family.fit == "shorter" else "lanczos",
        family=family.name,
        licence=family.licence,
        source=family.source,
    )
    return plain if signature.layout == "nchw" else dataclasses.replace(plain, layout="nhwc")


def md5_of(path: Path) -> str:
    """The checksum that rembg publishes; it identifies a file here and protects nothing."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
