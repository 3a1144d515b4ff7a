"""The contract: what a row of the use case is, in which units and bounds, and how models of it are judged.

It is the checked declaration without its Python, so it can be written into a version's bundle and read back.
"""

import codecs
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from autoops.usecase.calendar import CalendarName
from autoops.usecase.columns import RESERVED
from autoops.usecase.functions import FunctionName

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Kind = Literal["float", "int", "bool", "category"]
Value = bool | int | float | str


def _with_folder(name: str, info: ValidationInfo) -> FunctionName:
    return FunctionName.of(name, (info.context or {}).get("folder"))


Function = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"), AfterValidator(_with_folder)]
"""A function by its name, `module:function`."""
Task = Literal["regression", "binary"]

SENT = frozenset({"request_id", "prediction_id", "model_version", "repeated", "key", "columns", "labels", "part"})
"""Names of the API's own fields."""

CSV = (".csv", ".csv.gz")
"""Endings of the names of CSV files."""

EXACT_BELOW = 2**24
"""Integers from here on collapse in float32, the type of model inputs."""


class Part(BaseModel):
    """Base of the parts of a declaration: frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class Bounds(Part):
    """An interval of values; `above` and `below` exclude their value, `at_least` and `at_most` include it."""

    above: Number | None = None
    at_least: Number | None = None
    below: Number | None = None
    at_most: Number | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.above is not None and self.at_least is not None:
            raise ValueError("above and at_least are both there: expected one of them")
        if self.below is not None and self.at_most is not None:
            raise ValueError("below and at_most are both there: expected one of them")
        if self.low is not None and self.high is not None:
            closed = self.at_least is not None and self.at_most is not None
            if self.low > self.high or (self.low == self.high and not closed):
                raise ValueError(f"no value is possible between {self.low:g} and {self.high:g}")
        return self

    @property
    def low(self) -> float | None:
        """Return the lower end, None where there is none."""
        return self.at_least if self.above is None else self.above

    @property
    def high(self) -> float | None:
        """Return the upper end, None where there is none."""
        return self.at_most if self.below is None else self.below

    @property
    def bounded(self) -> bool:
        """Return whether there is an end on either side."""
        return self.low is not None or self.high is not None

    @property
    def middle(self) -> float:
        """Return a number between the bounds."""
        if self.low is None or self.high is None:
            return 1.0 + (self.low or 0.0) if self.high is None else self.high - 1.0
        return (self.low + self.high) / 2

    def contains(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Return a mask of the shape of `values`; NaN is outside."""
        inside = ~np.isnan(np.asarray(values, dtype=np.float64))
        if self.above is not None:
            inside &= values > self.above
        if self.at_least is not None:
            inside &= values >= self.at_least
        if self.below is not None:
            inside &= values < self.below
        if self.at_most is not None:
            inside &= values <= self.at_most
        return np.asarray(inside)

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least:g} to {self.at_most:g}"
        low = f"above {self.above:g}" if self.above is not None else None
        low = f"at least {self.at_least:g}" if self.at_least is not None else low
        high = f"below {self.below:g}" if self.below is not None else None
        high = f"at most {self.at_most:g}" if self.at_most is not None else high
        return " and ".join(filter(None, (low, high))) or "any number"


class TimeParts(Part):
    """Columns of raw files that make an event time together: a date, or year, month and day, and the time of day.

    A `date` is a date, ISO 8601 text, or a whole number such as 20230131; a `half_hour` counts from 0 to 47.
    """

    date: str | None = None
    year: str | None = None
    month: str | None = None
    day: str | None = None
    hour: str | None = None
    half_hour: str | None = None
    minute: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        of_day = [self.year, self.month, self.day]
        if (self.date is None) != all(of_day) or (self.date is not None and any(of_day)):
            raise ValueError("expected date, or year, month and day")
        if self.half_hour and (self.hour or self.minute):
            raise ValueError("half_hour and hour or minute are both there: expected one of them")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(self.model_dump(exclude_none=True).values())


