"""A draft of a declaration from a table. What is guessed has a comment with a question mark that says why."""

import difflib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel

from autoops.errors import InputError
from autoops.ingestion import quality
from autoops.onboarding import guesses, leaks, parts
from autoops.onboarding.guesses import Span, Spec
from autoops.onboarding.tables import Column, Raw, columns_of
from autoops.usecase import declaration
from autoops.usecase.columns import RESERVED
from autoops.usecase.contract import SENT, Contract, Task, TimeParts

_PERIOD = re.compile(
    r"(?<!\d)(?:(?P<day>(?:19|20)\d\d-(?:0[1-9]|1[0-2])-\d\d)|(?P<week>(?:19|20)\d\d-W\d\d)"
    r"|(?P<month>(?:19|20)\d\d-(?:0[1-9]|1[0-2])))(?!\d)"
)

TIMES = ("event_time", "event_at", "timestamp", "datetime", "time", "date", "ts", "created_at", "day")
TARGETS = ("target", "label", "y", "class", "outcome", "count", "cnt", "demand", "result")
"""Names that a column of the event time and a target often have, the likeliest first."""
MOST_SEGMENTS = 8
_LATER = re.compile(
    "status|updat|modif|close|resolve|dropoff|end|finish|deliver|complet|paid|last|result", re.IGNORECASE
)
"""Names of times that are often known only with the target."""
_PART_OF_TIME = re.compile(r"(?<![a-z])(year|month|day|hour|week|date|timestamp|unix\w*|ts)(?![a-z])", re.IGNORECASE)
PARAMETERS = {"n_estimators": 100, "max_depth": 16, "min_samples_leaf": 5, "n_jobs": -1, "random_state": 7}


@dataclass(frozen=True)
class Found:
    """What became of a column: a `role` such as "target", "feature" or "left out", its keys, and the reason."""

    raw: str
    role: str
    spec: str = ""
    why: str = ""


@dataclass(frozen=True)
class Draft:
    """A draft: the text of usecase.yaml, its contract, what became of each column, and what a person must know.

    Without an event time in the table `span` is None. `request` is a row of the table as a client sends it, in JSON.
    """

    text: str
    contract: Contract
    found: tuple[Found, ...]
    notes: tuple[str, ...]
    span: Span | None
    request: str


def draft(name: str, raw: Raw, target: str | None = None, time: str | None = None) -> Draft:
    """Return the draft for a file; `target` and `time` are columns that a person named.

    Raises:
        InputError: the name is none of a use case, a named column is not there or cannot be what it was named for, or
            no column is left for a feature.
    """
    if not re.fullmatch("[a-z][a-z0-9_]{0,62}", name):
        raise InputError(f"{name!r} is no name of a use case; expected lower-case letters, digits and _, such as bikes")
    return _Drafting(name, raw).draft(target, time)


