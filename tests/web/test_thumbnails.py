"""Thumbnails are kept for a while, and only so many of them."""

from pathlib import Path

import pytest

from daemon.web.site import Site
from daemon.web.thumbnails import Key, Thumbnails

pytestmark = pytest.mark.web


@pytest.fixture
def thumbnails() -> Thumbnails:
    """For 100 bytes; nothing is asked of the site."""
    site: Site = None  # type: ignore[assignment]
    return Thumbnails(site, limit_bytes=100)


def key(number: int) -> Key:
    """Of one of many files."""
    return (Path(f"/{number}.png"), (number, 1, 1), 320)


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
