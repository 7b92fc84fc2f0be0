"""Real clients of other services, unmodified: only names and certificates are the test's own."""

import base64
import io
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from PIL import Image

from tests.web.web_kit import Kit, picture, running

pytestmark = [pytest.mark.clients, pytest.mark.web, pytest.mark.slow, pytest.mark.timeout(300)]

NAME = "api.remove.bg"
#: Of loopback, but not the usual one: somebody else may listen there.
ADDRESS, PORT = "127.77.0.1", 443
CLIENT = "remove.bg@1.3.0"
PIECE = 65_536
PROGRAM = """
const { removeBackgroundFromImageFile, removeBackgroundFromImageBase64 } = require("remove.bg");
const fs = require("fs");
const [path, out] = process.argv.slice(2);
async function main() {
  const one = await removeBackgroundFromImageFile({
    path, apiKey: "any", size: "regular", type: "person", outputFile: out });
  const two = await removeBackgroundFromImageBase64({
    base64img: fs.readFileSync(path).toString("base64"), apiKey: "any", size: "auto",
    scale: "50%", position: "center" });
  let refused = null;
  try {
    await removeBackgroundFromImageFile({ path, apiKey: "any", size: "huge" });
  } catch (errors) { refused = errors; }
  console.log(JSON.stringify({ one: one.base64img, charged: one.creditsCharged,
    width: one.resultWidth, two: two.base64img, refused }));
}
main().catch((error) => { console.error(JSON.stringify(error)); process.exit(1); });
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A server that clients take for another one."""

    kit: Kit
    authority: Path
    """The certificate of who has signed the server's."""
    photo: Path


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """TLS at the usual port before a real server, whose daemon copies pictures."""
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "cat.png").write_bytes(picture(60))
    (tmp_path / "kit").mkdir()
    kit = Kit(tmp_path / "kit", web={"hosts": [NAME]})
    with running(kit), terminator(authority, kit.server.socket.getsockname()[1]):
        yield Place(kit, tmp_path / "ca.pem", tmp_path / "cat.png")


@contextmanager
def terminator(authority: trustme.CA, port: int) -> Iterator[None]:
    """Speak TLS outside and HTTP inside."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    with socket.create_server((ADDRESS, PORT)) as server:
        threads: list[threading.Thread] = []
        acceptor = threading.Thread(target=accept, args=(server, context, port, threads))
        acceptor.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


def accept(
    server: socket.socket, context: ssl.SSLContext, port: int, threads: list[threading.Thread]
) -> None:
    """Serve connections until the socket is shut down."""
    with suppress(OSError):
        while True:
            plain, _ = server.accept()
            thread = threading.Thread(target=relay, args=(plain, context, port))
            thread.start()
            threads.append(thread)


def relay(plain: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """Pass one connection on, both ways, until the server hangs up."""
    with suppress(OSError), context.wrap_socket(plain, server_side=True) as outside:
        outside.settimeout(60)
        with socket.create_connection(("127.0.0.1", port)) as inside:
            forth = threading.Thread(target=pump, args=(outside, inside))
            forth.start()
            pump(inside, outside)
            with suppress(OSError):
                outside.shutdown(socket.SHUT_RDWR)
            forth.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy bytes until there are no more."""
    with suppress(OSError):
        while piece := source.recv(PIECE):
            sink.sendall(piece)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def call(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program to its end."""
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_client_of_npm(place: Place, tmp_path: Path):
    """Its newest version: from a file, from base64, and a refusal in its words."""
    got = call("npm", "install", "--no-audit", "--no-fund", CLIENT, cwd=tmp_path)
    if got.returncode:
        pytest.skip(f"npm cannot install {CLIENT} here: {got.stderr[-200:]}")
    (tmp_path / "client.js").write_text(PROGRAM)
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost\n{ADDRESS} {NAME}\n")
    script = f"mount --bind {tmp_path}/hosts /etc/hosts && exec node client.js cat.png out.png"
    done = call(
        *("unshare", "-m", "sh", "-c", script),
        cwd=tmp_path,
        NODE_EXTRA_CA_CERTS=str(place.authority),
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)

    assert (tmp_path / "out.png").read_bytes() == place.photo.read_bytes()
    assert (float(told["charged"]), int(told["width"])) == (0, 4)
    assert told["refused"][0]["code"] == "invalid_size"
    assert Image.open(io.BytesIO(base64.b64decode(told["two"]))).size == (60, 60)


def test_curl(place: Place, tmp_path: Path):
    """As remove.bg's page shows it, with TLS."""
    done = call(
        *("curl", "--silent", "--show-error", "--fail-with-body", "--cacert", place.authority),
        *("--resolve", f"{NAME}:{PORT}:{ADDRESS}", "-H", "X-Api-Key: any"),
        *("-F", "image_file=@cat.png", "-F", "size=auto", f"https://{NAME}/v1.0/removebg"),
        *("-o", "no-bg.png"),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "no-bg.png").read_bytes() == place.photo.read_bytes()


def test_curl_as_for_rembg(place: Place, tmp_path: Path):
    """As rembg's page shows it."""
    url = f"{place.kit.server.url}/api/remove?bgc=255,0,0,255"
    done = call(
        *("curl", "--silent", "--show-error", "--fail-with-body", "-F", "file=@cat.png"),
        *("-F", "model=u2net", "-F", "om=false", url, "-o", "no-bg.png"),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "no-bg.png").read_bytes() == place.photo.read_bytes()