class _Drafting:
    """The steps of a draft, and what they have found by then."""

    def __init__(self, name: str, raw: Raw) -> None:
        self.name, self.raw = name, raw
        self.columns, unusable = columns_of(raw.table)
        self.names: set[str] = set()
        self.found = [Found(one, "left out", why=why) for one, why in unusable.items()]
        self.notes: list[str] = []
        self.id: str | None = None
        self.categories: dict[str, int] = {}

    def draft(self, target: str | None, time: str | None) -> Draft:
        times = {raw: found for raw, column in self.columns.items() if (found := column.times()) is not None}
        made_of = None if time and time not in times else parts.found_in(self.columns, times, time)
        time = None if made_of else self._chosen_time(time, times)
        taken = {*times} | {*(made_of.columns if made_of else ())}
        target, why = self._chosen_target(target, taken)
        column = self.columns[target]
        task, of_target = self._target(column, why)
        of_time = self._time_of_parts(made_of) if made_of else self._time(time)
        wall = parts.wall_of(made_of, self.columns) if made_of else None if time is None else times[time]
        span = None if wall is None or wall.isna().all() else guesses.span_of(wall.dropna())
        taken_columns = {target, time, *(made_of.columns if made_of else ())}
        features = self._features(taken_columns, times, leaks.Leaks(column, [*self.columns.values()], wall))
        lines = [
            f"# Drafted from {_plain(self.raw.path.name)}: {column.rows:,} rows" + (f", {span}." if span else "."),
            "# A question mark is a guess: read it and correct it. docs/usecases.md explains the keys.",
            f"name: {self.name}",
            f"task: {task}",
            "row: row  # ? the noun for a row, in sentences and in the API",
            *of_time,
            *of_target,
            *self._source(),
            *([f"id: {_flow({'column': self.id})}  # ? each value occurs once"] if self.id else []),
            *features,
            *self._rest(task, span),
        ]
        text = "\n".join(lines) + "\n"
        # The draft must parse: a column that no rule here foresaw is found now, and not by the user.
        contract = declaration.parse(yaml.safe_load(text), "draft")
        return Draft(text, contract, tuple(self.found), tuple(self.notes), span, self._request(contract))

    def _request(self, contract: Contract) -> str:
        """Return the newest row that lacks no feature, or else the newest one, without its time."""
        columns = {name: self.columns[feature.column or name] for name, feature in contract.features.items()}
        known = np.all([column.codes >= 0 for column in columns.values()], axis=0)
        row = int(np.flatnonzero(known)[-1]) if known.any() else len(known) - 1
        values = {name: column.data[row].as_py() for name, column in columns.items()}
        typed = {
            name: bool(value) if contract.features[name].type == "bool" else value
            for name, value in values.items()
            if value is not None and value == value  # NaN is not
        }
        return json.dumps(typed, ensure_ascii=False, default=float)

    def _require(self, raw: str, option: str) -> Column:
        if raw not in self.columns:
            near = difflib.get_close_matches(raw, self.columns, n=1)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.columns)}"
            raise InputError(f"{option} {raw}: {self.raw.path.name} has no such column; {meant}")
        return self.columns[raw]

    def _chosen_time(self, named: str | None, times: Mapping[str, Any]) -> str | None:
        if named is not None:
            column = self._require(named, "--time")
            if named not in times:
                raise InputError(
                    f"--time {named}: expected times, dates or ISO 8601 text such as 2023-01-31 13:00, got "
                    f"{column.data.type}{guesses.example(column)}"
                )
            return named
        by_name = [raw for wanted in TIMES for raw in times if raw.lower() == wanted]
        possible = [*by_name, *(raw for raw in times if not _LATER.search(raw)), *times]
        parts = [raw for raw in self.columns if _PART_OF_TIME.search(raw) and raw not in times]
        # The only time may be that of the target, where year, month and day are columns of their own.
        split = {word for word in ("year", "month", "day") if any(word in raw.lower() for raw in parts)}
        if possible and not (_LATER.search(possible[0]) and len(split) == 3):
            return possible[0]
        self.notes.append(_no_time(parts, possible))
        return None

    def _chosen_target(self, named: str | None, times: set[str]) -> tuple[str, str]:
        if named is not None:
            self._require(named, "--target")
            if named in times:
                raise InputError(f"--target {named}: this is the event time; expected what a model shall predict")
            return named, ""
        possible = [raw for raw, column in self.columns.items() if raw not in times and guesses.may_be_target(column)]
        if not possible:
            raise InputError(f"{self.raw.path.name}: no column can be a target; expected numbers, or two values")
        by_name = [raw for wanted in TARGETS for raw in possible if raw.lower() == wanted]
        why = "a usual name of a target" if by_name else "the last column that can be one"
        return (by_name or possible[::-1])[0], f"{why}; --target names another"

    def _target(self, column: Column, why: str) -> tuple[Task, list[str]]:
        """Return the task and the lines of the target.

        Raises:
            InputError: the column has no numbers and not two values.
        """
        if not guesses.may_be_target(column):
            raise InputError(
                f"--target {column.raw}: expected numbers, or two values, got {column.data.type} with "
                f"{len(column.counts)} values{guesses.example(column)}"
            )
        name = self._name(column.raw, "target")
        spec: Spec = {"column": name}
        if name != column.raw:
            spec["raw_column"] = column.raw
        whys = [why] if why else []
        task: Task = "regression"
        if guesses.is_binary(column):
            task = "binary"
            positive, other = guesses.positive(column)
            spec |= {"positive": positive}
            if positive not in (0, 1):
                spec |= {"negative": other}
            share = column.counts.get(positive, 0) / max(sum(column.counts.values()), 1)
            whys.append(f"which of the two values is the event? {positive!r} are {share:.1%}")
        elif not guesses.may_be_negative(column):
            spec |= {"at_least": 0}
            whys.append("no value is negative; rows below are dropped")
        if column.nulls:
            whys.append(f"{column.nulls} rows have none, and are dropped")
        if len(column.counts) < 2:
            self.notes.append(f"the target {column.raw} has one value only: there is nothing to learn")
        self.found.append(Found(column.raw, "target", f"{task} {_flow(spec)}", "; ".join(whys)))
        return task, [f"target: {_flow(spec)}{_comment(whys)}"]

    def _time(self, raw: str | None) -> list[str]:
        if raw is None:
            self._event_at()
            why = (
                "NO EVENT TIME was found: name its column, or the `parts` that make it, or declare "
                "`prepare: module:function`"
            )
            return ["event_time:", f"  column: event_at{_comment([why])}"]
        # What pandas names the column of an index without a name.
        unnamed = re.fullmatch(r"__index_level_\d+__", raw) is not None
        column, name = self.columns[raw], self._event_at() if unnamed else self._name(raw, "event_at")
        zone, why = guesses.time_zone(column)
        self.found.append(Found(raw, "event time", f"zone {zone}", why))
        return [
            "event_time:",
            f"  column: {name}",
            *([f"  raw_column: {_scalar(raw)}"] if name != raw else []),
            f"  zone: {zone}{_comment([why] if why else [])}",
            "  default: now  # ? what a request without a time means; `required` refuses it",
        ]

    def _event_at(self) -> str:
        self.names.add("event_at")
        return "event_at"

    def _time_of_parts(self, made_of: TimeParts) -> list[str]:
        spec = made_of.model_dump(exclude_none=True)
        self.found += [Found(raw, "event time", f"its {unit.replace('_', ' ')}") for unit, raw in spec.items()]
        return [
            "event_time:",
            f"  column: {self._event_at()}",
            f"  parts: {_flow(spec)}  # ? columns that make the event time together",
            "  zone: UTC  # ? on which wall clock are they?",
            "  default: now  # ? what a request without a time means; `required` refuses it",
        ]

    def _source(self) -> list[str]:
        named = _PERIOD.search(self.raw.path.name)
        files = _PERIOD.sub("{period}", self.raw.path.name, count=1)
        why = "" if "{period}" in files else "one file with all months, split by the event time"
        return [
            "source:",
            f"  location: {_scalar(str(self.raw.path.resolve().parent))}  # the folder of the file, or a base URL",
            f"  files: {_scalar(files)}{_comment([why] if why else [])}",
            *([f"  period: {named.lastgroup}  # ? by the name of the file"] if named and not named["month"] else []),
            *([f"  delimiter: {_scalar(self.raw.delimiter)}"] if self.raw.delimiter not in (None, ",") else []),
            *([f"  encoding: {self.raw.encoding}  # ? it is not UTF-8"] if self.raw.encoding == "cp1252" else []),
        ]

    def _features(self, taken: set[str | None], times: Mapping[str, Any], hints: leaks.Leaks) -> list[str]:
        """Return the lines of the features, and those of columns that are left out.

        Raises:
            InputError: no column is left.
        """
        lines, kept = ["features:"], 0
        for raw, column in self.columns.items():
            if raw in taken:
                continue
            why = "another time: Auto-Ops takes no times as features" if raw in times else self._left_out(column)
            why = why or hints.of(column) or ""
            if why:
                self.found.append(Found(raw, "id" if self.id == raw else "left out", why=why))
                lines.append(f"  # left out: {_plain(raw)}: {_plain(why)}")
                continue
            spec, whys = guesses.feature(column)
            name = self._name(raw, f"column_{len(self.names)}")
            spec |= {"column": raw} if name != raw else {}
            spec |= {"missing": "allowed"} if column.nulls else {}
            if spec["type"] == "category":
                self.categories[name] = len(column.counts)
            lines.append(f"  {name}: {_flow(spec)}{_comment(whys)}")
            self.found.append(Found(raw, "feature", _flow(spec), "; ".join(whys)))
            kept += 1
        if not kept:
            reasons = "; ".join(f"{one.raw}: {one.why}" for one in self.found if one.role == "left out")
            raise InputError(f"{self.raw.path.name}: no column is left for a feature ({reasons or 'it has no other'})")
        return lines

    def _left_out(self, column: Column) -> str:
        """Return why a column can be no feature, empty if it can."""
        known, distinct = column.rows - column.nulls, len(column.counts)
        if not known:
            return "it has no value"
        if column.kind == "other":
            return f"its type is {column.data.type}"
        if distinct == 1 and column.rows >= guesses.ENOUGH_ROWS:
            return f"constant: always {next(iter(column.counts))!r}"
        if column.kind == "number" and (not len(column.finite) or np.abs(column.finite).max() > guesses.FARTHEST):
            return f"numbers beyond {guesses.FARTHEST:g} are none for a model"
        if distinct == known == column.rows >= guesses.ENOUGH_ROWS and guesses.is_id(column):
            self.id = self.id or column.raw
            return "the id of a row: each value occurs once" if self.id == column.raw else "each value occurs once"
        if column.kind == "text":
            return guesses.left_out_text(column, known)
        return ""

    def _name(self, raw: str, otherwise: str) -> str:
        """Return a name for a column that the declaration and the API can use, and that none has yet."""
        ascii_only = unicodedata.normalize("NFKD", raw.replace("ß", "ss")).encode("ascii", "ignore").decode()
        name = re.sub(r"\W+", "_", ascii_only).strip("_")[:50] or otherwise
        name = name if name[0].isalpha() else f"c_{name}"
        # YAML reads `no` and `null` as values, and pydantic's models have attributes such as `copy`.
        if name in RESERVED | SENT | {"known_categories"} or yaml.safe_load(name) != name or hasattr(BaseModel, name):
            name = f"{name}_value"
        free, number = name, 2
        while free in self.names:
            free, number = f"{name}_{number}", number + 1
        self.names.add(free)
        return free

    def _rest(self, task: Task, span: Span | None) -> Iterator[str]:
        calendar = [] if span is None else list(guesses.calendar(span))
        if calendar:
            yield "derived:"
            for of, why in calendar:
                yield f"  {self._name(of, of)}: {of}{_comment([why])}"
        seasonality, why = guesses.seasonality(span)
        yield f"drift: {{seasonality: {seasonality}}}{_comment([why])}"
        yield from self._segments(span)
        if span and span.empty_days >= quality.HOLE:
            why = f"a month of the table has {span.empty_days} empty days; {quality.HOLE} are broken data by default"
            yield f"quality: {{empty_days: {span.empty_days + 1}}}{_comment([why])}"
        yield f"model:\n  estimator: {_ESTIMATORS[task]}"
        yield f"  parameters: {yaml.safe_dump(PARAMETERS, default_flow_style=True, sort_keys=False).strip()}"
        yield "gate: {loss: log_loss}  # ? or brier" if task == "binary" else "gate: {loss: absolute}  # ? or squared"

    def _segments(self, span: Span | None) -> Iterator[str]:
        few = [name for name, values in self.categories.items() if 2 <= values <= MOST_SEGMENTS][:1]
        hours = [name for name in self.names if span and span.hours and name == "hour_of_day"]
        if not few and not hours:
            return
        yield "segments:  # ? groups of rows in which a new version must not be worse"
        for name in few:
            yield f"  by_{name}: {{by: {name}}}"
        for name in hours:
            yield f"  hours: {{by: {name}, cut: [6, 12, 18], names: [night, morning, afternoon, evening]}}"


