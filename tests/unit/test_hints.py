"""What a message tells a person to type is complete: the verb is there, and with all that it asks for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from autoops import cli

SOURCE = Path(cli.__file__).parent.parent
VERBS = typer.main.get_command(cli.app)
HINT = re.compile(r"`?autoops ([a-z][a-z-]+)([^;`,]*)")


def hints() -> Iterator[tuple[str, str, str]]:
    """File and line, verb and the rest of each hint in a string that is no docstring; a value is an X."""
    for file in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(file.read_text())
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) in inside | docs or not isinstance(node, ast.JoinedStr | ast.Constant):
                continue
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in parts)
            for verb, rest in HINT.findall(text):
                yield f"{file.relative_to(SOURCE)}:{node.lineno}", verb, rest


FOUND = [hint for hint in hints() if hint[1] != "and"]
"""Without the prose about autoops and its controls."""


def required(verb: str) -> tuple[int, list[str]]:
    """How many arguments a verb asks for, and which options."""
    command = VERBS.commands[verb]  # type: ignore[attr-defined]
    asked = [one for one in command.params if one.required]
    options = [one.opts[0] for one in asked if one.param_type_name == "option"]
    return len(asked) - len(options), options


@pytest.mark.parametrize(("place", "verb", "rest"), [pytest.param(*found, id=":".join(found[:2])) for found in FOUND])
def test_a_hint_names_a_verb_with_all_that_it_asks_for(place: str, verb: str, rest: str) -> None:
    assert isinstance(VERBS, click.Group) or hasattr(VERBS, "commands")
    assert verb in VERBS.commands, place  # type: ignore[attr-defined]
    arguments, options = required(verb)
    assert [option for option in options if option not in rest] == [], f"{place}: autoops {verb}{rest}"
    words = rest.split()
    assert not arguments or (words and (words[0] in ("X", "NAME", "add") or words[0].isdigit())), f"{place}: {rest}"


def test_hints_are_found() -> None:
    assert {"close", "promote", "ingest", "retrain"} <= {verb for _, verb, _ in FOUND}
