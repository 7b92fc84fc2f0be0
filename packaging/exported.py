"""Copies the weights of a checkout that are exported for onnxruntime already, if they are whole.

    python exported.py CHECKOUT FOLDER

Exit status 1: there are none, or they belong to other weights or to another version of the export.
With them, an image or a package is built without torch.
"""

import shutil
import sys
from pathlib import Path

NONE = 1
INPUT_SIZE = 512


def main() -> None:
    """Read the command line; the program of the checkout knows names and hashes."""
    checkout, folder = map(Path, sys.argv[1:])
    sys.path.insert(0, str(checkout))
    from cvunet.inference import export_files

    weights = checkout / "models" / "cvunet.pth"
    found = export_files.find(weights, [weights.parent], input_size=INPUT_SIZE)
    if found is None:
        sys.exit(NONE)
    path = found[0]
    for one in (path, path.with_suffix(".yaml")):
        # Not its mode: a checkout may be closed to others, and what is built is for them.
        shutil.copyfile(one, folder / one.name)


if __name__ == "__main__":
    main()
