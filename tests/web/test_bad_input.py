"""What must never happen to a server: each request gets its status, and leaves no trace."""

import errno
import socket
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.disk import free_space
from daemon.disk.uploads import Staged
from daemon.watching.ignored_names import OTHER_FILES, is_never_taken
from daemon.web import limits
from daemon.web.names import safe_name
from daemon.worker.engines.cluster.state import ClusterState, NodeState, WorkerState
from tests.web.web_kit import Json, Kit, running, wait_for

pytestmark = pytest.mark.web
V1 = "/api/v1/pictures"


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Server and daemon, for small requests."""
    with running(Kit(tmp_path, web={"max_upload_mb": 1, "max_waiting": 3})) as kit:
        yield kit


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Kit]:
    """A server whose daemon is down."""
    with running(Kit(tmp_path, web={"max_waiting": 3}, is_daemon_up=False)) as kit:
        yield kit


def raw(kit: Kit, text: bytes, *, is_cut: bool = False) -> bytes:
    """Send bytes as they are; what comes back until the server hangs up."""
    with socket.create_connection(("127.0.0.1", kit.server.socket.getsockname()[1])) as connection:
        connection.settimeout(10)
        connection.sendall(text)
        if is_cut:
            return b""
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
        return answer


def head(length: int, *more: str) -> bytes:
    """The head of a raw upload."""
    lines = [
        f"POST {V1} HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {length}",
        "Connection: close",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


# --- bodies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"content": b""}, "empty_file"),
        ({"files": {"image": ("a.jpg", b"")}}, "empty_file"),
        ({"files": [("image", ("a", b"1")), ("image", ("b", b""))]}, "empty_file"),
        ({"data": {"x": "1"}, "files": {"image": ("a", b"1")}}, "unknown_field"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, "invalid_form"),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
            "invalid_form",
        ),
        ({"content": b"x", "params": {"format": "bmp"}}, "invalid_format"),
        ({"content": b"x", "params": {"nonsense": "1"}}, "invalid_nonsense"),
        ({"content": b"x", "params": [("format", "png"), ("format", "png")]}, "invalid_format"),
        ({"content": b"x", "params": {"background": "/etc/x.png"}}, "invalid_background"),
        ({"content": b"x", "headers": {"Idempotency-Key": ""}}, "invalid_idempotency_key"),
        ({"content": b"x", "headers": {"Idempotency-Key": "k" * 300}}, "invalid_idempotency_key"),
    ],
)
def test_wrong_requests(kit: Kit, body: dict[str, object], code: str):
    """400 with a code; the good picture beside a bad one is not taken either."""
    answer = kit.client.post(V1, **body)  # type: ignore[arg-type]

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert kit.left() == []


def test_a_form_that_ends_too_early(kit: Kit):
    """Its last picture may be cut."""
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nbytes'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = kit.client.post(V1, content=body, headers=kind)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_form")
    assert kit.left() == []


def test_a_large_body_is_refused_by_its_length(kit: Kit):
    """2 GB are announced: nothing of them is read."""
    answer = raw(kit, head(2_000_000_000) + b"x" * 1000)

    assert b" 413 " in answer.split(b"\r\n")[0]
    assert kit.left() == []


def test_a_large_body_without_a_length(kit: Kit):
    """It is counted while it comes."""
    text = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    answer = raw(
        kit, text + b"30d40\r\n" + b"x" * 200_000 + b"\r\n" + b"f4240\r\n" + b"x" * 900_000
    )

    assert b" 413 " in answer.split(b"\r\n")[0]
    assert wait_for(lambda: kit.left() == [])


def test_ten_thousand_parts(kit: Kit):
    """Refused at the 201st."""
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = kit.client.post(V1, content=part * 10_000 + b"--b--\r\n", headers=kind)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_parts")


def test_a_cut_connection(kit: Kit, caplog: pytest.LogCaptureFixture):
    """In the middle of a picture: nothing is taken, nothing stays."""
    caplog.set_level("INFO")
    raw(kit, head(1000) + b"x" * 500, is_cut=True)

    assert wait_for(lambda: f"POST {V1}: no answer" in caplog.text)
    assert wait_for(lambda: kit.left() == [])
    assert not kit.tasks


def test_more_bytes_than_announced(kit: Kit):
    """The picture is what was announced; the rest is no request."""
    answer = raw(kit, head(4).replace(b"Connection: close\r\n", b"") + b"goodgarbage\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 202")
    assert b"HTTP/1.1 400" in answer


def test_what_is_no_http(kit: Kit):
    """The server answers and goes on."""
    assert b"400" in raw(kit, b"\x16\x03\x01 nonsense\r\n\r\n")
    assert kit.client.get("/api/v1/status").status_code == 200


def test_a_slow_head_is_hung_up_on(kit: Kit, monkeypatch: pytest.MonkeyPatch):
    """However often it sends a little."""
    monkeypatch.setattr(limits, "HEAD_S", 1.0)
    with socket.create_connection(("127.0.0.1", kit.server.socket.getsockname()[1])) as connection:
        connection.settimeout(10)
        connection.sendall(b"GET / HTTP/1.1\r\n")

        assert is_closed(connection, b"X-Header: 1\r\n")


def test_a_slow_body_is_hung_up_on(kit: Kit, monkeypatch: pytest.MonkeyPatch):
    """It gets 408, and nothing stays."""
    monkeypatch.setattr(limits, "PAUSE_S", 0.5)
    answer = raw(kit, head(1000) + b"x" * 500)

    assert answer.startswith(b"HTTP/1.1 408")
    assert kit.left() == []


def test_a_slow_reader_is_hung_up_on(kit: Kit, monkeypatch: pytest.MonkeyPatch):
    """Whoever reads nothing holds no file open."""
    upload_id = kit.upload(b"x" * 900_000)
    kit.wait(upload_id)
    monkeypatch.setattr(limits, "PAUSE_S", 1.0)
    before = len(kit.server.server.server_state.connections)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", kit.server.socket.getsockname()[1]))
        request = f"GET {V1}/{upload_id}/result HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for _ in range(20):  # several answers, more than the system's buffers hold
            connection.sendall(request.encode())
        connections = kit.server.server.server_state.connections
        assert wait_for(lambda: len(connections) > before)

        assert wait_for(lambda: len(connections) <= before)


def test_too_many_connections(kit: Kit, monkeypatch: pytest.MonkeyPatch):
    """The one that has been silent longest goes, and the newest is answered."""
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 3)
    port = kit.server.socket.getsockname()[1]
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    try:
        assert kit.client.get("/api/v1/status").status_code == 200
        silent[0].settimeout(10)
        assert is_closed(silent[0])
    finally:
        for connection in silent:
            connection.close()


def is_closed(connection: socket.socket, more: bytes = b"") -> bool:
    """Whether the server hangs up within some seconds, though something is sent on and on."""
    for _ in range(50):
        try:
            connection.settimeout(0.2)
            if more:
                connection.sendall(more)
            if connection.recv(100) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


# --- pictures --------------------------------------------------------------------------------


def bomb() -> bytes:
    """A PNG that says that it has 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + data + chunk(b"IEND", b"")


