"""What a page of figures keeps when it is written anew."""

from pathlib import Path

from benchmarks import service
from benchmarks.report import KEPT, Report

DOCS = Path(__file__).parents[2] / "docs"


def test_what_other_programs_have_measured_is_kept(tmp_path: Path) -> None:
    """Parts of the benchmark are replaced, all from the heading on stays, run after run."""
    page = tmp_path / "page.md"
    page.write_text(f"# Old\n\n## Old part\n\n{KEPT}\n\nA figure.\n\n### Another\n\n7\n")
    report = Report()
    report.add("New part", "8")

    report.write(page)
    report.write(page)

    text = page.read_text(encoding="utf-8")
    assert "Old part" not in text
    assert text.count(KEPT) == 1
    assert text.endswith(f"## New part\n\n8\n\n{KEPT}\n\nA figure.\n\n### Another\n\n7\n")


def test_the_page_of_the_service_has_the_head_that_its_program_writes(tmp_path: Path) -> None:
    """A title of its own, and the command that really writes it."""
    page = tmp_path / "page.md"
    Report().write(page, command=service.COMMAND, title=service.TITLE)
    title, _, about = page.read_text(encoding="utf-8").split("\n")[:3]
    kept, other = (
        (DOCS / f"{name}.md").read_text(encoding="utf-8").split("\n")
        for name in ("benchmarks-service", "benchmarks")
    )

    assert [kept[0], kept[2]] == [title, about]
    assert other[0] != title
    assert "--write docs/benchmarks-service.md" in about


def test_a_page_without_that_heading_is_replaced(tmp_path: Path) -> None:
    """Nothing of it stays."""
    page = tmp_path / "page.md"
    page.write_text("# Old\n")

    Report().write(page)

    assert "# Old" not in page.read_text(encoding="utf-8")
