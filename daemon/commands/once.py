"""`cvunetd once`: processes what the hot folders hold now, then ends."""

from pathlib import Path

from daemon.commands.startup import (
    OnSignal,
    StartLogging,
    open_if_needed,
    prepare,
    signal_inbox,
    with_hooks,
)
from daemon.service.assembly import assemble
from daemon.service.owned_folders import locked
from daemon.service.service import Clocks


def once(config_path: Path | None, *, start_logging: StartLogging, on_signal: OnSignal) -> int:
    """Return how many pictures failed or could not be done."""
    config, base, place = prepare(config_path, start_logging)
    inbox = signal_inbox(on_signal)
    supervision = with_hooks(config, base)
    with locked(place) as place:
        engine = open_if_needed(place, config, base)
        service = assemble(
            config,
            place,
            engine,
            inbox=inbox,
            clocks=Clocks(),
            is_watching=False,
            supervision=supervision,
        )
        service.run_once(is_patient=False)
    return service.count_unfinished()
