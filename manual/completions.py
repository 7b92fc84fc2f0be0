"""Completion for bash, zsh and fish, as click writes it."""

from pathlib import Path

from click import shell_completion

from daemon.cli import main

FOLDER = Path(__file__).parents[1] / "packaging" / "completions"
#: By the name under which each shell looks for it.
SHELLS = {"bash": "cvunetd", "zsh": "_cvunetd", "fish": "cvunetd.fish"}


def texts() -> dict[Path, str]:
    """Each shell's script, by its file."""
    return {FOLDER / shell / name: script(shell) for shell, name in SHELLS.items()}


def script(shell: str) -> str:
    """What asks the program at each press of the key."""
    maker = shell_completion.get_completion_class(shell)
    assert maker is not None
    return maker(main, {}, "cvunetd", "_CVUNETD_COMPLETE").source().strip() + "\n"
