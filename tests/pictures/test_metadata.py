"""Metadata of results: none, who owns the picture, or all but what would be wrong."""

import io
import struct
from typing import Any

import pytest
from PIL import ExifTags, Image, IptcImagePlugin
from PIL.PngImagePlugin import PngInfo

from cvunet.pictures import encoding, metadata, reading
from cvunet.pictures.metadata import Policy
from tests.pictures import pictures_kit as kit

FORMATS: tuple[encoding.Format, ...] = ("png", "webp", "webp-lossless", "avif", "tiff")
SECRETS = (b"SN-4711", b"12/1", b"Pacific", b"thumbnail", b"Photoshop 99")
BASE = ExifTags.Base


def xmp(inner: str = "", attributes: str = "") -> bytes:
    """A packet as cameras and editors write it."""
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" {attributes}>{inner}
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


OWNED = xmp(
    "<dc:creator><rdf:Seq><rdf:li>Zoë &amp; Co</rdf:li><rdf:li>Bo</rdf:li></rdf:Seq></dc:creator>"
    '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">(c) Zoë</rdf:li></rdf:Alt></dc:rights>'
    "<xmp:Thumbnails><rdf:Alt><rdf:li>thumbnail</rdf:li></rdf:Alt></xmp:Thumbnails>"
    "<photoshop:History>Photoshop 99</photoshop:History>",
    'photoshop:Credit="Agency" xmpRights:WebStatement="https://example.org/l"'
    ' tiff:Orientation="6" photoshop:Country="Pacific"',
)


def exif(**tags: Any) -> Image.Exif:
    """What a camera writes, with a serial number, a place and an orientation."""
    block = Image.Exif()
    block[BASE.Make], block[BASE.Model], block[BASE.Orientation] = "Camera", "One", 6
    block[BASE.Artist], block[BASE.Copyright] = "Ann", b"\xc2\xa9 Ann"
    block[ExifTags.IFD.Exif] = {
        BASE.BodySerialNumber: "SN-4711",
        BASE.ExposureTime: 0.5,
        BASE.ExifImageWidth: 48,
        BASE.ExifImageHeight: 32,
        BASE.LensModel: "50mm",
    }
    block[ExifTags.IFD.GPSInfo] = {1: "N", 2: (12.0, 34.0, 56.0)}
    for name, value in tags.items():
        block[getattr(BASE, name)] = value
    return block


