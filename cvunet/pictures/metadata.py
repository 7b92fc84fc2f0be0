"""What a file says beside its pixels, and how much of that the result may say: EXIF, XMP, IPTC.

Places, serial numbers, thumbnails and editing histories go out with a picture that nobody looked
through; so the default is none of it.
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

BLOCK_BYTES = 65_000  # JPEG cannot hold more in one segment, and no other format needs to
EXIF_PREFIX = b"Exif\0\0"

TIFF = ExifTags.Base
#: What describes a picture, in EXIF's first directory; the rest describes the file that was read.
DESCRIPTIVE = (
    *(TIFF.ImageDescription, TIFF.Make, TIFF.Model, TIFF.Software, TIFF.DateTime, TIFF.Artist),
    *(TIFF.HostComputer, TIFF.Copyright, TIFF.XResolution, TIFF.YResolution, TIFF.ResolutionUnit),
    *(TIFF.Rating, TIFF.RatingPercent, TIFF.XPTitle, TIFF.XPComment, TIFF.XPAuthor),
    *(TIFF.XPKeywords, TIFF.XPSubject),
)
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
SIZES = (TIFF.ExifImageWidth, TIFF.ExifImageHeight)  # of the original, before turning and cropping

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
    """``exif`` with its prefix and ``xmp`` as a packet; empty where there is none."""

    exif: bytes = b""
    xmp: bytes = b""


NOTHING = Metadata()


@dataclass(frozen=True, slots=True)
class Credits:
    """Whose picture it is; empty where the file does not say."""

    artist: str = ""
    copyright: str = ""
    credit: str = ""
    terms: str = ""
    web: str = ""


def collect(
    image: ImageFile.ImageFile, exif: Image.Exif, policy: Policy, warnings: list[str]
) -> Metadata:
    """What of a loaded image's metadata goes into the result; ``exif`` is what could be read."""
    if policy == "strip":
        return NOTHING
    try:
        owned = _written(credits_of(image, exif))
        kept = _everything(image, exif, owned) if policy == "keep" else owned
    except Exception as error:  # noqa: BLE001 - broken metadata raises anything; the pixels are well
        warnings.append(f"its metadata cannot be read and is left out: {error}")
        return NOTHING
    for name in ("exif", "xmp"):
        if len(getattr(kept, name)) > BLOCK_BYTES:
            warnings.append(f"its {name.upper()} is larger than {BLOCK_BYTES} bytes: left out")
    return Metadata(
        *(block if len(block) <= BLOCK_BYTES else b"" for block in (kept.exif, kept.xmp))
    )


def _everything(image: Image.Image, source: Image.Exif, owned: Metadata) -> Metadata:
    """EXIF and XMP, upright and without thumbnails; who owns it is added if only IPTC says so."""
    target = Image.Exif()
    for descriptive in DESCRIPTIVE:
        if descriptive in source:
            target[descriptive] = writable(source[descriptive])
    for group in DIRECTORIES:
        fields = directory(source, group)
        if ExifTags.IFD.Interop in fields:
            fields[ExifTags.IFD.Interop] = source.get_ifd(ExifTags.IFD.Interop)
        for size in SIZES:
            fields.pop(size, None)
        if fields:
            target[group] = fields
    for tag, value in _loaded(owned.exif).items():
        target.setdefault(tag, writable(value))
    packet = XMP_THUMBNAILS.sub(b"", XMP_ORIENTATION.sub(rb"\g<1>1", _packet(image)))
    return Metadata(target.tobytes() if len(target) else b"", packet or owned.xmp)


def _loaded(block: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(block)
    return exif


def directory(exif: Image.Exif, group: int) -> dict[int, Any]:  # Any: EXIF's types
    """A directory of EXIF, ready to be written."""
    return {tag: writable(value) for tag, value in exif.get_ifd(group).items()}


def writable(value: Any) -> Any:  # Any: EXIF's types
    """Text that is not ASCII as its bytes; Pillow would write question marks."""
    return value.encode("latin-1") if isinstance(value, str) and not value.isascii() else value


def credits_of(image: ImageFile.ImageFile, exif: Image.Exif) -> Credits:
    """From EXIF, else IPTC, else XMP."""
    packet = _parsed(_packet(image))
    iptc = IptcImagePlugin.getiptcinfo(image) or {}

    def first(*texts: object) -> str:
        return next((text for text in map(_text, texts) if text), "")

    return Credits(
        artist=first(
            exif.get(TIFF.Artist), iptc.get(IPTC_BYLINE), _property(packet, DC, "creator")
        ),
        copyright=first(
            exif.get(TIFF.Copyright), iptc.get(IPTC_COPYRIGHT), _property(packet, DC, "rights")
        ),
        credit=first(iptc.get(IPTC_CREDIT), _property(packet, PHOTOSHOP, "Credit")),
        terms=_property(packet, RIGHTS, "UsageTerms"),
        web=_property(packet, RIGHTS, "WebStatement"),
    )


def _text(value: object) -> str:
    """What EXIF or IPTC hold, in whichever way; UTF-8 if it can be, else Latin-1."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(_text, value)))
    if isinstance(value, str):  # Pillow has taken it for Latin-1, unless it comes from XMP
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


def _packet(image: Image.Image) -> bytes:
    packet = image.info.get("xmp", b"")
    return packet.encode() if isinstance(packet, str) else packet or b""


def _parsed(packet: bytes) -> ET.Element | None:
    """The packet's tree. None if there is none, or if it brings entities of its own."""
    packet = packet.strip(b"\0 \n\r\t")
    if not packet or len(packet) > bombs.EXIF_BYTES or b"<!" in packet.replace(b"<!--", b""):
        return None
    try:
        return ET.fromstring(packet)
    except (ET.ParseError, ValueError):
        return None


def _property(tree: ET.Element | None, namespace: str, name: str) -> str:
    """A property's text; the items of a list with semicolons between them."""
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


def _written(credits: Credits) -> Metadata:
    """Credits as EXIF and as XMP."""
    exif = Image.Exif()
    for tag, text in ((TIFF.Artist, credits.artist), (TIFF.Copyright, credits.copyright)):
        if text:
            exif[tag] = text if text.isascii() else text.encode()
    properties = "".join(_properties(credits))
    if not properties:
        return NOTHING
    packet = PACKET.format(dc=DC, photoshop=PHOTOSHOP, rights=RIGHTS, properties=properties)
    return Metadata(exif.tobytes() if len(exif) else b"", packet.encode())


def _properties(credits: Credits) -> Iterable[str]:
    """In the forms that the XMP specification, parts 1 and 2, has for each."""
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