def test_what_is_no_picture(kit: Kit):
    """`POST cutouts` says why, and the picture is in quarantine as if it had been dropped."""
    answer = kit.client.post("/api/v1/cutouts", files={"image": ("a.jpg", b"bad text")})

    assert (answer.status_code, answer.json()["code"]) == (422, "picture_failed")
    assert answer.json()["detail"] == "not a picture"
    assert wait_for(lambda: kit.left() == [])


def test_a_bomb_is_received_like_any_picture(kit: Kit):
    """It costs nothing before it is decoded; the worker's tests show what happens there."""
    assert kit.client.post(V1, content=bomb()).status_code == 202


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\cat.jpg", "cat.jpg"),
        ("/etc/shadow", "shadow"),
        ("..", "picture"),
        (".hidden.jpg", "hidden.jpg"),
        ("two\nlines.jpg", "two_lines.jpg"),
        ("nul\0.jpg", "nul_.jpg"),
        ("notes.txt", "picture"),
        ("cat.jpg.part", "picture"),
        ("猫.jpg", "猫.jpg"),
        ("x" * 300 + ".jpg", "x" * 196 + ".jpg"),
        ("猫" * 100 + ".jpg", "猫" * 65 + ".jpg"),
        ("", "picture"),
    ],
)
def test_names_from_outside(given_name: str, expected: str):
    """Only a file's name that the daemon takes reaches the disk."""
    assert safe_name(given_name) == expected