class EventTime(Part):
    """The column of the event time, the time zone of its wall clock, and what a request without one means.

    `raw_column` is its name in raw files, where that is another; `parts` are columns that it is made of, where it has
    none. `place` names the zone in sentences, by default the zone's own name. Times before the year `earliest` are
    refused; those more than `days_ahead` of their prediction are served and counted as implausible.
    """

    column: Name = "event_at"
    zone: str = "UTC"
    place: str | None = None
    raw_column: str | None = None
    parts: TimeParts | None = None
    default: Literal["now", "required"] = "now"
    earliest: Annotated[int, Field(ge=1900, le=2098)] = 1970
    days_ahead: Annotated[float, Field(ge=1, le=3650)] = 1

    @field_validator("zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, LookupError, ValueError) as error:
            raise ValueError("no time zone of this name; expected one such as UTC or Europe/Lisbon") from error
        return name

    @property
    def ahead(self) -> timedelta:
        """Return how long after its prediction an event may be."""
        return timedelta(days=self.days_ahead)

    @property
    def told_zone(self) -> str:
        """Return the zone as sentences name it."""
        return self.place or self.zone


class Id(Part):
    """The column that identifies a row; ground truth names it."""

    column: str


class Target(Bounds):
    """What is predicted.

    `raw_column` is its name in raw files, where that is another. The bounds are those of targets that models are
    trained and judged on; `accepted` are those of ground truth that is stored. `noun` and `short` name the target and
    its unit in sentences. Of a binary target `positive` is the value that counts as 1 and `negative` the other one;
    answers carry the label for probabilities from `decision_threshold` on.
    Labels count in no comparison and no training before their rows are `matures_after_days` old.
    """

    column: Name
    raw_column: str | None = None
    noun: str | None = None
    unit: str | None = None
    short: str | None = None
    description: str | None = None
    positive: Value | None = None
    negative: Value | None = None
    decision_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    accepted: Bounds | None = None
    matures_after_days: Annotated[float, Field(gt=0, le=3650)] | None = None
    example: Number | None = None

    @property
    def raw_name(self) -> str:
        """Return the name of the column in raw files."""
        return self.raw_column or self.column

    def number(self, value: Value) -> float:
        """Return a binary label as a number: 1 for the positive value."""
        return float(value == self.positive)

    def label(self, probability: float) -> Value:
        """Return the binary label at the decision threshold."""
        assert self.positive is not None
        return self.positive if probability >= self.decision_threshold else self.other

    @property
    def other(self) -> Value:
        """Return the value of a binary target that counts as 0: `negative`, else the opposite of the positive one."""
        if self.negative is not None:
            return self.negative
        return not self.positive if isinstance(self.positive, bool) else 1 - int(self.positive == 1)

    @property
    def matures_after(self) -> timedelta | None:
        """Return the age from which on a label counts; None where every label does."""
        return None if self.matures_after_days is None else timedelta(days=self.matures_after_days)

    @property
    def told(self) -> str:
        """Return the target as sentences name it."""
        return self.noun or self.column.replace("_", " ")

    @property
    def accepts(self) -> Bounds:
        """Return the bounds of ground truth that is stored."""
        return self.accepted or Bounds(above=self.above, at_least=self.at_least, below=self.below, at_most=self.at_most)


class Feature(Bounds):
    """A column that clients send and files hold; its bounds are those of the impossible, not of the unusual.

    `column` is the name in raw files, where that is another. `values` closes a category to these; `missing` is
    "refused", "allowed", or the value that a missing one stands for. `distance` is the drift distance of the column, by
    default that of its type.
    """

    type: Kind
    column: str | None = None
    unit: str | None = None
    description: str | None = None
    values: tuple[Value, ...] | None = None
    of: Literal["str", "int"] | None = None
    missing: Literal["refused", "allowed"] | Value = "refused"
    example: Value | None = None
    distance: Literal["wasserstein", "jensen_shannon"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        whole = self.is_whole
        if self.bounded and not (self.type in ("float", "int") or whole):
            raise ValueError(f"a {self.type} has no bounds; a category of numbers is `of: int`")
        if self.values is not None:
            if self.type != "category":
                raise ValueError(f"values are those of a category, and this is a {self.type}")
            if not self.values or len(set(self.values)) != len(self.values):
                raise ValueError("expected at least one value, each once")
            if len({type(value) for value in self.values}) > 1 or isinstance(self.values[0], bool | float):
                raise ValueError("expected strings only, or whole numbers only")
        if self.of is not None and self.type != "category":
            raise ValueError(f"`of` is that of a category, and this is a {self.type}")
        if self.of is not None and self.values and (self.of == "int") != isinstance(self.values[0], int):
            raise ValueError(f"values: expected those `of: {self.of}`")
        if self.stands_for is not None and not self._is_of_type(self.stands_for):
            raise ValueError(f"missing: expected refused, allowed or a {self._noun}, got {self.missing!r}")
        if whole and any(abs(each) >= EXACT_BELOW for each in self._numbers()):
            raise ValueError(f"whole numbers from {EXACT_BELOW} on are not told apart by models; use strings")
        if self.type == "category" and self.distance == "wasserstein" and not whole:
            raise ValueError("distance: strings have no order; expected jensen_shannon")
        return self

    def _numbers(self) -> Iterator[float]:
        yield from (end for end in (self.low, self.high) if end is not None)
        yield from (value for value in (*(self.values or ()), self.stands_for) if isinstance(value, int))

    def _is_of_type(self, value: Value) -> bool:
        if self.type == "bool" or isinstance(value, bool):
            return self.type == "bool" and isinstance(value, bool)
        if self.is_text or isinstance(value, str):
            return self.is_text and isinstance(value, str)
        return self.type == "float" or isinstance(value, int)

    @property
    def _noun(self) -> str:
        if self.type == "category":
            return "whole number" if self.is_whole else "string"
        return {"float": "number", "int": "whole number", "bool": "bool"}[self.type]

    @property
    def is_whole(self) -> bool:
        """Return whether this is a category of whole numbers."""
        by_values = bool(self.values) and isinstance(self.values and self.values[0], int)
        return self.type == "category" and (self.of == "int" or by_values)

    @property
    def is_text(self) -> bool:
        """Return whether values are strings."""
        return self.type == "category" and not self.is_whole

    @property
    def nullable(self) -> bool:
        """Return whether a row may lack the value."""
        return self.missing != "refused"

    @property
    def stands_for(self) -> Value | None:
        """Return the value that a missing one is stored as; None where there is none."""
        return None if self.missing in ("refused", "allowed") else self.missing

    @property
    def typical(self) -> Value:
        """Return the declared example, else a value within the bounds."""
        if self.example is not None:
            return self.example
        if self.values is not None:
            return self.values[0]
        if self.type == "bool" or self.is_text:
            return False if self.type == "bool" else "A"
        return self.middle if self.type == "float" else round(self.middle)

    @property
    def drift_distance(self) -> Literal["wasserstein", "jensen_shannon"]:
        """Return the distance by which drift of the column is measured."""
        return self.distance or ("wasserstein" if self.type in ("float", "int") else "jensen_shannon")


class Derived(Part):
    """A model input that is computed: from the calendar of a row's event time, or by a function of the use case.

    The function takes a mapping from names to arrays of shape (rows,), the features and `event_at` (datetime64[us] in
    UTC), and returns numbers of shape (rows,). They may be NaN where `missing` is "allowed".
    """

    calendar: CalendarName | None = None
    function: Function | None = None
    missing: Literal["refused", "allowed"] = "refused"
    distance: Literal["wasserstein", "jensen_shannon"] = "wasserstein"
    unit: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"calendar": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.calendar is None) == (self.function is None):
            raise ValueError("expected one of calendar and function")
        return self


class Segment(Part):
    """Groups of rows in which a model may do worse while it does better overall.

    `by` is a feature. With `cut` there is a band below, between and from the cuts on, named `names` or by the cuts;
    where it is `cyclic`, what is below the first cut and from the last one on is one band. With `values` there is a
    group for each named value, without either one for each value that occurs.
    """

    by: str
    cut: tuple[Number, ...] | None = None
    names: tuple[str, ...] | None = None
    cyclic: bool = False
    values: dict[str, Value] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.cut is None:
            if self.cyclic or self.names:
                raise ValueError("cyclic and names belong to cut")
            return self
        if self.values is not None:
            raise ValueError("cut and values are both there: expected one of them")
        if not self.cut or list(self.cut) != sorted(set(self.cut)):
            raise ValueError("cut: expected growing numbers")
        if self.cyclic and len(self.cut) < 2:
            raise ValueError("cut: a cyclic one takes at least two numbers")
        bands = len(self.cut) + (0 if self.cyclic else 1)
        if self.names is not None and len(self.names) != bands:
            raise ValueError(f"names: expected {bands}, one for each band, got {len(self.names)}")
        return self


class DriftRules(Part):
    """Features whose importance is measured and permuted together, and the cycle of ordinary traffic."""

    groups: dict[Name, tuple[str, ...]] = {}
    seasonality: Literal["hour_of_week", "day_of_week", "none"] = "hour_of_week"
    unseen: tuple[str, ...] | None = None
    """Categories of which a row must have values known from training; None: all categories."""


class Source(Part):
    """Files of published periods: `{period}` in the name stands for it, as 2023-01, 2023-W05 (ISO 8601) or 2023-02-01.

    Without `{period}` one file holds all of them. `location` is the folder or base URL of the files, where config.yaml
    names none. `delimiter` and `encoding` are those of CSV. With `sql` there are no files: the query returns the rows
    of a period, from `:begin` on and before `:end`, and `location` is the URL of the database.
    """

    location: str = "data"
    sql: str | None = None
    files: str = "{period}.parquet"
    period: Literal["day", "week", "month"] = "month"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8"

    @field_validator("files")
    @classmethod
    def _of_a_known_form(cls, files: str) -> str:
        if files.count("{period}") > 1 or "/" in files or not files.endswith((".parquet", *CSV)):
            raise ValueError(
                "expected the name of a .parquet, .csv or .csv.gz file; with {period} in it, such as "
                "sales_{period}.parquet, each period has a file of its own"
            )
        return files

    @field_validator("location")
    @classmethod
    def _without_password(cls, location: str) -> str:
        # Each version's bundle contains the declaration.
        if urlsplit(location).password:
            raise ValueError("holds a password; set data.source in config.yaml, or AUTOOPS__DATA__SOURCE, instead")
        return location

    @field_validator("sql")
    @classmethod
    def _of_a_period(cls, sql: str | None) -> str | None:
        if sql is not None and {*re.findall(r"(?<![:\w\\]):(\w+)(?!:)", sql)} != {"begin", "end"}:
            raise ValueError("expected a query with the parameters :begin and :end, and no others; a colon is \\:")
        return sql

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.sql is not None and self.files != type(self).model_fields["files"].default:
            raise ValueError("sql and files are both there: expected one of them")
        if self.sql is not None and self.period != "month":
            raise ValueError(f"period {self.period}: a query is run for each month; expected no `period`")
        if self.period != "month" and "{period}" not in self.files:
            raise ValueError(
                f"period {self.period}: {self.files} has no {{period}} in its name; expected one, or no `period`: "
                "one file is split by the event time"
            )
        return self

    @field_validator("encoding")
    @classmethod
    def _encodes(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError as error:
            raise ValueError("no encoding of this name; expected one such as utf-8, latin-1 or cp1252") from error
        return encoding

    @property
    def is_csv(self) -> bool:
        """Return whether the files are CSV, gzipped or not."""
        return self.files.endswith(CSV)

    @property
    def fetched(self) -> str:
        """Return the name of a fetched month's file, which is parquet of one month, whatever the source holds."""
        stem = self.files.removesuffix(".gz").rpartition(".")[0]
        return f"{stem}.parquet" if "{period}" in stem else f"{stem}_{{period}}.parquet"

    def file_name(self, period: str) -> str:
        """Return the name of a fetched period's file."""
        return self.fetched.replace("{period}", period)


class ModelDefaults(Part):
    """The estimator that `model` in config.yaml may replace, its parameters, and the model's inputs in order."""

    estimator: str | None = None
    parameters: dict[str, Any] | None = None
    features: tuple[str, ...] | None = None


class Texts(Part):
    """Sentences of the API's documents, where those made from the nouns do not fit; `seen` names a field of answers."""

    title: str | None = None
    row: str | None = None
    ground_truth: str | None = None
    predict: str | None = None
    labels: str | None = None
    tag: str | None = None
    example: str | None = None
    seen: Name = "known_categories"
    seen_description: str = "False: a category of the row did not occur in training"


class GateRules(Part):
    """The loss per row by which versions are compared, and the segments that must not do worse."""

    loss: Literal["absolute", "squared", "log_loss", "brier"] | None = None
    segments: tuple[str, ...] | None = None


Share = Annotated[float, Field(gt=0, lt=1)]
Factor = Annotated[float, Field(gt=1)]


class QualityRules(Part):
    """Least deviations from good periods that are broken data, however alike these periods are.

    Shares are what is too much of it where there was none, beyond what good periods had. `volume` is the factor by
    which rows may become fewer, `unit` that by which a number may change, and `empty_days` counts days without rows.
    """

    missing: Share | None = None
    constant: Share | None = None
    impossible: Share | None = None
    duplicated: Share | None = None
    unseen: Share | None = None
    volume: Factor | None = None
    unit: Factor | None = None
    empty_days: Annotated[int, Field(ge=1)] | None = None


class Contract(Part):
    """The declaration of a use case, checked as a whole.

    `prepare` makes the declared raw columns of raw rows, before these are split by time and cleaned. `clean` replaces
    the cleaning by the declaration: from a raw file and its month to rows. `profile` replaces the profile of a frame of
    rows by the declaration. `sample` writes files of made-up rows.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    task: Task = "regression"
    row: Annotated[str, Field(min_length=1, max_length=40)] = "row"
    rows: str | None = None
    event_time: EventTime = EventTime()
    id: Id | None = None
    target: Target
    source: Source = Source()
    features: Annotated[dict[Name, Feature], Field(min_length=1)]
    derived: dict[Name, Derived] = {}
    drift: DriftRules = DriftRules()
    segments: dict[Name, Segment] = {}
    model: ModelDefaults = ModelDefaults()
    gate: GateRules = GateRules()
    quality: QualityRules = QualityRules()
    api: Texts = Texts()
    prepare: Function | None = None
    clean: Function | None = None
    profile: Function | None = None
    sample: Function | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        names, known = {*self.features, *self.derived}, ", ".join((*self.features, *self.derived))
        for name in sorted(names & RESERVED):
            yield f"features.{name}: Auto-Ops uses this name itself; name it otherwise and give its `column`"
        for name in sorted(self.features.keys() & self.derived.keys()):
            yield f"derived.{name}: there is a feature of this name"
        if self.target.column in names:
            yield f"features.{self.target.column}: this is the target, which no model knows when it predicts"
        if self.event_time.column in names:
            yield f"features.{self.event_time.column}: this is the event time; derive features from its calendar"
        if self.target.column == self.event_time.column:
            yield f"target.column: {self.target.column} is the event time"
        for group, members in self.drift.groups.items():
            for member in members:
                if member not in names:
                    yield f"drift.groups.{group}: {member!r} is none of {known}"
            if group in names:
                yield f"drift.groups.{group}: a feature has this name"
        grouped = [member for group in self.drift.groups.values() for member in group]
        for member in sorted({one for one in grouped if grouped.count(one) > 1}):
            yield f"drift.groups: {member} is in more than one"
        for name, segment in self.segments.items():
            yield from self._segment_problems(name, segment, known)
        for member in self.drift.unseen or ():
            if member not in self.features or self.features[member].type != "category":
                yield f"drift.unseen: {member!r} is no category"
        for member in self.model.features or ():
            if member not in names:
                yield f"model.features: {member!r} is none of {known}"
        for member in self.gate.segments or ():
            if member not in self.segments:
                yield f"gate.segments: {member!r} is none of {', '.join(self.segments) or 'none declared'}"
        for name in sorted({*names, self.event_time.column, self.target.column} & SENT):
            yield f"{name}: requests and answers have a field of this name; name it otherwise and give its `column`"
        if self.api.seen in SENT or self.api.seen == self.target.column:
            yield f"api.seen: answers have a field {self.api.seen} already; name it otherwise"
        yield from self._task_problems()

    def _segment_problems(self, name: str, segment: Segment, known: str) -> Iterator[str]:
        if segment.by not in self.features and segment.by not in self.derived:
            yield f"segments.{name}: by {segment.by!r} is none of {known}"
        elif segment.cut is not None and segment.by in self.features and self.features[segment.by].is_text:
            yield f"segments.{name}: {segment.by} has no order to cut; leave `cut` out"

    def _task_problems(self) -> Iterator[str]:
        binary = self.task == "binary"
        losses = ("log_loss", "brier") if binary else ("absolute", "squared")
        if self.gate.loss is not None and self.gate.loss not in losses:
            yield f"gate.loss: {self.gate.loss} is no loss of {self.task}; expected {' or '.join(losses)}"
        if binary and self.target.positive is None:
            yield "target.positive: missing; expected the value of the target that counts as 1"
        if binary and (self.target.bounded or self.target.accepted):
            yield "target: a binary one has no bounds"
        if binary and self.target.negative is None and self.target.positive not in (0, 1):
            yield "target.negative: missing; expected the value of the target that counts as 0"
        if binary and self.target.negative is not None and type(self.target.negative) is not type(self.target.positive):
            yield "target.negative: expected a value of the type of target.positive"
        if binary and self.target.positive is not None and self.target.negative == self.target.positive:
            yield "target.negative: expected another value than target.positive"
        if not binary and self.target.positive is not None:
            yield "target.positive: only a binary target has one"

    @property
    def loss(self) -> Literal["absolute", "squared", "log_loss", "brier"]:
        """Return the loss per row."""
        return self.gate.loss or ("log_loss" if self.task == "binary" else "absolute")

    @property
    def plural(self) -> str:
        """Return the noun for several rows."""
        return self.rows or f"{self.row}s"

    @property
    def unit(self) -> str:
        """Return the target's unit with a leading space, empty where there is none."""
        return f" {self.target.unit}" if self.target.unit else ""

    @property
    def short_unit(self) -> str:
        """Return the target's unit in its short form with a leading space, empty where there is none."""
        short = self.target.short or self.target.unit
        return f" {short}" if short else ""

    @cached_property
    def zone(self) -> ZoneInfo:
        """Return the time zone of the event time's wall clock."""
        return ZoneInfo(self.event_time.zone)

    @cached_property
    def id_of_contract(self) -> str:
        """Return a short digest of the whole contract, of which the order of features is a part."""
        content = json.dumps(self.to_json())
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @cached_property
    def inputs_id(self) -> str:
        """Return a short digest of the inputs alone: rows that were logged under the same one have the same columns."""
        content = [[name, feature.type, feature.is_whole] for name, feature in self.features.items()]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the names of the columns that clients send, in the order of the declaration."""
        return tuple(self.features)

    @property
    def model_features(self) -> tuple[str, ...]:
        """Return the model's inputs where config.yaml names none: those declared, else all features, then derived."""
        return self.model.features or (*self.features, *self.derived)

    @property
    def raw_event_time(self) -> str:
        """Return the name of the event time in raw files."""
        return self.event_time.raw_column or self.event_time.column

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Return the names of the columns that raw files must have, each once."""
        features = (feature.column or name for name, feature in self.features.items())
        names = (self.raw_event_time, self.target.raw_name, *features, *([self.id.column] if self.id else []))
        return tuple(dict.fromkeys(names))

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Return the names of the columns that the source must have: with the parts of the event time in its place."""
        parts = self.event_time.parts
        if parts is None:
            return self.raw_columns
        others = (name for name in self.raw_columns if name != self.raw_event_time)
        return tuple(dict.fromkeys((*parts.columns, *others)))

    @property
    def is_converted(self) -> bool:
        """Return whether files of the source must be converted to parquet with the raw columns."""
        return self.source.is_csv or self.prepare is not None or self.event_time.parts is not None

    @property
    def raw_names(self) -> dict[str, str]:
        """Return the contract's names by those of raw files, where these differ."""
        columns = {feature.column: name for name, feature in self.features.items() if feature.column}
        raw = self.event_time.raw_column
        return ({raw: self.event_time.column} if raw else {}) | columns

    def group_of(self, feature: str) -> str:
        """Return the group that the feature's importance is measured with: a declared one, else its own name."""
        return self._groups.get(feature, feature)

    @cached_property
    def _groups(self) -> Mapping[str, str]:
        return {member: group for group, members in self.drift.groups.items() for member in members}

    def is_calendar(self, feature: str) -> bool:
        """Return whether the feature is one of the calendar, which drifts by construction."""
        return feature in self.derived and self.derived[feature].calendar is not None

    def watched(self, features: Sequence[str]) -> tuple[str, ...]:
        """Return the features that count in drift: all but those of the calendar."""
        return tuple(feature for feature in features if not self.is_calendar(feature))

    def distance_of(self, column: str) -> Literal["wasserstein", "jensen_shannon"]:
        """Return the drift distance of a feature, or of the prediction."""
        if column in self.features:
            return self.features[column].drift_distance
        return self.derived[column].distance if column in self.derived else "wasserstein"

    @cached_property
    def told_apart(self) -> tuple[str, ...]:
        """Return the categories whose values must be known from training for a row to count as known."""
        categories = tuple(name for name, feature in self.features.items() if feature.type == "category")
        return categories if self.drift.unseen is None else self.drift.unseen

    def to_json(self) -> dict[str, Any]:
        """Return the contract as JSON, which `Contract.model_validate` reads."""
        return self.model_dump(mode="json", exclude_defaults=True)
