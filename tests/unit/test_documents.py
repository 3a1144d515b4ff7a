"""What the documents point at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]*)\)")


def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    prose = re.sub(r"(?ms)^```.*?^```", "", document.read_text())
    headings = re.findall(r"(?m)^#+ (.+)$", prose)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text()):
        place, _, anchor = target.partition("#")
        found = (document.parent / place).resolve() if place else document
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_every_document_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / target.partition("#")[0]).resolve() for target in _LINK.findall(index.read_text())}
    assert {path for path in (ROOT / "docs").rglob("*.md") if path != index} <= listed


def test_the_glossary_names_files_that_are_there_and_is_in_order() -> None:
    rows = re.findall(r"(?m)^\| \*\*(.+?)\*\* \| .+ \| (.+) \|$", (ROOT / "docs" / "glossary.md").read_text())
    words = [word for word, _ in rows]
    assert words == sorted(words)
    named = [place for _, places in rows for place in re.findall(r"`([a-z_/]+(?:\.py)?)`", places)]
    assert len(named) > 20
    assert [place for place in named if not (ROOT / "src" / "autoops" / place).exists()] == []
