"""Values that many tests need and whose details matter to few."""

import gc
from pathlib import Path
from typing import Any

from daemon.jobs import Done, HotFolder, Identity, Job
from daemon.ledger.ledger import Ledger
from daemon.renderings import Framing, Rendering

NOW = 1_800_000_000.0  # UTC seconds: 2027-01-15 08:00
RENDERING = Rendering(
    format="png",
    content="cutout",
    background=None,
    depth="auto",
    metadata="strip",
    framing=Framing(),
    kernel="guided",
    filter="bilateral",
    diameter=5,
    sigma_color=0.05,
    sigma_space=1.5,
    decontaminate=True,
    colours="fast",
    bleed=False,
)


def make_folder(base: Path, **changes: Any) -> HotFolder:  # Any: fields of HotFolder
    """A hot folder below ``base`` with the default settings; nothing is made on disk."""
    fields: dict[str, Any] = {
        "name": "hot",
        "path": base / "hot",
        "recursive": True,
        "settle_s": 2.0,
        "defer_s": 120.0,
        "watch": "auto",
        "originals": "archive",
        "priority": 0,
        "output_root": base / "outputs",
        "drop_idle_s": 30.0,
        "drop_max_files": 1000,
        "name_template": "{stem}",
        "rendering": RENDERING,
    }
    return HotFolder(**fields | changes)


def make_job(job_id: str = "1", **changes: Any) -> Job:  # Any: fields of Job
    """A queued job whose names derive from its id."""
    fields: dict[str, Any] = {
        "id": job_id,
        "folder": "hot",
        "relative": Path(f"{job_id}.jpg"),
        "source": Path(f"/hot/.cvunetd/{job_id}/{job_id}.jpg"),
        "target": Path(f"/out/outputs_20270115080000/{job_id}.png"),
        "archive": Path(f"/out/outputs_20270115080000/originals/{job_id}.jpg"),
        "drop": 1,
        "identity": Identity(1, 2, 3, 4),
        "found_by": "event",
        "added_at": NOW,
        "changed_at": NOW,
    }
    return Job(**fields | changes)


def names_in(folder: Path) -> list[str]:
    """What lies in a folder, by name."""
    return sorted(path.name for path in folder.iterdir())


def finish(ledger: Ledger, job: Job, done: Done, *, now: float) -> None:
    """What delivery does to the row of a picture that came out."""
    stamps = tuple((1, 2, 3) for _ in job.outputs)
    ledger.finish(ledger.note_result(job, done, stamps=stamps, review=job.review), now=now)


def open_count() -> int:
    """How many files this process holds open. What other tests left as garbage is closed first."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))
