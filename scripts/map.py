"""Draw docs/map.md from the import graph and the docstrings: .venv/bin/python scripts/map.py [--check]."""

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
MAP = ROOT / "docs" / "map.md"
PACKAGE = ROOT / "src" / "autoops"
DRAWN = ("", "loop", "serving")
"""The packages whose rooms are drawn, by path below the package."""
EVERYWHERE = {"errors", "redaction", "clock", "months", "settings", "telemetry", "arrow_values", "event_times"}
"""What nearly everything imports: an arrow to each would hide the others."""

HEAD = """# The map

Where things live, on one page. `scripts/map.py` makes it from the import graph and the docstrings, and
`scripts/check.sh` holds the two together.

- A rule of the loop ("when is a month broken?", "why was this version not promoted?") is a pure function:
  `loop/decide`, `drift`, `ingestion/quality.py`.
- A check from its windows to its record: `loop/monitor/drift_check.py`. A retraining from plan to promotion:
  `loop/retrain/retraining.py`.
- A request from its bytes to its answer: `serving/http/connections.py`, `serving/http/middleware.py`,
  `serving/routes.py`, `serving/predict`.
- What is built and handed to all of it: `bootstrap.py`. What each setting means: `config.yaml` and
  `settings/schema.py`.

The rooms of `loop` and `serving` follow below. An arrow means "imports". Arrows that follow from others are left out,
and so is what nearly everything imports:
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if docs/map.md is not what this would write")
    check = parser.parse_args().check
    text = "\n".join(_lines())
    if not check:
        MAP.write_text(text)
    elif MAP.read_text() != text:
        sys.exit("docs/map.md is not what the code says: run .venv/bin/python scripts/map.py")


def _lines() -> Iterator[str]:
    graph = grimp.build_graph("autoops", exclude_type_checking_imports=True)
    yield HEAD + ", ".join(f"`{name}`" for name in sorted(EVERYWHERE)) + ".\n"
    for package in DRAWN:
        yield f"## {package or 'The packages'}\n"
        yield from _picture(_imports(graph, package))
        yield "| room | what lives there | modules |\n|---|---|---|"
        for place in _rooms(PACKAGE / package):
            inside = _rooms(place) if place.is_dir() and place.relative_to(PACKAGE).as_posix() not in DRAWN else []
            modules = [f"{path.name}/" if path.is_dir() else path.stem for path in inside]
            name = place.relative_to(PACKAGE).as_posix()
            yield f"| `{name}` | {_about(place)} | {', '.join(modules)} |"
        yield ""


def _picture(imports: Mapping[str, set[str]]) -> Iterator[str]:
    yield "```mermaid\nflowchart TD"
    for name, others in sorted(imports.items()):
        implied = {far for other in others for far in _reachable(imports, other)}
        for other in sorted(others - implied):
            yield f"    {name} --> {other}"
    yield "```\n"


def _reachable(imports: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = imports.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _imports(graph: grimp.ImportGraph, package: str) -> dict[str, set[str]]:
    """Return which rooms of the package each room imports."""
    root = ".".join(("autoops", *([package] if package else [])))
    rooms = {child.rpartition(".")[2]: {child, *graph.find_descendants(child)} for child in graph.find_children(root)}
    if not package:
        rooms = {name: modules for name, modules in rooms.items() if name not in EVERYWHERE}
    return {
        name: {
            other
            for other, theirs in rooms.items()
            if other != name and any(graph.find_modules_directly_imported_by(module) & theirs for module in modules)
        }
        for name, modules in rooms.items()
    }


def _rooms(folder: Path) -> list[Path]:
    packages = [path.parent for path in folder.glob("*/__init__.py")]
    return [*sorted(packages), *_modules(folder)]


def _modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if not path.stem.startswith("__"))


def _about(place: Path) -> str:
    """Return the first sentence of the docstring."""
    file = place / "__init__.py" if place.is_dir() else place
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return " ".join(text.partition("\n\n")[0].split())


if __name__ == "__main__":
    main()
