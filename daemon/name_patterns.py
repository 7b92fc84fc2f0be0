"""Names that a configuration lists, as patterns of gitignore."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # most configurations have no pattern, and commands start faster without it
    from pathspec import GitIgnoreSpec


@dataclass(frozen=True, slots=True)
class NamePatterns:
    """Patterns for paths below a folder; the last pattern that matches a path decides.

    `ValueError` if a line is no pattern.
    """

    lines: tuple[str, ...] = ()
    spec: "GitIgnoreSpec | None" = field(init=False, repr=False, compare=False)
    """The lines, compiled; None if there is none."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "spec", specification(self.lines) if self.lines else None)

    def verdict(self, relative: Path) -> bool | None:
        """Whether a file matches; False if a pattern with ``!`` excepts it, None if none matches.

        As in git, nothing is excepted inside a folder that matches.
        """
        if self.spec is None:
            return None
        if any(self.has_folder(parent) for parent in relative.parents if parent.name):
            return True
        return self.spec.check_file(relative.as_posix()).include

    def has_folder(self, relative: Path) -> bool:
        """Whether a folder itself matches."""
        if self.spec is None:
            return False
        return self.spec.check_file(f"{relative.as_posix()}/").include is True


def specification(lines: tuple[str, ...]) -> "GitIgnoreSpec":
    """Return the lines, compiled; `ValueError` if one is no pattern."""
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)


@lru_cache(maxsize=256)
def compiled(lines: tuple[str, ...]) -> NamePatterns:
    """Return the patterns of these lines; a folder's are asked for each of its files."""
    return NamePatterns(lines)
