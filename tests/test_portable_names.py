"""Names that other systems take for one, and names that they refuse."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.portable_names import folded, name_key, portable, portable_path

#: What a name on Linux may be: any bytes but the slash and the null.
NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: not set(name) & set(b"/\0"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat.jpg", "CAT.JPG"),
        ("caf\u00e9", "cafe\u0301"),
        ("CAF\u00c9", "cafe\u0301"),
        ("stra\u00dfe", "STRASSE"),
        ("\u03c3", "\u03c2"),
        ("\u1e9b\u0323", "\u1e9b\u0323".upper()),
    ],
)
def test_one_name_in_two_spellings(one: str, other: str):
    """Case, and composed or decomposed letters."""
    assert folded(one) == folded(other)
    assert name_key(os.fsencode(one)) == name_key(os.fsencode(other))


@pytest.mark.parametrize(
    ("one", "other"), [("cat", "cat_2"), ("e", "\u00e9"), ("a", "\uff41"), ("\udcff", "\udcfe")]
)
def test_two_names(one: str, other: str):
    """Accents and widths make other names, and so do bytes that are no text."""
    assert name_key(os.fsencode(one)) != name_key(os.fsencode(other))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat.png", "cat.png"),
        ("caf\u00e9 \u732b.png", "caf\u00e9 \u732b.png"),
        ("a:b.png", "a_b.png"),
        ('<>:"|?*\\.png', "________.png"),
        ("new\nline\x7f.png", "new_line_.png"),
        ("dir.", "dir_"),
        ("dir. ", "dir__"),
        (" cat .png", " cat .png"),
        ("nul.png", "nul_.png"),
        ("CON", "CON_"),
        ("con.tar.png", "con_.tar.png"),
        ("com1 .png", "com1 _.png"),
        ("lpt\u00b2.png", "lpt\u00b2_.png"),
        ("console.png", "console.png"),
        ("com10.png", "com10.png"),
        ("\udcff\udcfe.png", "__.png"),
    ],
)
def test_portable_name(name: str, expected: str):
    """What Windows refuses becomes an underscore; all else stays."""
    assert portable(name) == expected


def test_portable_path():
    """Each folder for itself."""
    assert portable_path(Path("a:b/nul/c.")) == Path("a_b/nul_/c_")
    assert portable_path(Path()) == Path()


@given(NAMES)
def test_portable_names_are_portable(raw: bytes):
    """Any name becomes text that stays as it is when it is asked again, and is hardly longer."""
    name = portable(os.fsdecode(raw))

    name.encode()  # it is text
    assert portable(name) == name
    assert len(os.fsencode(name)) <= len(raw) + 1
    assert not set(name) & set('<>:"|?*\\/')
    assert name[-1] not in ". "


@given(NAMES)
def test_key_knows_no_case_and_no_form(raw: bytes):
    """However often it is folded."""
    name = os.fsdecode(raw)

    assert folded(folded(name)) == folded(name)
    assert folded(name.upper()) == folded(name.upper().lower())
