"""Thumbnails are kept for a while, and only so many of them; few processes make them."""

import io
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cvunet.pictures import profiles, signatures
from cvunet.pictures import thumbnails as program
from daemon.web import thumbnail_children
from daemon.web.site import Site
from daemon.web.thumbnail_children import Children
from daemon.web.thumbnails import Key, Thumbnails
from tests.pictures.pictures_kit import deep_tiff
from tests.web.web_kit import Kit, picture, running, wait_for

pytestmark = pytest.mark.web


@pytest.fixture
def thumbnails() -> Thumbnails:
    """For 100 bytes; nothing is asked of the site."""
    site: Site = None  # type: ignore[assignment]
    return Thumbnails(site, limit_bytes=100)


def key(number: int) -> Key:
    """Of one of many files."""
    return (Path(f"/{number}.png"), (number, 1, 1), 320, False)


def test_the_oldest_ones_go(thumbnails: Thumbnails):
    """As soon as there are too many bytes."""
    for number in range(10):
        thumbnails.keep(key(number), b"x" * 20)

    assert list(thumbnails.kept) == [key(number) for number in range(5, 10)]
    assert thumbnails.kept_bytes == 100


def test_one_that_was_made_twice_counts_once(thumbnails: Thumbnails):
    """Two people have asked at the same time."""
    for _ in range(2):
        thumbnails.keep(key(1), b"x" * 20)

    assert thumbnails.kept_bytes == 20


def test_a_large_one_is_not_kept(thumbnails: Thumbnails):
    """It would push all others out."""
    thumbnails.keep(key(1), b"x" * 20)
    thumbnails.keep(key(2), b"x" * 90)

    assert list(thumbnails.kept) == [key(1)]


# --- the processes -----------------------------------------------------------------------------


@pytest.fixture
def children() -> Iterator[Children]:
    """None is left."""
    made = Children()
    yield made
    made.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A PNG with noise, half transparent."""
    levels = np.random.default_rng(0).integers(0, 256, (400, 600, 4), np.uint8)
    Image.fromarray(levels, "RGBA").save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def make(children: Children, path: Path, *, is_webp: bool = False, is_ours: bool = True) -> bytes:
    """A small picture of a file."""
    with path.open("rb") as stream:
        return children.make(stream, 320, is_webp=is_webp, is_ours=is_ours)


def test_both_sides_speak_the_same_language():
    """The server does not import the program, which imports Pillow."""
    assert thumbnail_children.REQUEST.format == program.REQUEST.format
    assert thumbnail_children.LENGTH.format == program.LENGTH.format


@pytest.mark.parametrize(("is_webp", "expected"), [(False, "PNG"), (True, "WEBP")])
def test_a_small_picture(children: Children, photo: Path, is_webp: bool, expected: str):
    """Of either format, with transparency."""
    made = Image.open(io.BytesIO(make(children, photo, is_webp=is_webp)))

    assert (made.format, made.size, made.mode) == (expected, (320, 213), "RGBA")


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_level_that_means_transparent_is_transparent(bits: int):
    """White, in a grey PNG; Pillow scales the pixels of 2 and 4 bits, and not the level."""
    white = 2**bits - 1
    row = (2 ** (8 * bits) - 1).to_bytes(bits, "big") + bytes(bits)  # eight white ones, eight black
    stream = io.BytesIO(grey_png(bits, [row] * 16, transparent=white))

    made = Image.open(io.BytesIO(program.thumbnail(stream, 8)))

    assert made.getpixel((6, 4)) == (0, 0, 0, 255)
    assert made.convert("RGBA").getchannel("A").getpixel((1, 4)) == 0


def grey_png(bits: int, rows: list[bytes], *, transparent: int) -> bytes:
    """A picture of 16 columns, written by hand: Pillow writes no such thing."""
    head = struct.pack(">IIBBBBB", 16, len(rows), bits, 0, 0, 0, 0)
    chunks = {
        b"IHDR": head,
        b"tRNS": struct.pack(">H", transparent),
        b"IDAT": zlib.compress(b"".join(b"\0" + row for row in rows)),
        b"IEND": b"",
    }
    return signatures.PNG + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )


@pytest.mark.parametrize(("format", "mode"), [("PNG", "I;16"), ("TIFF", "I;16"), ("TIFF", "I;16B")])
def test_grey_of_16_bits_is_shown_as_it_is(format: str, mode: str):
    """As masks of 16 bits and scans have it; Pillow alone makes nearly all of it white."""
    order = ">u2" if mode.endswith("B") else "<u2"
    levels = np.linspace(0, 65_535, 64 * 64).reshape(64, 64).astype(order)
    file = io.BytesIO()
    Image.frombytes(mode, (64, 64), levels.tobytes()).save(file, format)
    file.seek(0)
    with Image.open(io.BytesIO(program.thumbnail(file, 32))) as made:
        small = np.asarray(made.convert("L"), dtype=float)

    assert made.size == (32, 32)
    assert (small.min(), small.max()) == pytest.approx((0, 255), abs=6)
    assert small.mean() == pytest.approx(127.5, abs=2)


def pillows_tiff(levels: NDArray[Any]) -> bytes:
    """One of grey."""
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "TIFF")
    return file.getvalue()


RAMP = np.linspace(0, 1, 64 * 64).reshape(64, 64)


@pytest.mark.parametrize(
    "data",
    [
        pillows_tiff(RAMP.astype(np.float32)),
        pillows_tiff((RAMP * 255).astype(np.float32)),
        pillows_tiff((RAMP * (2**31 - 1)).astype(np.int32)),
        pillows_tiff((RAMP * 65535).astype(np.int32)),
        deep_tiff((65535 - RAMP * 65535).astype(np.uint16)[..., None], t262=0),
    ],
    ids=["floats", "floats to 255", "32 bits", "16 of 32 bits", "white is zero"],
)
def test_deep_grey_is_shown_as_it_is_read(data: bytes):
    """Black, inverted or noise beside a good cut-out would make people doubt the cut-out."""
    with Image.open(io.BytesIO(program.thumbnail(io.BytesIO(data), 32))) as made:
        small = np.asarray(made.convert("L"), dtype=float)

    assert small[0].mean() == pytest.approx(2, abs=4)
    assert small[-1].mean() == pytest.approx(253, abs=4)
    assert small.mean() == pytest.approx(127.5, abs=2)


@pytest.mark.parametrize("is_webp", [True, False])
@pytest.mark.parametrize("has_alpha", [True, False])
def test_colours_of_another_space_are_those_that_they_stand_for(is_webp: bool, has_alpha: bool):
    """A browser takes a small picture without a profile for sRGB."""
    profile = profiles.adobe_rgb()
    plane = np.full((64, 64, 3), (60, 180, 90), np.uint8)
    expected = profiles.to_srgb(plane, profile)[0, 0].astype(int)
    whole = Image.fromarray(np.dstack([plane, np.full((64, 64), 200, np.uint8)]), "RGBA")
    file = io.BytesIO()
    (whole if has_alpha else whole.convert("RGB")).save(file, "PNG", icc_profile=profile)
    file.seek(0)
    with Image.open(io.BytesIO(program.thumbnail(file, 32, is_webp=is_webp))) as made:
        found = np.asarray(made)[16, 16].astype(int)

    assert "icc_profile" not in made.info
    assert np.abs(expected - (60, 180, 90)).max() > 20
    assert np.abs(found[:3] - expected).max() <= 4
    assert not has_alpha or abs(found[3] - 200) <= 2


def test_profile_that_cannot_be_used_costs_no_thumbnail():
    """Its colours stay as they are."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (60, 180, 90)).save(file, "PNG", icc_profile=b"no profile" * 20)
    file.seek(0)
    with Image.open(io.BytesIO(program.thumbnail(file, 32))) as made:
        assert made.convert("RGB").getpixel((16, 16)) == (60, 180, 90)


