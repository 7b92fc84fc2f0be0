"""All routes: which part answers what."""

from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from daemon.web import openapi
from daemon.web.access import Access
from daemon.web.arranger import Arranger
from daemon.web.cutouts import Cutouts
from daemon.web.drops import DropPages
from daemon.web.events import Events
from daemon.web.gate import Gate, monotonic
from daemon.web.overview import Overview
from daemon.web.pictures import KINDS, VERBS, Pictures
from daemon.web.rembg import Rembg
from daemon.web.removebg import RemoveBg
from daemon.web.site import Site

STATIC = Path(__file__).with_name("static")
V1 = "/api/v1"


def application(site: Site, access: Access) -> Gate:
    """Return the whole site behind its gate."""
    router = Router(routes=list(routes(site)), redirect_slashes=False)
    return Gate(router, access, clock=monotonic)


def routes(site: Site) -> Iterator[BaseRoute]:
    """Yield all routes."""
    overview, pictures = Overview(site), Pictures(site)
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
    pages = DropPages(site)
    yield Route(f"{V1}/drops", pages.newest)
    yield Route(f"{V1}/drops/{{id}}", pages.describe)
    yield Route(f"{V1}/drops/{{id}}/close", pages.close, methods=["POST"])
    yield Route(f"{V1}/events", Events(site).listen)
    yield Route("/api/", openapi.page)
    yield Mount("/", StaticFiles(directory=STATIC, html=True))


async def document(request: Request) -> Response:
    """Answer the description of the API."""
    return JSONResponse(openapi.document())
