"""What the daemon does: state, folders, models. Counts and reasons, but no whole paths."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon import __version__
from daemon.web.site import Site

Json = dict[str, Any]  # Any: JSON


def cluster_state(state: Json | None, redact: Callable[[str], str]) -> Json | None:
    """Return the state of a cluster without whole paths of its machines; None without one."""
    if state is None:
        return None
    nodes = []
    for node in state["nodes"]:
        workers = [worker | {"why": redact(worker["why"])} for worker in node["workers"]]
        nodes.append(node | {"why": redact(node["why"]), "workers": workers})
    return state | {"trouble": redact(state["trouble"]), "nodes": nodes}


class Overview:
    """Answers about the whole."""

    def __init__(self, site: Site) -> None:
        self.site = site

    async def status(self, request: Request) -> Response:
        """Answer what the daemon is doing."""
        return JSONResponse(self.document())

    def document(self) -> Json:
        """Return what the daemon is doing, ready for JSON."""
        report = self.site.source.report()
        return {
            "version": __version__,
            "state": self.site.source.state(),
            "device": report.get("device"),
            "queued": report.get("queued", 0),
            "running": report.get("running", 0),
            "done": report.get("done", 0),
            "failed": report.get("failed", 0),
            "stages": report.get("inside", {}),
            "clips": list(report.get("clips", {}).values()),
            "standby": self.site.reasons("standby", report),
            "cluster": cluster_state(report.get("cluster"), self.site.redacted),
            "limits": {
                "max_upload_bytes": self.site.limit_bytes,
                "max_waiting": self.site.settings.web.max_waiting,
            },
        }

    async def folders(self, request: Request) -> Response:
        """Answer what happens in each hot folder."""
        report = self.site.source.report()
        standby, polled = (self.site.reasons(kind, report) for kind in ("standby", "polled"))
        found = [
            {
                "name": name,
                "place": Path(folder["path"]).name,
                "state": "standby" if name in standby else "served",
                "reason": standby.get(name) or polled.get(name) or "",
                "waiting": folder["unclaimed"],
                "queued": folder["queued"],
                "running": folder["running"],
                "is_for_uploads": name == self.site.settings.folder.name,
            }
            for name, folder in report.get("folders", {}).items()
        ]
        return JSONResponse({"folders": found})

    async def models(self, request: Request) -> Response:
        """Answer which networks cut pictures out, and which folders use them now."""
        users_of = self.site.reported.users_of
        models = self.site.settings.models
        return JSONResponse(
            {"models": [one | {"folders": users_of(one["name"])} for one in models]}
        )
