"""Who may ask: hosts, origins, keys; and what every answer says to browsers."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from daemon.config import addresses
from daemon.config.schema import Config, load
from daemon.config.web_schema import check_keys
from daemon.errors import InstallError
from daemon.web import keys
from daemon.web.access import Access, Head, host_of
from daemon.web.keys import Keys
from daemon.web.problems import Problem
from tests.system.daemon_process import wait_for
from tests.web.web_kit import Kit, running

pytestmark = pytest.mark.web
FREE = Access(keys=Keys({}), hosts=["pictures.example"], origins=["https://shop.example"])
KEY = "a-key-that-nobody-guesses"
LOCKED = Access(keys=Keys({keys.hashed(KEY): "shop"}), hosts=[], origins=[])


def ask(access: Access, method: str = "GET", path: str = "/api/v1/status", **given: str) -> str:
    """The name of the key, or the code of the refusal."""
    headers = {name.replace("_", "-"): value for name, value in given.items()}
    try:
        return access.check(Head(method, path, {"host": "127.0.0.1:8080"} | headers))
    except Problem as problem:
        return problem.code


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost", "[::1]:8080", "10.0.0.7", "pictures.example:443"]
)
def test_known_hosts(host: str):
    """Addresses cannot be rebound, and names that are listed are ours."""
    assert ask(FREE, host=host) == ""


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_foreign_hosts(host: str):
    """A page that points its own name at this machine is refused."""
    assert ask(FREE, host=host) == "unknown_host"


@pytest.mark.parametrize("host", ["", "a b", "user@localhost", "localhost/x", "[::1", "x:99999"])
def test_what_is_no_host(host: str):
    """Refused before anything is done with it."""
    assert host_of(host) is None or ask(FREE, host=host) in ("invalid_host", "unknown_host")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ""),  # curl
        ({"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}, ""),
        ({"origin": "https://shop.example", "sec-fetch-site": "cross-site"}, ""),
        ({"origin": "https://evil.example"}, "foreign_origin"),
        ({"origin": "null"}, "foreign_origin"),
        ({"origin": "http://127.0.0.1:9999"}, "foreign_origin"),
        ({"sec-fetch-site": "cross-site"}, "foreign_origin"),
        ({"sec-fetch-site": "same-site"}, "foreign_origin"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/x"), ("DELETE", "/x"), ("GET", "/api/remove")]
)
def test_origins(method: str, path: str, given: dict[str, str], expected: str):
    """Whatever changes something must come from here, or from a listed origin."""
    assert ask(FREE, method, path, **given) == expected


def test_a_foreign_page_may_link_here():
    """What changes nothing is answered; the browser keeps it from the page."""
    assert ask(FREE, origin="https://evil.example", sec_fetch_site="cross-site") == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "missing_key"),
        ({"x_api_key": KEY}, "shop"),
        ({"authorization": f"Bearer {KEY}"}, "shop"),
        ({"x_api_key": KEY + "x"}, "auth_failed"),
        ({"authorization": "Basic eDp5"}, "missing_key"),
        ({"x_api_key": "é"}, "auth_failed"),
    ],
)
def test_keys(given: dict[str, str], expected: str):
    """A key in either header; the name is for the log."""
    assert ask(LOCKED, **given) == expected


def test_the_page_is_open():
    """It asks for the key itself."""
    assert [ask(LOCKED, path=path) for path in ("/", "/static/api.css", "/api/")] == ["", "", ""]
    assert ask(LOCKED, path="/api/v1/drops/1.zip") == "missing_key"


# --- the file of keys ------------------------------------------------------------------------


def test_a_made_key_is_found(tmp_path: Path):
    """The file holds no key, only its hash."""
    key = keys.new_key()
    path = tmp_path / "keys"
    path.write_text(f"# ours\n\n{keys.line_of('shop', key)}\n")

    assert keys.read_keys(path).name_of(key) == "shop"
    assert key not in path.read_text()


@pytest.mark.parametrize(
    "text", ["", "# none\n", "shop\n", "shop:abc\n", "sh op:" + "0" * 64, "\xe9"]
)
def test_a_wrong_file_of_keys_ends_the_start(tmp_path: Path, text: str):
    """Without showing its content."""
    path = tmp_path / "keys"
    path.write_text(text, encoding="latin-1")

    with pytest.raises(InstallError, match="keys"):
        keys.read_keys(path)


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "192.168.1.5:80"])
def test_other_machines_need_keys(tmp_path: Path, listen: str):
    """The start is refused without."""
    (tmp_path / "config.yaml").write_text(f'web: {{listen: "{listen}", folder: uploads}}\n')
    with pytest.raises(InstallError, match="keys_file"):
        load(tmp_path / "config.yaml")

    check_keys(addresses.parse_any(listen), has_keys=True)


def test_an_address_needs_a_folder():
    """There must be a place for uploads."""
    with pytest.raises(ValueError, match="folder: uploads"):
        Config.model_validate({"web": {"listen": "127.0.0.1:8080"}})


# --- over the wire -----------------------------------------------------------------------------


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """A server with a key and an origin; the daemon is down."""
    (tmp_path / "keys").write_text(keys.line_of("shop", KEY))
    web = {"keys_file": str(tmp_path / "keys"), "origins": ["https://shop.example"]}
    with running(Kit(tmp_path, web=web, is_daemon_up=False)) as kit:
        yield kit


def test_refused_requests_leave_nothing(kit: Kit):
    """A wrong key, host or origin: the right status, and no picture."""
    files = {"image": ("cat.jpg", b"picture")}
    statuses = [
        kit.client.post("/api/v1/pictures", files=files, headers=headers).status_code
        for headers in (
            {},
            {"X-Api-Key": "wrong"},
            {"X-Api-Key": KEY, "Host": "evil.example"},
            {"X-Api-Key": KEY, "Origin": "https://evil.example"},
        )
    ]

    assert statuses == [401, 403, 421, 403]
    assert kit.left() == []


def test_compatible_apis_refuse_in_their_format(kit: Kit):
    """remove.bg's clients know 403 and its list of errors, rembg's know a detail."""
    removebg = kit.client.post("/v1.0/removebg", headers={"X-Api-Key": "wrong"})
    rembg = kit.client.post("/api/remove", headers={"X-Api-Key": "wrong"})

    assert (removebg.status_code, removebg.json()["errors"][0]["code"]) == (403, "auth_failed")
    assert (rembg.status_code, rembg.json()) == (403, {"detail": "this key is not known"})


def test_every_answer_is_safe_for_browsers(kit: Kit):
    """Pages, refusals and JSON alike."""
    for path in ("/", "/api/", "/nothing", "/api/v1/status"):
        headers = kit.client.get(path, headers={"X-Api-Key": KEY}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


def test_a_listed_origin_may_read(kit: Kit):
    """And ask first, without a key, as browsers do."""
    shop = {"Origin": "https://shop.example"}
    first = kit.client.options(
        "/api/v1/pictures", headers=shop | {"Access-Control-Request-Method": "POST"}
    )
    then = kit.client.get("/api/v1/status", headers=shop | {"X-Api-Key": KEY})

    assert first.status_code == 204
    assert "X-Api-Key" in first.headers["access-control-allow-headers"]
    assert then.headers["access-control-allow-origin"] == "https://shop.example"
    assert then.headers["access-control-expose-headers"] == "*"  # such as X-Picture-Id
    assert then.headers["vary"] == "Origin"


def test_names_are_not_in_the_log(kit: Kit, caplog: pytest.LogCaptureFixture):
    """Nor are queries and keys."""
    caplog.set_level("INFO")
    kit.client.post(
        "/api/v1/pictures?name=secret.jpg",
        files={"image": ("secret.jpg", b"picture")},
        headers={"X-Api-Key": KEY},
    )

    # The answer may be here before its line.
    assert wait_for(lambda: "POST /api/v1/pictures: 202" in caplog.text)
    assert "key shop" in caplog.text
    ours = "".join(one.getMessage() for one in caplog.records if not one.name.startswith("httpx"))
    assert "secret" not in ours
    assert KEY not in caplog.text


def test_only_one_server_has_the_folder(kit: Kit, tmp_path: Path):
    """Each would delete what the other receives."""
    other = Kit(tmp_path, web=dict(kit.web), is_daemon_up=False)
    with pytest.raises(InstallError, match="in use by another cvunetd"):
        other.start()


def test_a_taken_port_is_told_with_its_remedy(kit: Kit, tmp_path: Path):
    """As one line, before anything is served."""
    port = httpx.URL(kit.server.url).port or 0
    (tmp_path / "two").mkdir()
    other = Kit(tmp_path / "two", is_daemon_up=False)
    with pytest.raises(InstallError, match=rf"web\.listen: 127\.0\.0\.1:{port} .* another port"):
        other.start_at(port)


# --- credentials and sockets -------------------------------------------------------------------


def test_keys_from_a_credential(tmp_path: Path):
    """systemd shows it to this unit alone."""
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/web-keys").write_text(keys.line_of("shop", KEY))
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    web = {"keys": "web-keys"}
    with running(Kit(tmp_path, web=web, environment=environment, is_daemon_up=False)) as kit:
        statuses = [
            kit.client.get("/api/v1/status", headers=headers).status_code
            for headers in ({}, {"X-Api-Key": KEY})
        ]

    assert statuses == [401, 200]


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({}, "LoadCredential=web-keys:FILE, or set keys_file instead of keys"),
        ({"CREDENTIALS_DIRECTORY": "/nowhere"}, "add LoadCredential=web-keys:FILE to the unit"),
    ],
)
def test_a_credential_that_is_missing(tmp_path: Path, environment: dict[str, str], text: str):
    """The start ends and says what to write."""
    kit = Kit(tmp_path, web={"keys": "web-keys"}, environment=environment, is_daemon_up=False)
    with pytest.raises(InstallError, match=f"web.keys: no credential 'web-keys': .*{text}"):
        kit.start()


def test_keys_are_named_once():
    """Two places would be two truths."""
    with pytest.raises(ValueError, match="both name the keys"):
        Config.model_validate({"web": {"keys": "a", "keys_file": "b", "folder": "uploads"}})


def test_a_socket_in_a_folder(tmp_path: Path):
    """For a proxy in the daemon's group; the file goes with the server."""
    path = tmp_path / "web.sock"
    web = {"listen": f"unix:{path}"}
    with running(Kit(tmp_path, web=web, is_daemon_up=False)) as kit:
        answer = kit.client.get("/api/v1/status")
        foreign = kit.client.get("/api/v1/status", headers={"Host": "evil.example"})
        upload_id = kit.upload()
        mode = path.stat().st_mode & 0o777

    assert (answer.status_code, foreign.status_code) == (200, 421)
    assert mode == 0o660
    assert len(upload_id) == 22
    assert not path.exists()
