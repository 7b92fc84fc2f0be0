"""Metadata of a picture (EXIF, XMP, IPTC), and how much of it the result repeats.

The default is none: a picture whose metadata nobody has checked would publish places, serial
numbers, thumbnails and editing histories.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, Literal
from xml.etree import ElementTree as ET

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from cvunet.pictures import bombs

Policy = Literal["strip", "copyright", "keep"]

MAX_BLOCK_BYTES = 65_000  # JPEG's limit for a segment; no other format needs more
EXIF_PREFIX = b"Exif\0\0"

TIFF = ExifTags.Base
#: Tags of EXIF's first directory that describe the picture; the others describe the file.
DESCRIPTIVE_TAGS = (
    *(TIFF.ImageDescription, TIFF.Make, TIFF.Model, TIFF.Software, TIFF.DateTime, TIFF.Artist),
    *(TIFF.HostComputer, TIFF.Copyright, TIFF.Rating, TIFF.RatingPercent, TIFF.XPTitle),
    *(TIFF.XPComment, TIFF.XPAuthor, TIFF.XPKeywords, TIFF.XPSubject),
)
EXIF_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
#: Size of the original, before turning and cropping.
SIZE_TAGS = (TIFF.ExifImageWidth, TIFF.ExifImageHeight)

DC, PHOTOSHOP = "http://purl.org/dc/elements/1.1/", "http://ns.adobe.com/photoshop/1.0/"
RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC_BYLINE, IPTC_CREDIT, IPTC_COPYRIGHT = (2, 80), (2, 110), (2, 116)  # IIM 4.2
XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:=["']|>))[2-8]""")
XMP_THUMBNAILS = re.compile(rb"<((?:xmp|xap):Thumbnails)\b.*?</\1>", re.DOTALL)
PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="{dc}" xmlns:photoshop="{photoshop}"
 xmlns:xmpRights="{rights}">
{properties}</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


@dataclass(frozen=True, slots=True)
class Metadata:
    """``exif`` with its prefix and ``xmp`` as a packet; empty if there is none."""

    exif: bytes = b""
    xmp: bytes = b""


NO_METADATA = Metadata()


@dataclass(frozen=True, slots=True)
class Credits:
    """Who owns the picture; empty if the file does not say."""

    artist: str = ""
    copyright: str = ""
    credit: str = ""
    terms: str = ""
    web: str = ""


def read_exif(image: Image.Image, warnings: list[str]) -> Image.Exif:
    """EXIF, with XMP's orientation; empty if it is broken. Call it after `load`.

    PNG may have EXIF after the pixels.
    """
    try:
        block = image.info.get("exif") or b""
        bombs.check_exif(block)
        # Pillow may have failed on it before, and does not report it again.
        if block and block.removeprefix(bombs.EXIF_PREFIX)[:4] not in bombs.TIFF_SIGNATURES:
            raise ValueError("it does not begin as EXIF does")
        exif = image.getexif()
        for directory in EXIF_DIRECTORIES:
            exif.get_ifd(directory)
        _drop_pointer_to_nowhere(exif)
        int(exif.get(TIFF.Orientation, 1))
    except Exception as error:  # noqa: BLE001 - broken EXIF raises anything; the pixels are good
        warnings.append(f"its EXIF block cannot be read, so its orientation is unknown: {error}")
        return Image.Exif()
    return exif


def _drop_pointer_to_nowhere(exif: Image.Exif) -> None:
    """The directory that names the colour space may be missing; all else of the block is good."""
    try:
        exif.get_ifd(ExifTags.IFD.Interop)
    except Exception:  # noqa: BLE001 - as in `read_exif`
        exif.get_ifd(ExifTags.IFD.Exif).pop(ExifTags.IFD.Interop, None)


def collect(
    image: ImageFile.ImageFile, exif: Image.Exif, policy: Policy, warnings: list[str]
) -> Metadata:
    """The metadata of a loaded image that the result repeats; ``exif`` is what could be read."""
    if policy == "strip":
        return NO_METADATA
    try:
        credits = _encode_credits(read_credits(image, exif))
        kept = _keep_everything(image, exif, credits) if policy == "keep" else credits
    except Exception as error:  # noqa: BLE001 - broken metadata raises anything; the pixels are good
        warnings.append(f"its metadata cannot be read and is left out: {error}")
        return NO_METADATA
    for name in ("exif", "xmp"):
        if len(getattr(kept, name)) > MAX_BLOCK_BYTES:
            warnings.append(f"its {name.upper()} is larger than {MAX_BLOCK_BYTES} bytes: left out")
    return Metadata(
        *(block if len(block) <= MAX_BLOCK_BYTES else b"" for block in (kept.exif, kept.xmp))
    )


def _keep_everything(image: Image.Image, source: Image.Exif, credits: Metadata) -> Metadata:
    """EXIF and XMP, upright and without thumbnails, with the credits if only IPTC has them."""
    target = Image.Exif()
    for descriptive in DESCRIPTIVE_TAGS:
        if descriptive in source:
            target[descriptive] = writable(source[descriptive])
    for group in EXIF_DIRECTORIES:
        fields = writable_directory(source, group)
        for size in SIZE_TAGS:
            fields.pop(size, None)
        if fields:
            target[group] = fields
    for tag, value in _parse_exif(credits.exif).items():
        target.setdefault(tag, writable(value))
    packet = XMP_THUMBNAILS.sub(b"", XMP_ORIENTATION.sub(rb"\g<1>1", _xmp_packet(image)))
    return Metadata(target.tobytes() if len(target) else b"", packet or credits.xmp)


