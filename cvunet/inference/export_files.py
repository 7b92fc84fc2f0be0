"""Our weights exported for onnxruntime: where the files are kept, and how they are made. No torch.

An exported file lies beside its weights or, where that folder cannot be written, in another one.
Its name holds the hash of the weights, so another weights file never meets an old export.
"""

import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cvunet import files, yaml_files
from cvunet.errors import ExportError, WeightsError
from cvunet.models import description as descriptions
from cvunet.models import manifest
from cvunet.models.description import Description

logger = logging.getLogger(__name__)

#: Raised when the exported graph changes: older files are then made again.
VERSION = 3
HASH_LETTERS = 12
#: Loading torch, exporting and comparing take 5 s on an idle core.
TIMEOUT_S = 300.0
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import logging, sys
sys.path.insert(0, sys.argv[1])
from cvunet import export
logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(export.main(sys.argv[2:]))
"""


def place(weights: Path, folder: Path, input_size: int) -> Path:
    """Where the export of a weights file lies in a folder."""
    return folder / name_of(weights, input_size)


def name_of(weights: Path, input_size: int) -> str:
    """The name of a weights file's export; the whole file is read for it."""
    digest = descriptions.sha256_of(weights)[:HASH_LETTERS]
    return f"{weights.stem}-{digest}-{input_size}-v{VERSION}.onnx"


def description_of(sha256: str, size: int, *, input_size: int) -> Description:
    """What is known of an exported file: its input is in [-1, 1], its answer logits."""
    return Description(
        sha256=sha256,
        bytes=size,
        width=input_size,
        height=input_size,
        mean=(0.5, 0.5, 0.5),
        deviation=(0.5, 0.5, 0.5),
        answer="logits",
        family="cvunet",
        licence="Apache-2.0",
        source="exported by python -m cvunet.export",
    )


@contextmanager
def unfinished(target: Path, data: bytes) -> Iterator[Path]:
    """An export under a name that no reader looks at; it is gone afterwards. Its own for each
    process, because two daemons may begin at the same time.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        files.write_whole(part, data)
        yield part
    except OSError as error:
        raise ExportError(f"{target}: cannot be written ({error.strerror})") from error
    finally:
        part.unlink(missing_ok=True)


def publish(part: Path, target: Path, description: Description) -> None:
    """Give an export its name. The description comes last: without it nobody uses the file."""
    part.replace(target)
    text = yaml_files.text(descriptions.to_entry(description))
    files.write_whole(target.with_suffix(".yaml"), text.encode())


def find(
    weights: Path, folders: Sequence[Path], *, input_size: int
) -> tuple[Path, Description] | None:
    """The export of a weights file that is whole, in the first of the folders that has it."""
    name = name_of(weights, input_size)
    for folder in folders:
        path = folder / name
        try:
            if path.exists():
                return path, descriptions.read(path)
        except WeightsError as error:
            logger.warning("%s; it is made again", error)
    return None


def find_or_make(
    weights: Path,
    folders: Sequence[Path],
    *,
    input_size: int,
    on_step: Callable[[str], object] = lambda step: None,
) -> tuple[Path, Description]:
    """The export of a weights file, made if there is none yet, in the first folder that takes it.

    `WeightsError` if the weights are not as their manifest says. `ExportError` if there is no
    export and none can be made.
    """
    manifest.read_checked(weights)
    found = find(weights, folders, input_size=input_size)
    if found is not None:
        return found
    if importlib.util.find_spec("torch") is None:
        raise ExportError(
            f"{weights}: there is no export for onnxruntime yet, and torch is not installed to make"
            " one: install torch once (pip install torch), or run python -m cvunet.export"
            f" {weights} on another machine and copy what it writes into {folders[0]}"
        )
    on_step("exporting the model for onnxruntime, once")
    target = place(weights, first_writable(folders), input_size)
    run_export(weights, target, input_size=input_size)
    return target, descriptions.read(target)


def first_writable(folders: Sequence[Path]) -> Path:
    """The first folder that takes new files; `ExportError` if none does."""
    for folder in folders:
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    names = ", ".join(map(str, folders))
    raise ExportError(f"no folder for the export of the model can be written: {names}")


def run_export(weights: Path, target: Path, *, input_size: int) -> None:
    """Export in a child process, so that this one never loads torch; `ExportError` if it fails."""
    command = [sys.executable, "-c", PROGRAM, str(ROOT), str(weights)]
    command += ["--out", str(target), "--input-size", str(input_size)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"{weights}: the export for onnxruntime did not run: {error}") from error
    said = " ".join((done.stderr or done.stdout).split())
    if done.returncode or not target.exists():
        raise ExportError(f"{weights}: the export for onnxruntime failed: {said[-500:]}")
    logger.info("%s", said)
