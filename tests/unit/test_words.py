"""Code and documents use the field's words: what was a private word stays out."""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = (tokenize.STRING, tokenize.COMMENT)
NOT_BUT = {
    r"reigns?": "champion tenure",
    r"regret(?!_looks\": )": "post-promotion check",
    r"look(s|ed)? again": "interim re-evaluation",
    r"(?<!longer )(?<!time )lately": "EWMA, or recent",
    r"footprints?": "serving cost",
    r"used up": "consumed",
    r"seen_until|seen until": "cursor, watermark",
    r"holds_from|evidence_until": "evidence_start, evidence_end",
    r"mutex": "advisory lock",
    r"intercom": "IPC",
    r"sign_off|signs? off": "deregister",
    r"shipments?": "batch",
    r"prompters?": "driver",
    r"witness(es)?": "observer",
    r"nought": "zero",
    r"JSON-able": "as JSON",
    r"give way|gives way": "lower the priority",
}
WORDS = re.compile("|".join(rf"\b(?:{word})\b" for word in NOT_BUT), re.IGNORECASE)
STORED = {"storage/tables.py": ("holds_from", "evidence_until"), "retrain/retraining.py": ("holds_from",)}
"""Columns of the database, and plans of an earlier release, keep the names that they have."""


def texts() -> list[tuple[str, str]]:
    """Return names, strings and comments of the code, and lines of documents and dashboards, with where they stand."""
    found = []
    for path in sorted((ROOT / "src" / "autoops").rglob("*.py")):
        if "migrations" in path.parts:
            continue
        tokens, kinds = tokenize.generate_tokens(io.StringIO(path.read_text()).readline), (tokenize.NAME, *TEXTS)
        where = path.relative_to(ROOT)
        found += [(f"{where}:{token.start[0]}", token.string) for token in tokens if token.type in kinds]
    documents = [ROOT / name for name in ("README.md", "QUICKSTART.md", "CONTRIBUTING.md", "SECURITY.md")]
    dashboards = sorted((ROOT / "docker" / "grafana" / "dashboards").glob("*.json"))
    for path in [*documents, *dashboards, *sorted((ROOT / "docs").glob("*.md"))]:
        if path.name != "glossary.md":
            found += [(f"{path.name}:{number}", line) for number, line in enumerate(path.read_text().splitlines(), 1)]
    return found


def test_private_words_stay_out() -> None:
    wrong = []
    for place, text in texts():
        stored = next((words for file, words in STORED.items() if file in place), ())
        wrong += [f"{place}: {one.group()}" for one in WORDS.finditer(text) if one.group() not in stored]
    assert wrong == []


@pytest.mark.parametrize("text", ["the reign began", "its FOOTPRINT", "is looked again"])
def test_the_list_finds_them(text: str) -> None:
    assert WORDS.search(text) is not None