@given(st.text(max_size=400))
def test_every_name_is_safe(text: str):
    """Whatever comes: one part, printable, not hidden, short, and one that the daemon takes."""
    name = safe_name(text)

    assert name
    assert "/" not in name
    assert name.isprintable()
    assert not name.startswith(".")
    assert len(name.encode()) <= 200
    assert not is_never_taken(name)
    assert Path(name).suffix.lower() not in OTHER_FILES


def test_a_hostile_name_over_the_wire(kit: Kit):
    """The result lies in the drop, and nowhere else."""
    upload_id = kit.upload(name="../../../etc/passwd")
    kit.wait(upload_id)

    assert kit.results() == ["originals/passwd", "passwd.png"]


@pytest.mark.parametrize("upload_id", ["..", "x", "0" * 21, "0" * 22, "%2e%2e%2fx", "A" * 22])
def test_unknown_ids(kit: Kit, upload_id: str):
    """404, for every kind of question."""
    for path in ("", "/result", "/thumbnail"):
        assert kit.client.get(f"{V1}/{upload_id}{path}").status_code == 404
    assert kit.client.delete(f"{V1}/{upload_id}").status_code in (404, 405)


def test_static_files_do_not_lead_out(kit: Kit):
    """Nothing but the page's own files."""
    for path in ("/../app.py", "/%2e%2e/app.py", "/static/../../app.py", "/..%2fapp.py"):
        answer = raw(
            kit, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 404")


# --- trouble on this side ----------------------------------------------------------------------


def test_a_full_queue(lonely: Kit):
    """429 with a time, and what was taken stays."""
    for number in range(3):
        lonely.upload(b"%d" % number)
    answer = lonely.client.post(V1, content=b"x")  # waits a moment for room

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert len(lonely.left()) == 9  # three folders, each with picture and note


def test_a_daemon_that_is_down(lonely: Kit):
    """Pictures are taken for later; nothing is waited for."""
    upload_id = lonely.upload(b"for later")
    answer = lonely.client.post("/api/v1/cutouts", content=b"now")

    assert lonely.state(upload_id) == "waiting"
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "down" in answer.json()["detail"]
    assert lonely.client.get("/api/v1/status").json()["state"] == "down"


def fill_disk(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server finds less space than the daemon says must be free."""
    report = kit.server.site.source.report() | {"min_free_mb": 10}
    kit.server.site.source.report = lambda: report  # type: ignore[method-assign]
    monkeypatch.setattr(free_space, "free_bytes", lambda path: 1_000_000)


def test_a_full_disk(kit: Kit, monkeypatch: pytest.MonkeyPatch):
    """507 before anything is received; nothing of it stays."""
    fill_disk(kit, monkeypatch)
    answer = kit.client.post(V1, content=b"x")

    assert (answer.status_code, answer.json()["code"]) == (507, "storage")
    assert kit.left() == []


def test_a_folder_that_stands_by(kit: Kit):
    """Waiting for a result is refused with the reason; pictures are taken for later."""
    folder: Json = {"path": "/srv/secret/uploads", "output_root": "/srv/secret/outputs"}
    folder |= {"unclaimed": 1, "queued": 0, "running": 0}
    reason = "/srv/secret/outputs is full"
    report = {"standby": {"web": reason}, "folders": {"web": folder}}
    kit.server.site.source.report = lambda: report  # type: ignore[method-assign]
    answer = kit.client.post("/api/v1/cutouts", content=b"x")
    others = [kit.client.get(f"/api/v1/{one}").text for one in ("folders", "status")]

    assert answer.status_code == 503
    assert "…/outputs is full" in answer.json()["detail"]
    assert all("…/outputs is full" in one for one in others)
    assert not any("secret" in one for one in (answer.text, *others))
    assert kit.client.post(V1, content=b"x").status_code == 202


def test_cluster_without_whole_paths(kit: Kit):
    """Why machines and workers are not used names folders; only their last parts are told."""
    why = "cannot use /srv/secret/outputs: it cannot be written: Permission denied"
    state = ClusterState(
        "10.0.0.5:6379",
        f"node two (10.0.0.7): {why}",
        (NodeState("two", "10.0.0.7", (WorkerState("off", why=why),), why),),
    )
    report = {"cluster": asdict(state)}
    kit.server.site.source.report = lambda: report  # type: ignore[method-assign]
    answer = kit.client.get("/api/v1/status")
    told = answer.json()["cluster"]

    assert "secret" not in answer.text
    seen = "cannot use …/outputs: it cannot be written: Permission denied"
    assert told["trouble"] == f"node two (10.0.0.7): {seen}"
    [node] = told["nodes"]
    assert (node["why"], node["workers"][0]["why"]) == (seen, seen)
    assert (node["name"], node["workers"][0]["word"]) == ("two", "off")


# --- the same trouble, in the formats of others -------------------------------------------------


REMOVEBG, REMBG = "/v1.0/removebg", "/api/remove"


def told(answer: httpx.Response) -> str:
    """The reason, in whichever format it comes."""
    content = answer.json()
    if "errors" in content:
        assert set(content["errors"][0]) == {"title", "code", "detail"}
        return str(content["errors"][0]["detail"])
    return str(content["detail"])


def both(kit: Kit, content: bytes = b"x") -> list[httpx.Response]:
    """What the compatible APIs answer."""
    return [
        kit.client.post(REMOVEBG, files={"image_file": ("a.jpg", content)}),
        kit.client.post(REMBG, files={"file": ("a.jpg", content)}),
    ]


def test_a_daemon_that_is_down_in_other_formats(lonely: Kit):
    """503, and nothing is taken."""
    answers = both(lonely)

    assert [one.status_code for one in answers] == [503, 503]
    assert all("down" in told(one) for one in answers)
    assert lonely.left() == []


def test_standby_in_other_formats(kit: Kit):
    """With the reason."""
    report = {"standby": {"web": "the disk is full"}, "folders": {}}
    kit.server.site.source.report = lambda: report  # type: ignore[method-assign]
    answers = both(kit)

    assert [one.status_code for one in answers] == [503, 503]
    assert all("the disk is full" in told(one) for one in answers)
    assert kit.left() == []


def test_a_full_disk_in_other_formats(kit: Kit, monkeypatch: pytest.MonkeyPatch):
    """507, and when to come again."""
    fill_disk(kit, monkeypatch)
    answers = both(kit)

    assert [one.status_code for one in answers] == [507, 507]
    assert all("retry-after" in one.headers for one in answers)
    assert kit.left() == []


def test_a_disk_that_fills_while_a_picture_comes(kit: Kit, monkeypatch: pytest.MonkeyPatch):
    """507, and no trace of what was received."""

    def full(staged: Staged, chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Staged, "write", full)
    answers = [kit.client.post(V1, content=b"x" * 1000), *both(kit)]

    assert [one.status_code for one in answers] == [507, 507, 507]
    assert kit.left() == []
    assert not list((kit.uploads / ".incoming").glob("[0-9a-f]*"))


def test_no_picture_in_other_formats(kit: Kit):
    """A text named .jpg: their codes for it, and it is in quarantine."""
    removebg, rembg = both(kit, b"bad text")

    assert removebg.status_code == 400
    assert removebg.json()["errors"][0]["code"] == "invalid_image_file"
    assert rembg.status_code == 422
    assert wait_for(lambda: kit.left() == [])


def test_too_many_bytes_in_other_formats(kit: Kit):
    """remove.bg has 400 for it, rembg's server 413."""
    removebg, rembg = both(kit, b"x" * 1_100_000)

    assert (removebg.status_code, rembg.status_code) == (400, 413)
    assert removebg.json()["errors"][0]["code"] == "file_too_large"
    assert wait_for(lambda: kit.left() == [])


EVERY_API = [REMOVEBG, REMBG, "/api/v1/cutouts"]
FORMATS = {REMOVEBG: {"errors"}, REMBG: {"detail"}}
PROBLEM = {"type", "title", "status", "code", "detail"}


@pytest.mark.parametrize("path", EVERY_API)
@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"Host": "evil.example"}, 421, "not known by that name"),
        ({"Origin": "https://evil.example"}, 403, "another origin"),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "another origin"),
    ],
)
def test_strangers_are_refused_by_every_api(
    kit: Kit, path: str, headers: dict[str, str], status: int, reason: str
):
    """In its own format, before a picture is received."""
    field = {REMOVEBG: "image_file", REMBG: "file"}.get(path, "image")
    answer = kit.client.post(path, files={field: ("a.jpg", b"x")}, headers=headers)

    assert (answer.status_code, set(answer.json())) == (status, FORMATS.get(path, PROBLEM))
    assert reason in told(answer)
    assert kit.left() == []


