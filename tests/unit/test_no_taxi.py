"""The engine knows no use case: outside `usecases/taxi` nothing names the taxi but what is listed here, with why."""

import re
from fnmatch import fnmatch
from pathlib import Path

import autoops

PACKAGE = Path(autoops.__file__).parent
TAXI = re.compile("taxi|trip|zone|pickup|passenger|green_", re.IGNORECASE)
LISTED = (
    ("*", r"r?strip\b", "str.strip"),
    ("*", r"round trips", "to the database and back"),
    ("*", r"(?i)\b(astime|time|told)?_?zone(info)?\b", "a time zone"),
    ("usecase/declaration.py", r'DEFAULT = "taxi"', "the use case of an installation that names none"),
    ("models/bundle.py", r"zones", "the manifest of bundles that are older than contracts"),
    ("loop/reports/report.py", r"zones", "records of incidents that are older than contracts"),
    ("drift/verdict.py", r'"trips (take|have taken) ', "alarm types in records of earlier releases"),
    (
        "storage/raw_inputs.py",
        r'"(trip_\w+|passenger_count|pickup_location_id)"',
        "columns of logs before revision 0010",
    ),
    ("storage/migrations/versions/0001_*", r'"(trip_\w+|passenger_count|pickup_location_id)"', "a past schema"),
    ("storage/migrations/versions/0010_*", r"\btaxi\b", "goes back to the columns that only the taxi had"),
    ("cli/pipeline.py", r"--trips-per-month", "the name of --rows-per-month in earlier releases"),
)
"""Files below the package, what may stand in them, and why."""


def lines() -> list[tuple[str, str]]:
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".yaml", ".mako")]
    within = [(path.relative_to(PACKAGE).as_posix(), path) for path in files]
    return [
        (name, line)
        for name, path in within
        if not name.startswith("usecases/taxi/")
        for line in path.read_text().splitlines()
    ]


def left(name: str, line: str) -> str:
    for files, pattern, _ in LISTED:
        line = re.sub(pattern, "", line) if fnmatch(name, files) else line
    return line


def test_nothing_outside_its_folder_names_the_taxi() -> None:
    found = [f"{name}: {line.strip()}" for name, line in lines() if TAXI.search(line) and TAXI.search(left(name, line))]
    assert not found, "\n".join(found)


def test_the_list_holds_only_what_is_there() -> None:
    there = lines()
    for files, pattern, reason in LISTED:
        assert any(fnmatch(name, files) and re.search(pattern, line) for name, line in there), (files, pattern, reason)