_ESTIMATORS = {
    "regression": "sklearn.ensemble.RandomForestRegressor",
    "binary": "sklearn.ensemble.RandomForestClassifier",
}


def _no_time(parts: Sequence[str], later: Sequence[str]) -> str:
    told = f"; {', '.join(parts[:6])} may be parts of one" if parts else ""
    if later:
        told += f"; {later[0]} seems to be known only with the target, and `--time {later[0]}` takes it nevertheless"
    return (
        f"NO EVENT TIME was found: expected a column of times, dates or ISO 8601 text{told}. Write a file that has one "
        "and run init again, or declare `prepare: module:function`, which makes it of others"
    )


def _flow(spec: Spec) -> str:
    """Return keys and values as YAML in braces."""
    dump = partial(yaml.safe_dump, spec, default_flow_style=True, sort_keys=False, width=inf)
    text = str(dump(allow_unicode=True)).strip()
    # A name may hold a line end of Unicode (U+0085), which YAML reads back as a blank unless it is escaped.
    return text if yaml.safe_load(text) == spec else str(dump()).strip()


def _scalar(value: str) -> str:
    """Return a string as YAML, always in quotes."""
    return str(yaml.safe_dump(value, default_style='"', allow_unicode=True, width=inf)).strip()


def _plain(text: str) -> str:
    """Return text for a comment: a line end would end it, and YAML knows more of them than Python."""
    return "".join(one if one.isprintable() else " " for one in text)


def _comment(whys: Sequence[str]) -> str:
    return f"  # ? {_plain('; '.join(whys))}" if whys else ""