@pytest.mark.parametrize("path", EVERY_API)
def test_ten_thousand_parts_of_every_api(kit: Kit, path: str):
    """remove.bg has no 413."""
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = kit.client.post(path, content=part * 10_000 + b"--b--\r\n", headers=kind)

    assert answer.status_code == (400 if path == REMOVEBG else 413)
    assert set(answer.json()) == FORMATS.get(path, PROBLEM)
    assert "200 parts" in told(answer)
    assert kit.left() == []


@pytest.mark.parametrize("path", EVERY_API)
def test_a_form_that_ends_too_early_of_every_api(kit: Kit, path: str):
    """The length was wrong: 400, and nothing is taken."""
    form = b'--b\r\nContent-Disposition: form-data; name="image_file"; filename="a"\r\n\r\nxxx'
    if path == REMBG:
        form = form.replace(b"image_file", b"file")
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = kit.client.post(path, content=form, headers=kind)

    assert answer.status_code == (422 if path == REMBG else 400)
    assert set(answer.json()) == FORMATS.get(path, PROBLEM)
    assert wait_for(lambda: kit.left() == [])


@pytest.mark.parametrize("path", EVERY_API)
def test_a_body_of_two_gigabytes_of_every_api(kit: Kit, path: str):
    """Refused by its length: not a byte of it is received."""
    kind = "Content-Type: multipart/form-data; boundary=b"
    text = head(2_000_000_000, kind).replace(V1.encode(), path.encode())
    answer = raw(kit, text)

    assert answer.split()[1] == (b"400" if path == REMOVEBG else b"413")
    assert b"1000000 bytes" in answer
    assert kit.left() == []