def _parse_exif(block: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(block)
    return exif


def writable_directory(exif: Image.Exif, group: int) -> dict[int, Any]:  # Any: EXIF's types
    """An EXIF directory, its values ready to be written, with the directory that lies in it.

    The file has a pointer to that one, which leads nowhere in another file.
    """
    fields = {tag: writable(value) for tag, value in exif.get_ifd(group).items()}
    pointer = fields.pop(ExifTags.IFD.Interop, None)
    if pointer is None or group == ExifTags.IFD.Interop:  # one that leads back has no end
        return fields
    if inner := writable_directory(exif, ExifTags.IFD.Interop):
        fields[ExifTags.IFD.Interop] = inner
    return fields


def writable(value: Any) -> Any:  # Any: EXIF's types
    """Text that is not ASCII as Latin-1 bytes; Pillow would write question marks."""
    return value.encode("latin-1") if isinstance(value, str) and not value.isascii() else value


def read_credits(image: ImageFile.ImageFile, exif: Image.Exif) -> Credits:
    """Credits from EXIF, else from IPTC, else from XMP, else from PNG's own texts."""
    packet = _parse_xmp(_xmp_packet(image))
    texts = image.info if image.format == "PNG" else {}
    iptc = IptcImagePlugin.getiptcinfo(image) or {}

    def first(*texts: object) -> str:
        return next((text for text in map(_decode_text, texts) if text), "")

    return Credits(
        artist=first(
            exif.get(TIFF.Artist),
            iptc.get(IPTC_BYLINE),
            _xmp_property(packet, DC, "creator"),
            texts.get("Author"),
        ),
        copyright=first(
            exif.get(TIFF.Copyright),
            iptc.get(IPTC_COPYRIGHT),
            _xmp_property(packet, DC, "rights"),
            texts.get("Copyright"),
        ),
        credit=first(iptc.get(IPTC_CREDIT), _xmp_property(packet, PHOTOSHOP, "Credit")),
        terms=_xmp_property(packet, RIGHTS, "UsageTerms"),
        web=_xmp_property(packet, RIGHTS, "WebStatement"),
    )


def _decode_text(value: object) -> str:
    """The text of an EXIF or IPTC value of any type; UTF-8 if possible, else Latin-1."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(_decode_text, value)))
    if isinstance(value, str):  # Pillow decodes as Latin-1, except XMP
        try:
            value = value.encode("latin-1")
        except UnicodeEncodeError:
            return str(value).strip("\0 ")
    if not isinstance(value, bytes):
        return ""
    try:
        return value.decode("utf-8").strip("\0 ")
    except UnicodeDecodeError:
        return value.decode("latin-1").strip("\0 ")


def _xmp_packet(image: Image.Image) -> bytes:
    packet = image.info.get("xmp", b"")
    return packet.encode() if isinstance(packet, str) else packet or b""


def _parse_xmp(packet: bytes) -> ET.Element | None:
    """The tree of an XMP packet. None if there is none, or if it defines entities."""
    packet = packet.strip(b"\0 \n\r\t")
    if not packet or len(packet) > bombs.MAX_EXIF_BYTES or b"<!" in packet.replace(b"<!--", b""):
        return None
    try:
        return ET.fromstring(packet)
    except (ET.ParseError, ValueError):
        return None


def _xmp_property(tree: ET.Element | None, namespace: str, name: str) -> str:
    """The text of an XMP property; items of a list are joined by semicolons."""
    if tree is None:
        return ""
    key = f"{{{namespace}}}{name}"
    for element in tree.iter(f"{RDF}Description"):
        if key in element.attrib:
            return element.attrib[key].strip()
        child = element.find(key)
        if child is not None:
            items = [item.text for item in child.iter(f"{RDF}li")] or [child.text]
            return "; ".join(text.strip() for text in items if text and text.strip())
    return ""


def _encode_credits(credits: Credits) -> Metadata:
    """Credits as EXIF and as XMP."""
    exif = Image.Exif()
    for tag, text in ((TIFF.Artist, credits.artist), (TIFF.Copyright, credits.copyright)):
        if text:
            exif[tag] = text if text.isascii() else text.encode()
    properties = "".join(_xmp_properties(credits))
    if not properties:
        return NO_METADATA
    packet = PACKET.format(dc=DC, photoshop=PHOTOSHOP, rights=RIGHTS, properties=properties)
    return Metadata(exif.tobytes() if len(exif) else b"", packet.encode())


def _xmp_properties(credits: Credits) -> Iterable[str]:
    """Credits as XMP properties, in the forms of the XMP specification, parts 1 and 2."""
    default = '<rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt>'
    for name, form, text in (
        ("dc:creator", "<rdf:Seq><rdf:li>{}</rdf:li></rdf:Seq>", credits.artist),
        ("dc:rights", default, credits.copyright),
        ("photoshop:Credit", "{}", credits.credit),
        ("xmpRights:UsageTerms", default, credits.terms),
        ("xmpRights:WebStatement", "{}", credits.web),
    ):
        if text:
            yield f"<{name}>{form.format(escape(text, quote=False))}</{name}>\n"
