"""Where a share is mounted on another node, if not at the same place as here."""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from daemon.jobs import Task
from daemon.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class MappedFolder:
    """A folder that some nodes see under another path."""

    here: Path
    there: Path
    nodes: str = "*"
    """A pattern of nodes' names or addresses, as a shell has them."""


class PathMap:
    """Turns our paths into those of one node; the longest folder that fits wins."""

    def __init__(self, folders: tuple[MappedFolder, ...], *, name: str, address: str) -> None:
        """``name`` and ``address`` of the node."""
        fitting = [
            one
            for one in folders
            if fnmatchcase(name, one.nodes) or fnmatchcase(address, one.nodes)
        ]
        self.folders = sorted(fitting, key=lambda one: len(one.here.parts), reverse=True)

    def there(self, path: Path) -> Path:
        """Return the node's path of one of ours."""
        for folder in self.folders:
            if path.is_relative_to(folder.here):
                return folder.there / path.relative_to(folder.here)
        return path

    def task(self, task: Task) -> Task:
        """Return a task with the node's paths."""
        rendering = task.rendering
        if isinstance(rendering.background, Path):
            rendering = replace(rendering, background=self.there(rendering.background))
        return replace(
            task,
            source=self.there(task.source),
            part=self.there(task.part),
            alpha_part=None if task.alpha_part is None else self.there(task.alpha_part),
            touch_ups=tuple(map(self.there, task.touch_ups)),
            rendering=rendering,
        )

    def models(self, models: tuple[ModelSettings, ...]) -> tuple[ModelSettings, ...]:
        """Return models with the node's paths."""
        return tuple(replace(model, file=self.there(model.file)) for model in models)
