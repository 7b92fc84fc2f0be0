"""What a page of figures keeps when it is written anew."""

from pathlib import Path

from benchmarks.report import KEPT, Report


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


def test_a_page_without_that_heading_is_replaced(tmp_path: Path) -> None:
    """Nothing of it stays."""
    page = tmp_path / "page.md"
    page.write_text("# Old\n")

    Report().write(page)

    assert "# Old" not in page.read_text(encoding="utf-8")