@pytest.mark.parametrize("path", EVERY_API)
def test_a_cut_connection_of_every_api(kit: Kit, caplog: pytest.LogCaptureFixture, path: str):
    """In the middle of a form: nothing is taken, nothing stays."""
    caplog.set_level("INFO")
    form = b'--b\r\nContent-Disposition: form-data; name="image_file"; filename="a"\r\n\r\nxxx'
    if path == REMBG:
        form = form.replace(b"image_file", b"file")
    kind = "Content-Type: multipart/form-data; boundary=b"
    text = head(1000, kind).replace(V1.encode(), path.encode())
    raw(kit, text + form, is_cut=True)

    assert wait_for(lambda: f"POST {path}: no answer" in caplog.text)
    assert wait_for(lambda: kit.left() == [])
    assert not list((kit.uploads / ".incoming").glob("[0-9a-f]*"))
    assert not kit.tasks


@pytest.mark.parametrize(
    ("name", "expected"),
    [("x" * 300 + ".jpg", "x" * 196 + ".png"), ("two\nlines.jpg", "two_lines.png")],
)
def test_odd_names_over_the_wire(kit: Kit, name: str, expected: str):
    """In the query, as a program writes them."""
    answer = kit.client.post(V1, content=b"picture", params={"name": name})
    kit.wait(answer.json()["pictures"][0]["id"])

    assert expected in kit.results()


@pytest.mark.parametrize("kind", ["result", "original"])
def test_a_file_that_was_deleted_meanwhile(kit: Kit, kind: str):
    """410: it was there; the picture's state says so still."""
    upload_id = kit.upload()
    kit.wait(upload_id)
    for path in (kit.base / "outputs").rglob("cat.*"):
        path.unlink()
    answer = kit.client.get(f"{V1}/{upload_id}/{kind}")

    assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert kit.state(upload_id) == "done"


def test_two_pictures_where_one_is_wanted(kit: Kit):
    """Refused as a whole, by every API."""
    two = [("image_file", ("a", b"1")), ("image_file", ("b", b"2"))]
    theirs = kit.client.post(REMOVEBG, files=two)
    rembg = kit.client.post(REMBG, files=[("file", ("a", b"1")), ("file", ("b", b"2"))])
    ours = kit.client.post("/api/v1/cutouts", files=two)

    assert [one.status_code for one in (theirs, rembg, ours)] == [400, 400, 400]
    assert theirs.json()["errors"][0]["code"] == ours.json()["code"] == "multiple_sources"
    assert kit.left() == []
