"""All routes: which part answers what."""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from daemon.web import drop_pictures, openapi, openapi_page
from daemon.web.access import Access
from daemon.web.archives import Archives
from daemon.web.arranger import Arranger
from daemon.web.cutouts import Cutouts
from daemon.web.drop_pictures import DropPictures
from daemon.web.drops import DropPages
from daemon.web.events import Events
from daemon.web.gate import Gate, monotonic
from daemon.web.history import HistoryPages
from daemon.web.machine import Machine
from daemon.web.overview import Overview
from daemon.web.pictures import KINDS, VERBS, Pictures
from daemon.web.problems import not_found
from daemon.web.rembg import Rembg
from daemon.web.removebg import RemoveBg
from daemon.web.server_folders import ServerFolders
from daemon.web.site import Site
from daemon.web.static_files import FIRST, StaticFiles
from daemon.web.thumbnails import Thumbnails
from daemon.web.versions import Versions

V1 = "/api/v1"


def application(site: Site, access: Access) -> Gate:
    """Return the whole site behind its gate."""
    router = Router(routes=list(routes(site)), redirect_slashes=False, default=nothing)
    return Gate(router, access, clock=monotonic)


def routes(site: Site) -> Iterator[BaseRoute]:
    """Yield all routes."""
    overview, thumbnails = Overview(site), Thumbnails(site)
    pictures = Pictures(site, thumbnails)
    yield Route(f"{V1}/status", overview.status)
    yield Route(f"{V1}/folders", overview.folders)
    yield Route(f"{V1}/models", overview.models)
    yield Route(f"{V1}/openapi.json", document)
    cutouts = Cutouts(site, pictures)
    arranger = Arranger(site)
    removebg, rembg = RemoveBg(site, cutouts, arranger), Rembg(site, cutouts, arranger)
    yield Route(f"{V1}/cutouts", cutouts.make, methods=["POST"])
    yield Route("/v1.0/removebg", removebg.remove, methods=["POST"])
    yield Route("/v1.0/account", removebg.account)
    yield Route("/api/remove", rembg.remove, methods=["GET", "POST"])
    yield Route(f"{V1}/pictures", pictures.upload, methods=["POST"])
    yield Route(f"{V1}/pictures/{{id}}", pictures.describe)
    yield Route(f"{V1}/pictures/{{id}}", pictures.delete, methods=["DELETE"])
    for kind in KINDS:
        yield Route(f"{V1}/pictures/{{id}}/{kind}", pictures.fetch)
    for verb in VERBS:
        yield Route(f"{V1}/pictures/{{id}}/{verb}", pictures.judge, methods=["POST"])
    yield Route(f"{V1}/pictures/{{id}}/versions", Versions(site, pictures).make, methods=["POST"])
    yield from drops(site, pictures, thumbnails)
    yield from machine(site)
    yield Route(f"{V1}/events", Events(site).listen)
    yield Route("/api/", openapi_page.page)
    yield from page()


def page() -> Iterator[BaseRoute]:
    """Yield the routes of the page's files; a route for all paths would hide a wrong method."""
    files = StaticFiles()
    for path in ("/", f"/{FIRST}", "/static/{name:path}"):
        yield Route(path, files.fetch)


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse an address that none of the routes has."""
    raise not_found("there is nothing at this address")


def drops(site: Site, pictures: Pictures, thumbnails: Thumbnails) -> Iterator[BaseRoute]:
    """Yield the routes of drops, of pictures in them, and of zips."""
    pages = DropPages(site)
    one = DropPictures(site, pages, thumbnails)
    history = HistoryPages(site, pictures, one)
    archives = Archives(site, pictures, pages)
    place = f"{V1}/drops/{{id}}/pictures/{{job}}"
    yield Route(f"{V1}/pictures", history.search)
    yield Route(f"{V1}/states", history.states)
    yield Route(f"{V1}/drops", pages.newest)
    yield Route(f"{V1}/drops/{{id}}", pages.describe)
    yield Route(f"{V1}/drops/{{id}}", pages.delete, methods=["DELETE"])
    yield Route(f"{V1}/drops/{{id}}/manifest", pages.manifest)
    yield Route(f"{V1}/drops/{{id}}/close", pages.close, methods=["POST"])
    yield Route(place, one.describe)
    yield Route(place, one.delete, methods=["DELETE"])
    for kind in drop_pictures.KINDS:
        yield Route(f"{place}/{kind}", one.fetch)
    yield Route(f"{place}/versions", one.version, methods=["POST"])
    for verb in drop_pictures.VERBS:
        yield Route(f"{place}/{verb}", one.judge, methods=["POST"])
    yield Route(f"{V1}/archives", archives.make, methods=["POST"])
    yield Route(f"{V1}/archives/{{token}}.zip", archives.fetch)
    folders = ServerFolders(site, pictures)
    yield Route(f"{V1}/server-folders", folders.all)
    yield Route(f"{V1}/server-folders/{{id}}", folders.list)
    yield Route(f"{V1}/server-folders/{{id}}/pictures", folders.take, methods=["POST"])


def machine(site: Site) -> Iterator[BaseRoute]:
    """Yield the routes about the machine."""
    answers = Machine(site)
    yield Route(f"{V1}/speed", answers.speed)
    yield Route(f"{V1}/disks", answers.disks)
    yield Route(f"{V1}/checks", answers.checks)


async def document(request: Request) -> Response:
    """Answer the description of the API."""
    return JSONResponse(openapi.document())
