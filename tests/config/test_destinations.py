"""Where webhooks may go."""

import socket

import pytest

from daemon.config.destinations import Destination, Forbidden, addresses, check, parse
from tests.hooks.hooks_kit import resolver

PLACE = parse("https://example.com/")
PUBLIC = ("93.184.216.34", "2606:4700::6810:85e5", "::ffff:93.184.216.34", "64:ff9b::5db8:d822")
PRIVATE = (
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd12::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
)
NEVER = (
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.1.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.0.192",
    "168.63.129.16",
    "100.100.100.200",
    "203.0.113.7",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fec0::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "::127.0.0.1",
    "2001::1",
    "2002:a9fe:a9fe::1",
    "2001:db8::1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address(address: str):
    """In either spelling."""
    check(address, PLACE, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_has_to_be_allowed(address: str):
    """This machine, its network, its provider's."""
    with pytest.raises(Forbidden, match=r"example\.com is the private address .* allow_private"):
        check(address, PLACE, allow_private=False)
    check(address, PLACE, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allow_private", [False, True])
def test_address_that_is_never_used(address: str, allow_private: bool):
    """Metadata of clouds, link-local, multicast, unspecified, reserved; however spelled."""
    with pytest.raises(Forbidden, match="never used"):
        check(address, PLACE, allow_private=allow_private)


def test_private_end_of_a_tunnel():
    """6to4 leads to the address of IPv4 that it holds."""
    with pytest.raises(Forbidden):
        check("2002:0a00:0001::1", PLACE, allow_private=False)


def test_plain_http_goes_to_private_addresses_alone():
    """Where everybody between could read it."""
    place = parse("http://example.com/")
    check("127.0.0.1", place, allow_private=True)

    with pytest.raises(Forbidden, match="only https goes there"):
        check("93.184.216.34", place, allow_private=True)


def test_all_addresses_of_a_name_have_to_be_allowed():
    """One private among them is a trap or a mistake."""
    with pytest.raises(Forbidden):
        addresses(PLACE, allow_private=False, resolve=resolver("93.184.216.34 127.0.0.1"))


def test_addresses_in_the_resolvers_order():
    """Each once: the system may name one for each protocol."""
    found = addresses(
        PLACE, allow_private=False, resolve=resolver("93.184.216.35 93.184.216.34 93.184.216.35")
    )

    assert found == ["93.184.216.35", "93.184.216.34"]


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
def test_odd_spellings_of_this_machine(spelling: str):
    """The system's own resolver understands them; what it makes of them is checked."""
    place = parse(f"https://{spelling}/")

    with pytest.raises(Forbidden):
        addresses(place, allow_private=False, resolve=socket.getaddrinfo)


@pytest.mark.parametrize(
    ("url", "expected", "authority"),
    [
        ("https://Example.com", Destination("https", "example.com", 443, "/"), "example.com"),
        ("https://a.de:8443/x?y=1", Destination("https", "a.de", 8443, "/x?y=1"), "a.de:8443"),
        (
            "https://[2606:4700::1]/",
            Destination("https", "2606:4700::1", 443, "/"),
            "[2606:4700::1]",
        ),
        ("http://a.de/", Destination("http", "a.de", 80, "/"), "a.de"),
    ],
)
def test_url(url: str, expected: Destination, authority: str):
    """Taken apart."""
    place = parse(url)

    assert expected == place
    assert place.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "example.com/hook",
        "ftp://example.com/",
        "https:///path",
        "https://user:password@example.com/",
        "https://example.com/#part",
        "https://example.com/a b",
        "https://example.com/\r\nX: y",
        "https://exämple.com/",
        "https://example.com:99999/",
        "https://[::1/",
    ],
)
def test_wrong_url(url: str):
    """Told at the start, without all of it: its path may be a secret."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse(url)

    assert url not in str(caught.value)
