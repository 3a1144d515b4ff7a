"""Answers to questions: why a prediction was what it was, what served at a time, and what the ledger has."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, get_args

from autoops.errors import InputError
from autoops.loop.context import Context
from autoops.loop.promote import tenures
from autoops.loop.records.kinds import EntryKind
from autoops.loop.records.ledger import Entry
from autoops.loop.reports import breakdown

Query = Mapping[str, str]

KINDS: tuple[EntryKind, ...] = get_args(EntryKind)
PAGE_ENTRIES = 25


class Answer(NamedTuple):
    """Sentences, or entries of the ledger with the query for older ones, where there are any."""

    title: str
    sentences: Sequence[str] = ()
    entries: Sequence[Entry] = ()
    older: Query | None = None


def why(context: Context, query: Query) -> Answer:
    """Explain one logged prediction.

    Raises:
        InputError: no id is given.
        NotFound: the log has no such prediction.
    """
    name = query.get("id", "").strip()
    if not name:
        raise InputError("give the prediction_id, or the request_id; with API keys KEY/ID")
    return Answer(f"Why {name}", breakdown.sentences(breakdown.break_down(context, name)))


def served(context: Context, query: Query) -> Answer:
    """Say which version was champion at a time.

    Raises:
        InputError: the time does not parse.
    """
    at = tenures.parse_moment(query.get("at", "").strip())
    return Answer("What served", tenures.sentences(at, tenures.tenure_at(context, at)))


def ledger(context: Context, query: Query) -> Answer:
    """Return a page of the ledger, newest first.

    Raises:
        InputError: a number does not parse, or there is no such kind.
    """
    kinds = [kind for kind in KINDS if kind == query.get("kind")]
    if query.get("kind") and not kinds:
        raise InputError(f"kind: {query['kind']!r} is none of the ledger's")
    incident, version, before = (number(query, name) for name in ("incident", "version", "before"))
    of = {"incident_id": incident, "model_version": version, "before": before}
    found = context.ledger.latest(PAGE_ENTRIES + 1, kinds=kinds, **of)
    asked = {name: query[name] for name in ("kind", "incident", "version") if query.get(name)}
    older = {**asked, "before": str(found[-2].id)} if len(found) > PAGE_ENTRIES else None
    return Answer("The ledger", () if found else ["No entry matches."], found[:PAGE_ENTRIES], older)


def number(query: Query, name: str) -> int | None:
    """Return a number of the query, None where it is not given.

    Raises:
        InputError: it is no number of a record.
    """
    given = query.get(name, "").strip()
    if given and not (given.isdecimal() and int(given) < 2**31):
        raise InputError(f"{name}: {given!r} is no number")
    return int(given) if given else None


QUESTIONS: Mapping[str, Callable[[Context, Query], Answer]] = {"why": why, "served": served, "ledger": ledger}
