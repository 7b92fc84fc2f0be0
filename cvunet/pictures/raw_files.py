"""Raw files of cameras: their pixels need a converter, and what they show at once is a preview."""

from typing import BinaryIO

from cvunet.errors import ImageError
from cvunet.pictures import tiff_directories
from cvunet.pictures.tiff_directories import COMPRESSION, CR2_SLICES, DNG_VERSION, Tree

HEAD_BYTES = 32
SIGNATURES = (  # offset, bytes, name
    (8, b"CR\2", "Canon CR2"),
    (8, b"IIII", "Phase One IIQ"),
    (8, b"MMMM", "Phase One IIQ"),
    (0, b"IIU\0", "Panasonic RW2"),
    (0, b"IIRO", "Olympus ORF"),
    (0, b"IIRS", "Olympus ORF"),
    (0, b"MMOR", "Olympus ORF"),
    (0, b"FUJIFILMCCD-RAW", "Fujifilm RAF"),
    (4, b"ftypcrx ", "Canon CR3"),
    (6, b"HEAPCCDR", "Canon CRW"),
    (0, b"FOVb", "Sigma X3F"),
    (0, b"\0MRM", "Minolta MRW"),
)
#: Of Sony, Samsung, Nikon and Pentax; nobody else packs pictures like that.
PACKINGS = frozenset({32767, 32770, 34713, 65535})
#: A first picture with that share of the sensor's pixels is a whole picture, not a preview.
WHOLE_SHARE = 0.8


def check(stream: BinaryIO) -> None:
    """`ImageError` if the file is a camera's raw file; rewinds it."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    kind = next((name for at, start, name in SIGNATURES if head[at:].startswith(start)), "")
    tree = None if kind else tiff_directories.read(stream)
    if tree is not None:
        kind = kind_of(tree)
    if kind:
        raise ImageError(f"a camera's raw file ({kind}): export it as JPEG or TIFF")


def kind_of(tree: Tree) -> str:
    """What a TIFF is if its first picture is a preview of a sensor's pixels, or holds these."""
    first = tree.chain[0]
    name = "DNG" if DNG_VERSION in first.values else "the pixels of a sensor"
    if first.is_sensor or first.value(COMPRESSION) in PACKINGS or CR2_SLICES in first.values:
        return name
    sensors = [
        other.pixels
        for other in tree.others()
        if other.is_sensor or other.value(COMPRESSION) in PACKINGS or CR2_SLICES in other.values
    ]
    if not sensors:
        return "DNG" if DNG_VERSION in first.values and first.is_part else ""
    is_whole = not first.is_part and first.pixels >= WHOLE_SHARE * max(sensors)
    return "" if is_whole else name
