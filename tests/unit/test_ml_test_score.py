"""docs/ml-test-score.md adds up, and what it says is tested is."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "ml-test-score.md").read_text()
POINTS = {"0": 0.0, "½": 0.5, "1": 1.0}
LINK = re.compile(r"\[([^]]+)\]\(([^)#]+)(?:#([^)]+))?\)")


@dataclass(frozen=True)
class Row:
    section: str
    number: int
    points: float
    earned_by: str
    missing: str

    @property
    def tests(self) -> list[tuple[str, Path]]:
        """Name and file."""
        return [(text.strip("`"), DOCS / path) for text, path, _ in LINK.findall(self.earned_by) if "test_" in text]


def rows() -> list[Row]:
    found = []
    for section, text in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^\| \d .*$", text, re.MULTILINE):
            number, _, points, earned_by, missing = (cell.strip() for cell in line.strip("|").split("|"))
            found.append(Row(section, int(number), POINTS[points], earned_by, missing))
    return found


ROWS = rows()
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.section} {row.number}")


def test_the_28_tests_of_the_rubric_are_there() -> None:
    sections = ("Data", "Model", "Infrastructure", "Monitoring")
    assert [(row.section, row.number) for row in ROWS] == [(each, n) for each in sections for n in range(1, 8)]


def test_sums_and_their_smallest_are_those_of_the_rows() -> None:
    told = {name: float(points) for name, points in re.findall(r"^\| \**(\w+)\** \| \**([\d.]+)\** \|$", PAGE, re.M)}
    sums = {row.section: 0.0 for row in ROWS}
    for row in ROWS:
        sums[row.section] += row.points
    assert told == sums | {"score": min(sums.values())}


@each_row
def test_points_are_earned_and_what_lacks_is_said(row: Row) -> None:
    if row.points == 1:
        assert row.tests, "what runs by itself has a test"
    if row.points == 0.5:
        assert row.tests or "bench.sh" in row.earned_by
    assert row.points == 1 or row.missing
    assert (row.points == 0) == row.earned_by.startswith("Not earned.")


@each_row
def test_what_is_named_is_there(row: Row) -> None:
    for name, file in row.tests:
        assert re.search(rf"^def {name}\(", file.read_text(), re.MULTILINE), f"{name} is not in {file}"
    for _, path, heading in LINK.findall(row.earned_by):
        document = DOCS / path
        assert document.exists(), path
        assert not heading or heading in anchors(document), f"{path} has no heading {heading}"
    for bench in re.findall(r"scripts/bench\.sh (\w+)", row.earned_by):
        assert "\nif __name__" in (ROOT / "benchmarks" / f"{bench}.py").read_text()
    for file in re.findall(r"`((?:src|scripts|\.github)/[^` ]+)", row.earned_by):
        assert (ROOT / file).exists(), file


@each_row
def test_what_needs_real_months_is_marked(row: Row) -> None:
    """A test that every change must pass is none where it is skipped."""
    for name, file in row.tests:
        takes = re.search(rf"^def {name}\((.*?)\)(?: ->|:)", file.read_text(), re.MULTILINE | re.DOTALL)
        assert takes
        real = re.search(r"\b(tlc_dir|real\w*|served)\b", takes[1]) is not None
        assert real == (f"{name}`]({file.relative_to(DOCS)})†" in row.earned_by), name


def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
