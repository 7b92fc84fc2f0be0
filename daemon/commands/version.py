"""`cvunetd --version`: what is installed. Loads neither torch nor onnxruntime."""

from collections.abc import Iterator
from importlib import metadata

from daemon import __version__
from daemon.config import shipped_files
from daemon.config.schema import Config
from daemon.disk import checksums, files
from daemon.errors import explain

#: As in the names of exported weights and in `cvunetd models list`.
HASH_LETTERS = 12
#: Several distributions hold the same library.
RUNTIMES = {"torch": ("torch",), "onnxruntime": ("onnxruntime", "onnxruntime-gpu")}


def lines() -> Iterator[str]:
    """Yield the program's version, then one line for each thing that decides what comes out."""
    yield f"cvunetd, version {__version__}"
    for name, distributions in RUNTIMES.items():
        found = [text for one in distributions if (text := version_of(one))]
        yield f"{name}: {', '.join(found) or 'not installed'}"
    yield f"weights: {weights()}"


def version_of(distribution: str) -> str:
    """Return an installed version; empty if there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def weights() -> str:
    """Return the name and the hash of the weights that came with the program."""
    name = Config().model.weights
    path = shipped_files.find(name)
    if path is None:
        return f"{name} was not installed"
    try:
        with files.open_regular(path) as stream:
            digest = checksums.hashed(stream)[1]
    except OSError as error:
        return f"{path} cannot be read ({explain(error)})"
    return f"{path} (SHA-256 begins with {digest[:HASH_LETTERS]})"