def test_one_process_makes_many(children: Children, photo: Path):
    """Of results; it starts only once."""
    first = make(children, photo)
    [(child, _)] = children.idle
    second = make(children, photo)

    assert [child] == [one for one, _ in children.idle]
    assert first == second


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_process_that_read_what_may_be_hostile_is_ended(
    children: Children, photo: Path, content: bytes | None
):
    """An original, and whatever cannot be read."""
    if content is not None:
        photo.write_bytes(content)

    made = make(children, photo, is_ours=content is not None)

    assert children.idle == []
    assert bool(made) is (content is None)


def test_a_process_that_has_died_is_replaced(children: Children, photo: Path):
    """The next picture notices nothing."""
    make(children, photo)
    [(child, _)] = children.idle
    child.process.kill()
    child.process.wait()

    assert make(children, photo)
    assert child not in [one for one, _ in children.idle]


def test_a_process_that_hangs_is_ended(
    children: Children, photo: Path, monkeypatch: pytest.MonkeyPatch
):
    """There is no small picture then."""
    monkeypatch.setattr(thumbnail_children, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(thumbnail_children, "PROGRAM", ("sleep", "60"))

    assert make(children, photo) == b""
    assert children.idle == []


def test_idle_processes_end(photo: Path):
    """Those that were used lately stay."""
    children = Children(idle_s=10)
    make(children, photo)
    now = time.monotonic()
    due = children.end_idle(now + 5)
    [(child, _)] = children.idle

    assert due is not None
    assert children.end_idle(now + 11) is None
    assert (children.idle, child.process.poll() is not None) == ([], True)


def test_the_server_ends_them_and_answers_webp_to_those_who_take_it(tmp_path: Path):
    """By the header Accept; a copy in a browser is of one of both."""
    with running(Kit(tmp_path)) as kit:
        upload_id = kit.upload(picture(600))
        kit.wait(upload_id)
        path = f"/api/v1/pictures/{upload_id}/thumbnail"
        kit.server.site.children.idle_s = 0.01
        png, webp = (kit.client.get(path, headers={"Accept": one}) for one in ("*/*", "image/webp"))
        again = kit.client.get(
            path, headers={"Accept": "*/*", "If-None-Match": png.headers["etag"]}
        )

        assert (png.headers["content-type"], webp.headers["content-type"]) == (
            "image/png",
            "image/webp",
        )
        assert png.headers["etag"] != webp.headers["etag"]
        assert (again.status_code, again.headers["vary"]) == (304, "Accept, Origin")
        assert wait_for(lambda: not kit.server.site.children.idle)