def with_thumbnail(block: bytes) -> bytes:
    """EXIF with a second directory, as cameras add one: a picture of its own."""
    prefix, body = block[:6], bytearray(block[6:])
    order = "<" if body[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", body, 4)
    (count,) = struct.unpack_from(order + "H", body, start)
    struct.pack_into(order + "I", body, start + 2 + 12 * count, len(body))
    fields = ((0x0201, len(body) + 2 + 2 * 12 + 4), (0x0202, len(b"thumbnail")))
    body += struct.pack(order + "H", 2)
    for tag, value in fields:
        body += struct.pack(order + "HHII", tag, 4, 1, value)
    return prefix + bytes(body) + bytes(4) + b"thumbnail"


def photo(kind: str = "JPEG", **options: Any) -> bytes:
    """Wider than high as it lies in the file, with all that a camera and an editor add."""
    block = with_thumbnail(exif().tobytes())
    options = {"exif": block, "xmp": OWNED} | options
    return kit.file_of(Image.new("RGB", (48, 32), (200, 100, 50)), kind, **options)


def result(data: bytes, policy: Policy, kind: encoding.Format = "png") -> Image.Image:
    """The result's file, opened and loaded."""
    image = Image.open(io.BytesIO(kit.cut(data, format=kind, policy=policy)[0]))
    image.load()
    return image


def packet(image: Image.Image) -> bytes:
    """The XMP of an image."""
    found = image.info.get("xmp", b"")
    return found if isinstance(found, bytes) else found.encode()


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_is_left_by_default(kind: encoding.Format):
    """No EXIF, no XMP, no byte of what was in them; the picture is upright."""
    data, _ = kit.cut(photo(), format=kind)

    image = Image.open(io.BytesIO(data))
    assert image.size == (32, 48)
    assert image.info.get("exif", b"") == b""
    assert packet(image) == b""
    assert not [word for word in (*SECRETS, b"Ann", b"Agency") if word in data]


@pytest.mark.parametrize("kind", FORMATS)
def test_copyright_says_who_owns_it_and_no_more(kind: encoding.Format):
    """Artist, copyright, credit and where the licence is; neither place nor serial number."""
    data, picture = kit.cut(photo(), format=kind, policy="copyright")

    image = Image.open(io.BytesIO(data))
    block = image.getexif()
    assert picture.warnings == ()
    assert (block[BASE.Artist], block[BASE.Copyright].encode("latin-1")) == ("Ann", b"\xc2\xa9 Ann")
    assert BASE.Orientation not in block
    assert not block.get_ifd(ExifTags.IFD.GPSInfo)
    assert b"Agency" in packet(image)
    assert b"https://example.org/l" in packet(image)
    assert not [word for word in SECRETS if word in data]
    assert image.size == (32, 48)


@pytest.mark.parametrize("kind", FORMATS)
def test_keep_keeps_the_rest(kind: encoding.Format):
    """Camera, place and history; without orientation, thumbnail and the original's size."""
    data, picture = kit.cut(photo(), format=kind, policy="keep")

    image = Image.open(io.BytesIO(data))
    block = image.getexif()
    details = block.get_ifd(ExifTags.IFD.Exif)
    assert picture.warnings == ()
    assert (block[BASE.Make], block[BASE.Artist]) == ("Camera", "Ann")
    assert block[BASE.Copyright].encode("latin-1") == b"\xc2\xa9 Ann"
    assert (details[BASE.BodySerialNumber], details[BASE.LensModel]) == ("SN-4711", "50mm")
    assert float(details[BASE.ExposureTime]) == 0.5
    assert BASE.ExifImageWidth not in details
    assert block.get_ifd(ExifTags.IFD.GPSInfo)[2] == (12.0, 34.0, 56.0)
    assert block.get(BASE.Orientation, 1) == 1
    assert not block.get_ifd(ExifTags.IFD.IFD1)
    assert b'tiff:Orientation="1"' in packet(image)
    assert b"Photoshop 99" in data
    assert b"thumbnail" not in data
    assert image.size == (32, 48)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_kept_orientation_turns_nothing_twice(orientation: int):
    """A viewer that heeds EXIF shows the result as the original was meant."""
    block = exif(Orientation=orientation).tobytes()

    image = result(photo(exif=block, xmp=b""), "keep", "tiff")

    assert image.size == ((48, 32) if orientation < 5 else (32, 48))
    assert image.getexif().get(BASE.Orientation, 1) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_metadata_is_found_in_every_format(kind: str):
    """EXIF from wherever the original has it."""
    image = result(photo(kind, exif=exif().tobytes()), "keep")

    block = image.getexif()
    assert (block[BASE.Artist], block[BASE.Make]) == ("Ann", "Camera")
    assert block.get_ifd(ExifTags.IFD.Exif)[BASE.LensModel] == "50mm"
    assert block.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"


def camera_exif(*, pointer: int = 0, kind: int = 4, index: bytes = b"R03\0") -> bytes:
    """Two directories as cameras nest them: the inner one says Adobe RGB, by a pointer."""
    outer, inner = 8 + 18, 8 + 18 + 30

    def directory(*fields: tuple[int, int, int, bytes]) -> bytes:
        packed = b"".join(struct.pack("<HHI4s", *one) for one in fields)
        return struct.pack("<H", len(fields)) + packed + bytes(4)

    number = struct.pack("<i", pointer or inner)
    return (
        b"Exif\0\0II*\0\x08\0\0\0"
        + directory((ExifTags.IFD.Exif, 4, 1, struct.pack("<I", outer)))
        + directory((BASE.ColorSpace, 3, 1, b"\xff\xff"), (ExifTags.IFD.Interop, kind, 1, number))
        + directory((1, 2, 4, index), (2, 7, 4, b"0100"))
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_kept_exif_keeps_what_a_pointer_leads_to(kind: encoding.Format):
    """The directory of a camera that says Adobe RGB; its place in the original is no value."""
    data = photo(exif=camera_exif(), xmp=b"", dpi=(300, 300))

    block = result(data, "keep", kind).getexif()

    assert block.get_ifd(ExifTags.IFD.Interop) == {1: "R03", 2: b"0100"}
    assert block.get_ifd(ExifTags.IFD.Exif)[BASE.ColorSpace] == 0xFFFF


def test_pointer_to_nowhere_rejects_no_picture():
    """Only what it would lead to is missing."""
    data = photo(exif=camera_exif(pointer=-1, kind=9), xmp=b"")

    image = result(data, "keep")

    details = image.getexif().get_ifd(ExifTags.IFD.Exif)
    assert (details[BASE.ColorSpace], ExifTags.IFD.Interop in details) == (0xFFFF, False)


@pytest.mark.parametrize("pointer", range(20, 130, 4))
def test_pointer_that_leads_back_takes_nothing_along(pointer: int):
    """To the very directory that holds it, or to what looks like one."""
    data = photo(exif=camera_exif(pointer=pointer, kind=4), xmp=b"")
    picture = reading.read(io.BytesIO(data), max_pixels=10**6, policy="keep")

    assert picture.warnings == ()
    assert picture.metadata.exif


def test_structure_of_a_tiff_is_not_taken_for_metadata():
    """A TIFF's tags of strips and bits describe that file, not the result."""
    image = result(photo("TIFF", exif=exif().tobytes()), "keep")

    assert set(image.getexif()) <= {*metadata.DESCRIPTIVE_TAGS, 0x8769, 0x8825}


def test_deep_tiff_carries_metadata_and_profile():
    """The TIFF that we write ourselves, too."""
    profile = kit.rgb_profile(kit.P3, kit.SRGB_CURVE)
    pixels = Image.new("RGB", (48, 32))
    data = kit.file_of(pixels, "PNG", exif=exif(), icc_profile=profile)

    image = Image.open(io.BytesIO(kit.cut(data, format="tiff", depth=16, policy="keep")[0]))

    block = image.getexif()
    assert image.info["icc_profile"] == profile
    assert (block[BASE.Artist], block[BASE.Make]) == ("Ann", "Camera")
    assert block.get_ifd(ExifTags.IFD.Exif)[BASE.LensModel] == "50mm"
    assert block.get_ifd(ExifTags.IFD.GPSInfo)[2] == (12.0, 34.0, 56.0)


def test_jpeg_carries_all_three():
    """Profile, EXIF and XMP."""
    profile = kit.rgb_profile(kit.P3, kit.SRGB_CURVE)
    picture = reading.read(
        io.BytesIO(photo(icc_profile=profile)), max_pixels=kit.LIMIT, policy="keep"
    )

    image = Image.open(io.BytesIO(encoding.encode(picture.rgb, format="jpeg", source=picture)))

    assert image.info["icc_profile"] == profile
    assert image.getexif()[BASE.Make] == "Camera"
    assert b"Agency" in packet(image)


def test_credits_of_xmp_alone():
    """Lists become one text; special characters survive."""
    image = result(photo(exif=b"", xmp=OWNED.replace(b'"6"', b'"1"')), "copyright")

    assert image.getexif()[BASE.Artist].encode("latin-1").decode() == "Zoë & Co; Bo"
    assert b"Zo\xc3\xab &amp; Co; Bo" in packet(image)


def iptc(**datasets: bytes) -> bytes:
    """JPEG's segment of Photoshop with records of IPTC, keyed as ``d80=b"..."``."""
    records = b"".join(
        b"\x1c\x02" + bytes([int(name[1:])]) + struct.pack(">H", len(content)) + content
        for name, content in datasets.items()
    )
    block = (
        b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + b"\0" * (len(records) % 2)
    )
    content = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("policy", ["copyright", "keep"])
def test_credits_of_iptc_alone(policy: Policy):
    """Agencies write them there; they go on as EXIF and XMP, which every format has."""
    data = photo(exif=b"", xmp=b"")
    segment = iptc(d80=b"Ann", d110=b"Agency", d116=b"(c) Ann", d92=b"Pacific")
    data = data[:2] + segment + data[2:]
    assert IptcImagePlugin.getiptcinfo(Image.open(io.BytesIO(data)))  # the test's own segment

    image = result(data, policy)

    assert (image.getexif()[BASE.Artist], image.getexif()[BASE.Copyright]) == ("Ann", "(c) Ann")
    assert b"Agency" in packet(image)
    assert b"Pacific" not in packet(image)


@pytest.mark.parametrize("policy", ["copyright", "keep"])
def test_credits_of_png_alone(policy: Policy):
    """Its own texts, Latin-1 and UTF-8; what else is written there is not repeated."""
    texts = PngInfo()
    texts.add_text("Copyright", "\xa9 Ann")
    texts.add_itxt("Author", "\u0141ucja")
    texts.add_text("Comment", "Pacific")

    image = result(photo("PNG", exif=b"", xmp=b"", pnginfo=texts), policy)

    block = image.getexif()
    owners = [block[tag].encode("latin-1").decode() for tag in (BASE.Artist, BASE.Copyright)]
    assert owners == ["\u0141ucja", "\xa9 Ann"]
    assert "Pacific" not in str(image.info)


@pytest.mark.parametrize(
    "broken",
    [
        b"<x:xmpmeta",
        b"\xff\xfe nonsense",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
        b"",
    ],
)
def test_broken_xmp_owns_nothing(broken: bytes):
    """EXIF is used all the same; entities are not expanded."""
    image = result(photo(xmp=broken), "copyright")

    assert image.getexif()[BASE.Artist] == "Ann"


def test_metadata_that_no_jpeg_could_hold_is_left_out():
    """With a warning, and the picture comes out."""
    huge = xmp("<dc:source>" + "x" * 70_000 + "</dc:source>")

    data, picture = kit.cut(photo("WEBP", xmp=huge, exif=exif().tobytes()), policy="keep")

    assert packet(Image.open(io.BytesIO(data))) == b""
    assert "XMP is larger" in " ".join(picture.warnings)


def test_mask_has_no_profile():
    """Grey levels of a mask are no colours of the picture's space."""
    profile = kit.rgb_profile(kit.P3, kit.SRGB_CURVE)
    picture = reading.read(io.BytesIO(photo(icc_profile=profile)), max_pixels=kit.LIMIT)

    data = encoding.encode(picture.rgb[..., 0].copy(), format="png", source=picture)

    assert "icc_profile" not in Image.open(io.BytesIO(data)).info
