"""More files at once than the queue of events holds; the point is the intake, not the network."""

from pathlib import Path

from tests.system.daemon_process import wait_for
from tests.torture.daemons import CopyingDaemon, folder_settings, grounds
from tests.torture.tally import Row, digest

PATIENCE_S = 900.0


def burst(base: Path, *, files: int) -> list[Row]:
    """All files are written as fast as one process can, then counted out."""
    folders = [folder_settings("burst")]
    [ground] = grounds(base, folders).values()
    ground.key_of = digest  # a result is a copy of its original
    stock = base / "stock"
    stock.mkdir()
    daemon = CopyingDaemon(base, {"folders": folders, "retention": {"min_free_mb": 1}})
    try:
        daemon.wait_ready()
        for number in range(files):
            picture = stock / f"{number}.jpg"
            picture.write_text(f"picture {number}")
            ground.expect(picture)
            picture.rename(ground.hot / picture.name)
        # Asking costs as much as the work: ask seldom.
        wait_for(ground.is_through, patience_s=PATIENCE_S, pause_s=2.0)
        daemon.terminate()
    finally:
        daemon.kill()
    return [ground.row(f"burst of {files:,} (engine that copies)")]
