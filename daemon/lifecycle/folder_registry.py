"""The hot folders that are served, by name, and which of them are being removed."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from daemon.jobs import HotFolder, Job


def seen_by(folder: HotFolder, clip: str) -> HotFolder:
    """Return a folder as a job sees it whose original is this kind of clip; empty: a picture."""
    return replace(folder, clip=clip) if clip else folder


class FolderRegistry:
    """One table that all parts read; only `service.folder_changes` changes it."""

    def __init__(self, folders: Iterable[HotFolder] = ()) -> None:
        self.by_name = {folder.name: folder for folder in folders}
        self.leaving: set[str] = set()
        """Names of folders that take in nothing more, but have open jobs."""
        self.output_roots = {folder.output_root for folder in self}
        """Where results go, or went since the start: what lies there is still served."""

    def __iter__(self) -> Iterator[HotFolder]:
        return iter(list(self.by_name.values()))

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def __getitem__(self, name: str) -> HotFolder:
        return self.by_name[name]

    def put(self, folder: HotFolder) -> None:
        """Serve a folder from now on; one of its name goes."""
        self.by_name[folder.name] = folder
        self.output_roots.add(folder.output_root)

    def of(self, job: Job) -> HotFolder:
        """Return a job's folder, with the rendering and the model that came with an upload."""
        folder = seen_by(self.by_name[job.folder], job.clip)
        if job.upload is None or job.upload.rendering is None:
            return folder
        wanted = job.upload.rendering
        return replace(folder, rendering=wanted, model=wanted.model or folder.model)

    def get(self, name: str) -> HotFolder | None:
        """Return the folder of a name; None if none is served."""
        return self.by_name.get(name)

    def get_open(self, name: str) -> HotFolder | None:
        """Return the same, but only if pictures are taken from it."""
        return None if name in self.leaving else self.by_name.get(name)

    @property
    def open(self) -> list[HotFolder]:
        """Return the folders that pictures are taken from."""
        return [folder for folder in self if folder.name not in self.leaving]
