"""What a benchmark has to say, and where it is kept."""

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bars import Bar
from benchmarks.tables import machine, table

KEPT = "## Measured by other programs"
"""A page keeps its text from this heading on: no run of the benchmark measures that."""


@dataclass(slots=True)
class Report:
    """What will be written."""

    parts: list[str] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    def add(self, title: str, text: str) -> None:
        """A part, printed at once: the whole takes some minutes."""
        self.parts.append(f"## {title}\n\n{text}")
        print(f"\n{self.parts[-1]}", flush=True)

    def conclude(self) -> None:
        """Which targets are met."""
        rows = [bar.row for bar in self.bars]
        self.add("Targets", table(("target", "measured", "limit", ""), rows))

    def write(
        self,
        path: Path,
        *,
        command: str = "make bench",
        device: str = "",
        title: str = "How fast it is",
    ) -> None:
        """The file that the repository keeps; see `KEPT`."""
        about = "\n\n".join(filter(None, (device, machine())))
        head = (
            f"# {title}\n\n`{command}` writes this page. Figures and ratios are from one run"
            f" on one machine. They are not promises.\n\n{about}"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = kept_of(path.read_text(encoding="utf-8")) if path.exists() else []
        path.write_text("\n\n".join([head, *self.parts, *kept]) + "\n", encoding="utf-8")


def kept_of(page: str) -> list[str]:
    """The part of an earlier page that is kept, if there is one."""
    _, heading, text = page.partition(KEPT)
    return [f"{heading}{text}".rstrip()] if heading else []
